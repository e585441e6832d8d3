"""Calls of libraries that take arrays of the GPU as they are, and what runs them: ``python calls.py LIBRARY`` prints a verdict a call.

A call is an expression; `X` is 40 observations of 5 numbers, `P` positive ones, `y` and `z` numbers for each, `c` and `k` classes, `D` a
labelled array with a NaN in it. It is computed once on NumPy arrays and once on arrays of the GPU.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np

CALLS: dict[str, list[str]] = {
    "sklearn": [
        *(
            f"metrics.{name}(y, z)"
            for name in [
                "mean_squared_error",
                "mean_absolute_error",
                "r2_score",
                "explained_variance_score",
                "max_error",
                "median_absolute_error",
                "root_mean_squared_error",
                "mean_pinball_loss",
                "d2_tweedie_score",
            ]
        ),
        *(f"metrics.{name}(c, k)" for name in ("accuracy_score", "zero_one_loss", "hamming_loss")),
        *(
            f"metrics.pairwise.{name}(X)"
            for name in [
                "cosine_similarity",
                "euclidean_distances",
                "linear_kernel",
                "polynomial_kernel",
                "rbf_kernel",
                "sigmoid_kernel",
                "cosine_distances",
                "manhattan_distances",
            ]
        ),
        *(
            f"preprocessing.{name}().fit(X).transform(X)"
            for name in ("MinMaxScaler", "MaxAbsScaler", "Normalizer", "Binarizer", "PolynomialFeatures")
        ),
        "decomposition.PCA(2, svd_solver='full').fit(X).explained_variance_",
        "linear_model.Ridge(solver='svd').fit(X, y).coef_",
        "discriminant_analysis.LinearDiscriminantAnalysis().fit(X, c).predict(X)",
    ],
    "scipy": [
        *(
            f"stats.{name}(P)"
            for name in ["skew", "kurtosis", "zscore", "sem", "variation", "moment", "gmean", "hmean"]
        ),
        "stats.ttest_ind(X[:, 0], X[:, 1]).statistic",
        "stats.ttest_ind(X[:, 0], X[:, 1]).pvalue",
        "stats.pearsonr(y, z).statistic",
        "stats.trim_mean(P, 0.1)",
        "stats.rankdata(y)",
    ],
    "xarray": [
        *(f"D.{name}()" for name in ["mean", "sum", "max", "min", "std", "var"]),
        *(f"D.{name}('a')" for name in ["mean", "sum", "max", "min", "std", "var"]),
        "D.transpose()",
        "D.pad(a=1, constant_values=0.0)",
        "D + D.mean('b')",
        "D.median()",
        "D.median('a')",
        "D.quantile(0.3, 'a')",
        "D.quantile([0.25, 0.5], 'b')",
        "D.prod('b')",
        "D.cumsum('a')",
        "D.clip(-1, 1)",
        "D.fillna(0)",
        "D.where(D > 0, 0)",
        "D.shift(a=1, fill_value=0.0)",
        "D.isnull()",
        "D.round(1)",
        "numpy.exp(D)",
    ],
}


def _data(library: str, put: Any) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(40, 5)).astype(np.float32)
    y = x @ np.float32([1, 2, 0, -1, 3])
    z = y + 0.1 * rng.normal(size=40).astype(np.float32)
    c, k = (y > 0).astype(np.int32), (z > 0.3).astype(np.int32)
    data: dict[str, Any] = {"X": x, "P": np.abs(x) + np.float32(0.1), "y": y, "z": z, "c": c, "k": k}
    made = {name: put(values) for name, values in data.items()}
    if library == "xarray":
        import xarray

        gaps = x.copy()
        gaps[3, 1] = np.nan
        made["D"] = xarray.DataArray(put(gaps), dims=("a", "b"))
    return made


def _modules(library: str) -> dict[str, Any]:
    if library == "sklearn":
        from sklearn import decomposition, discriminant_analysis, linear_model, metrics, preprocessing, set_config

        set_config(array_api_dispatch=True)
        return {
            m.__name__.rsplit(".", 1)[-1]: m
            for m in (decomposition, discriminant_analysis, linear_model, metrics, preprocessing)
        }
    if library == "scipy":
        from scipy import stats

        return {"stats": stats}
    return {"numpy": np}


def _host(value: Any) -> Any:
    value = getattr(value, "data", value) if type(value).__module__.startswith("xarray") else value
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def verdicts(library: str) -> dict[str, str]:
    """Return for each call of a library an empty string, or what went wrong."""
    import webgpu_widget as wg

    modules, gpu = _modules(library), wg.default_gpu()
    found = {}
    for call in CALLS[library]:
        try:
            want = eval(call, {**modules, **_data(library, lambda v: v)})  # noqa: S307 - the list above
            got = eval(call, {**modules, **_data(library, gpu.array)})  # noqa: S307 - the list above
            # Sums of 200 float32 values, and differences of such.
            np.testing.assert_allclose(_host(got), _host(want), rtol=1e-3, atol=1e-3)
            found[call] = "left the GPU" if library == "xarray" and not isinstance(got.data, wg.GPUArray) else ""
        except Exception as error:  # noqa: BLE001 - the verdict
            found[call] = f"{type(error).__name__}: {error}"
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(verdicts(sys.argv[1])))
