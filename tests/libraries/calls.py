"""Calls of libraries that take arrays of the GPU as they are, and what runs them: ``python calls.py LIBRARY`` prints a verdict a call.

A call is an expression; `X` is 40 observations of 5 numbers, `P` positive ones, `y` and `z` numbers for each, `s` numbers from 0 to 1 in
their order, `p` probabilities, `c` and `k` two classes, `t` three, `K` a positive definite matrix, `D` a labelled array with a NaN in it
and `W` its weights. It is computed once on NumPy arrays and once on arrays of the GPU.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import warnings
from typing import Any

import numpy as np


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


CALLS: dict[str, dict[tuple[str, ...], list[str]]] = {
    "sklearn": {
        (): _lines("""
            metrics.mean_squared_error(y, z)
            metrics.mean_absolute_error(y, z)
            metrics.r2_score(y, z)
            metrics.explained_variance_score(y, z)
            metrics.max_error(y, z)
            metrics.median_absolute_error(y, z)
            metrics.root_mean_squared_error(y, z)
            metrics.mean_pinball_loss(y, z)
            metrics.d2_tweedie_score(y, z)
            metrics.d2_absolute_error_score(y, z)
            metrics.d2_pinball_score(y, z)
            metrics.mean_absolute_percentage_error(y, z)
            metrics.mean_squared_log_error(P[:, 0], P[:, 1])
            metrics.root_mean_squared_log_error(P[:, 0], P[:, 1])
            metrics.mean_gamma_deviance(P[:, 0], P[:, 1])
            metrics.mean_poisson_deviance(P[:, 0], P[:, 1])
            metrics.mean_tweedie_deviance(P[:, 0], P[:, 1])
            metrics.accuracy_score(c, k)
            metrics.zero_one_loss(c, k)
            metrics.hamming_loss(c, k)
            metrics.log_loss(c, p)
            metrics.d2_log_loss_score(c, p)
            metrics.roc_curve(c, p)[0]
            metrics.roc_auc_score(c, p)
            metrics.average_precision_score(c, p)
            metrics.precision_recall_curve(c, p)[0]
            metrics.det_curve(c, p)[0]
            metrics.calinski_harabasz_score(X, c)
            metrics.davies_bouldin_score(X, c)
            metrics.cluster.entropy(c)
            metrics.pairwise.cosine_similarity(X)
            metrics.pairwise.euclidean_distances(X)
            metrics.pairwise.linear_kernel(X)
            metrics.pairwise.polynomial_kernel(X)
            metrics.pairwise.rbf_kernel(X)
            metrics.pairwise.sigmoid_kernel(X)
            metrics.pairwise.cosine_distances(X)
            metrics.pairwise.manhattan_distances(X)
            metrics.pairwise.laplacian_kernel(X)
            metrics.pairwise.pairwise_distances(X)
            metrics.pairwise.pairwise_kernels(X)
            metrics.pairwise.additive_chi2_kernel(P)
            metrics.pairwise.chi2_kernel(P)
            metrics.pairwise.paired_cosine_distances(X, P)
            metrics.pairwise.paired_euclidean_distances(X, P)
            metrics.pairwise.paired_manhattan_distances(X, P)
            preprocessing.MinMaxScaler().fit(X).transform(X)
            preprocessing.MaxAbsScaler().fit(X).transform(X)
            preprocessing.Normalizer().fit(X).transform(X)
            preprocessing.Binarizer().fit(X).transform(X)
            preprocessing.PolynomialFeatures().fit(X).transform(X)
            preprocessing.KernelCenterer().fit(K).transform(K)
            preprocessing.LabelEncoder().fit(c).transform(k)
            preprocessing.LabelBinarizer().fit(t).transform(t)
            preprocessing.label_binarize(t, classes=[0, 1, 2])
            preprocessing.normalize(X)
            preprocessing.minmax_scale(X)
            preprocessing.maxabs_scale(X)
            preprocessing.binarize(X)
            decomposition.PCA(2, svd_solver='full').fit(X).explained_variance_
            decomposition.PCA(2, svd_solver='full').fit_transform(X) ** 2
            decomposition.PCA(2, svd_solver='covariance_eigh').fit(X).explained_variance_
            decomposition.PCA(2, svd_solver='randomized', power_iteration_normalizer='QR', random_state=0).fit(X).explained_variance_
            linear_model.Ridge(solver='svd').fit(X, y).coef_
            linear_model.Ridge(solver='svd').fit(X, y).predict(X)
            linear_model.RidgeCV().fit(X, y).coef_
            linear_model.RidgeClassifier(solver='svd').fit(X, c).predict(X)
            linear_model.RidgeClassifierCV().fit(X, c).predict(X)
            linear_model.LogisticRegression().fit(X, c).coef_
            linear_model.LogisticRegression().fit(X, c).predict(X)
            linear_model.PoissonRegressor().fit(X, P[:, 0]).coef_
            discriminant_analysis.LinearDiscriminantAnalysis().fit(X, c).predict(X)
            discriminant_analysis.LinearDiscriminantAnalysis().fit(X, t).predict_proba(X)
            naive_bayes.GaussianNB().fit(X, c).predict(X)
            naive_bayes.GaussianNB().fit(X, t).predict_proba(X)
            mixture.GaussianMixture(2, covariance_type='diag', init_params='random', random_state=0).fit(X).means_
            pipeline.make_pipeline(preprocessing.MinMaxScaler(), linear_model.Ridge(solver='svd')).fit(X, y).predict(X)
            pipeline.make_union(preprocessing.MinMaxScaler(), preprocessing.MaxAbsScaler()).fit_transform(X)
            utils.extmath.randomized_svd(X, 2, random_state=0, power_iteration_normalizer='QR')[1]
        """),
        ("int64",): _lines("""
            metrics.balanced_accuracy_score(c, k)
            metrics.confusion_matrix(c, k)
            metrics.multilabel_confusion_matrix(c, k)
            metrics.f1_score(c, k)
            metrics.precision_score(c, k)
            metrics.recall_score(c, k)
            metrics.jaccard_score(c, k)
            metrics.cohen_kappa_score(c, k)
            metrics.fbeta_score(c, k, beta=0.5)
            metrics.precision_recall_fscore_support(c, k)[0]
            metrics.brier_score_loss(c, p)
            metrics.d2_brier_score(c, p)
            preprocessing.StandardScaler().fit(X).transform(X)
            linear_model.LogisticRegression().fit(X, t).predict_proba(X)
            kernel_approximation.Nystroem(n_components=10, random_state=0).fit_transform(X)
            model_selection.train_test_split(X, random_state=0)[0]
            model_selection.train_test_split(X, y, random_state=0)[3]
            model_selection.cross_val_predict(linear_model.Ridge(solver='svd'), X, y)
            calibration.CalibratedClassifierCV(discriminant_analysis.LinearDiscriminantAnalysis(), method='temperature', cv=2).fit(X, c).predict_proba(X)
        """),
        ("int64", "float64"): _lines("""
            metrics.matthews_corrcoef(c, k)
        """),
    },
    "scipy": {
        (): _lines("""
            stats.skew(P)
            stats.kurtosis(P)
            stats.zscore(P)
            stats.sem(P)
            stats.variation(P)
            stats.moment(P)
            stats.gmean(P)
            stats.hmean(P)
            stats.gstd(P)
            stats.tmean(P)
            stats.tvar(P)
            stats.tstd(P)
            stats.tsem(P)
            stats.tmin(P)
            stats.tmax(P)
            stats.skewtest(P)
            stats.kurtosistest(P)
            stats.normaltest(P)
            stats.jarque_bera(P)
            stats.entropy(P)
            stats.kstat(P)
            stats.kstatvar(P)
            stats.circmean(P)
            stats.circvar(P)
            stats.circstd(P)
            stats.boxcox_llf(0.5, P)
            stats.mode(P)
            stats.rankdata(P)
            stats.zmap(P, P)
            stats.differential_entropy(P)
            stats.trim_mean(P, 0.1)
            stats.lmoment(P)
            stats.bartlett(X[:, 0], X[:, 1]).statistic
            stats.power_divergence(P)
            stats.chisquare(P)
            stats.yeojohnson_llf(0.5, P)
            stats.gzscore(P)
            stats.ttest_ind(X[:, 0], X[:, 1]).statistic
            stats.ttest_ind(X[:, 0], X[:, 1]).pvalue
            stats.ttest_rel(X[:, 0], X[:, 1]).pvalue
            stats.pearsonr(y, z).statistic
            stats.pearsonr(y, z).pvalue
            stats.cramervonmises_2samp(y, z).statistic
            stats.brunnermunzel(y, z).statistic
            stats.chatterjeexi(y, z).statistic
            stats.combine_pvalues(s).statistic
            stats.false_discovery_control(s)
            stats.ttest_1samp(X, 0.).pvalue
            stats.skewtest(X).pvalue
            special.softmax(X, axis=1)
            special.log_softmax(X, axis=1)
            special.logsumexp(X, axis=1)
            special.erf(X)
            special.gammaln(P)
            special.expit(X)
            special.xlogy(P, P)
            special.entr(P)
            special.rel_entr(P, P)
            special.ndtr(X)
            special.logit(s[1:-1])
            special.i0(X)
            special.stdtr(5.0*P, X)
            special.betainc(P, P, 0.5*P/P)
            cluster.vq.whiten(X)
            cluster.vq.vq(X, X[:4])[0]
            cluster.vq.kmeans2(X, X[:3])[0]
            signal.detrend(X)
            signal.convolve(y, z, method='direct')
            signal.correlate(y, z)
            signal.medfilt(y, 3)
            integrate.trapezoid(y)
            integrate.cumulative_trapezoid(y)
            integrate.cumulative_simpson(y)
            ndimage.gaussian_filter(X, 1.0)
            ndimage.uniform_filter(X, 3)
            ndimage.sobel(X)
            ndimage.zoom(X, 2.)
            spatial.transform.Rotation.from_rotvec(X[:, :3]).as_matrix()
        """),
        ("int64",): _lines("""
            stats.describe(P)
            stats.iqr(P)
            stats.quantile(P, 0.3)
            stats.median_abs_deviation(P)
            stats.fligner(X[:, 0], X[:, 1]).statistic
            stats.levene(X[:, 0], X[:, 1]).statistic
        """),
        ("int64", "float64"): _lines("""
            stats.mannwhitneyu(y, z).statistic
            stats.mannwhitneyu(y, z).pvalue
            stats.wilcoxon(y, z).statistic
            stats.f_oneway(X[:, 0], X[:, 1]).statistic
            stats.kruskal(X[:, 0], X[:, 1]).statistic
            stats.ansari(X[:, 0], X[:, 1]).statistic
            stats.friedmanchisquare(X[:, 0], X[:, 1], X[:, 2]).statistic
            stats.bws_test(y, z).statistic
            stats.mood(y, z).statistic
            signal.get_window('hann', 8, xp=xp)
            signal.savgol_filter(y, 5, 2)
            spatial.distance.pdist(X)
        """),
    },
    "array_api_extra": {
        (): _lines("""
            xpx.atleast_nd(y, ndim=3)
            xpx.create_diagonal(y)
            xpx.expand_dims(X, axis=(0, 2))
            xpx.kron(X, P)
            xpx.nunique(c)
            xpx.one_hot(c, 2)
            xpx.pad(X, 1)
            xpx.setdiff1d(c, k)
            xpx.sinc(X)
            xpx.isclose(y, z)
            xpx.partition(y, 5)[5]
            xpx.argpartition(y, 5)[5]*0
            xpx.searchsorted(s, z)
            xpx.isin(c, k)
            xpx.union1d(c, k)
            xpx.nan_to_num(X)
            xpx.at(y)[2].set(3.)
            xpx.at(y, c > 0).add(1.)
            xpx.apply_where(y > 0, y, lambda v: v*2, fill_value=0.)
            xpx.angle(X)
            xpx.unravel_index(c, (2, 2))[0]
        """),
        ("int64", "float64"): _lines("""
            xpx.cov(X)
            xpx.cov(X.T)
        """),
    },
    "xarray": {
        (): _lines("""
            D.mean()
            D.sum()
            D.max()
            D.min()
            D.std()
            D.var()
            D.mean('a')
            D.sum('a')
            D.max('a')
            D.min('a')
            D.std('a')
            D.var('a')
            D.transpose()
            D.pad(a=1, constant_values=0.0)
            D + D.mean('b')
            D.median()
            D.median('a')
            D.quantile(0.3, 'a')
            D.quantile([0.25, 0.5], 'b')
            D.prod('b')
            D.cumsum('a')
            D.cumprod('b')
            D.fillna(0).argmax('a')
            D.fillna(0).argmin('a')
            D.clip(-1, 1)
            D.fillna(0)
            D.where(D > 0, 0)
            D.shift(a=1, fill_value=0.0)
            D.roll(a=2)
            D.diff('a')
            D.isnull()
            D.count('a')
            D.dropna('a')
            D.round(1)
            D.isel(a=[3, 1])
            D.stack(c=('a', 'b'))
            D.coarsen(a=2).mean()
            D.groupby('g').mean()
            D.weighted(W).mean('a')
            D.dot(D.fillna(0))
            D.T @ D
            xarray.concat([D, D], 'a')
            xarray.where(D > 0, D, 0)
            abs(D)
            numpy.exp(D)
        """),
    },
}
"""By library, and by the dtypes of 64 bits that the library asks for and `webgpu_widget.xp.narrowing` is to stand in for."""


def _data(library: str, put: Any) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(40, 5)).astype(np.float32)
    y = x @ np.float32([1, 2, 0, -1, 3])
    z = y + 0.1 * rng.normal(size=40).astype(np.float32)
    c, k = (y > 0).astype(np.int32), (z > 0.3).astype(np.int32)
    data: dict[str, Any] = {"X": x, "P": np.abs(x) + np.float32(0.1), "y": y, "z": z, "c": c, "k": k, "t": c + k}
    data["K"] = x.T @ x + 5 * np.eye(5, dtype=np.float32)
    data["p"] = 1 / (1 + np.exp(-z))
    data["s"] = np.linspace(0, 1, 40, dtype=np.float32)
    made = {name: put(values) for name, values in data.items()}
    if library == "xarray":
        import xarray

        gaps = x.copy()
        gaps[3, 1] = np.nan
        labels = {"a": np.arange(40), "g": ("a", np.arange(40) % 3)}
        made["D"] = xarray.DataArray(put(gaps), dims=("a", "b"), coords=labels)
        made["W"] = xarray.DataArray(put(np.abs(y)), dims="a")
    return made


def _modules(library: str) -> dict[str, Any]:
    names = {
        "sklearn": "calibration decomposition discriminant_analysis kernel_approximation linear_model metrics metrics.cluster mixture "
        "model_selection naive_bayes pipeline preprocessing utils utils.extmath",
        "scipy": "cluster.vq integrate ndimage signal spatial.transform special stats",
    }
    if library not in names:
        short = {"array_api_extra": "xpx"}.get(library, library)
        return {"numpy": np, short: importlib.import_module(library)}
    if library == "sklearn":
        importlib.import_module("sklearn").set_config(array_api_dispatch=True)
    for name in names[library].split():
        importlib.import_module(f"{library}.{name}")
    return dict(vars(sys.modules[library]))


def _host(value: Any) -> Any:
    value = getattr(value, "data", value) if type(value).__module__.startswith("xarray") else value
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def _left(library: str, value: Any) -> bool:
    """Whether an answer was made on the host, by a library that copied the arrays there."""
    if library == "xarray":
        value = value.data
    return isinstance(value, (np.ndarray, np.generic))


def verdicts(library: str) -> dict[str, str]:
    """Return for each call of a library an empty string, or what went wrong."""
    import webgpu_widget as wg

    modules, gpu = _modules(library), wg.default_gpu()
    found = {}
    for narrowed, calls in CALLS[library].items():
        for call in calls:
            try:
                want = eval(call, {**modules, **_data(library, lambda v: v), "xp": np})  # noqa: S307 - the list above
                with wg.xp.narrowing(*narrowed) if narrowed else contextlib.nullcontext():
                    got = eval(call, {**modules, **_data(library, gpu.array), "xp": wg.xp})  # noqa: S307 - the list above
                pairs = zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]
                for have, wanted in pairs:
                    # Sums of 200 float32 values, and differences of such.
                    np.testing.assert_allclose(_host(have), _host(wanted), rtol=1e-3, atol=1e-3)
                found[call] = "left the GPU" if _left(library, got) else ""
            except Exception as error:  # noqa: BLE001 - the verdict
                found[call] = f"{type(error).__name__}: {error}"
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(verdicts(sys.argv[1])))
