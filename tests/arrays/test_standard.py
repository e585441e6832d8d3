"""The namespace against array-api-strict, and other people's array code on it."""

from __future__ import annotations

import inspect
import itertools
import os
import subprocess
import sys
import textwrap

import array_api_strict as strict
import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import xp

# What needs dtypes that WGSL has not, and what strict adds for its own flags.
ABSENT = {"complex128", "float64", "int8", "int16", "int64", "uint8", "uint16", "uint64"}
OWN = {name for name in dir(strict) if "flag" in name.lower() or name.startswith("_") or name[0].isupper()}
FUNCTIONS = sorted(
    n
    for n in set(strict.__all__) - ABSENT - OWN
    if callable(getattr(strict, n)) and not isinstance(getattr(strict, n), type)
)
DTYPES = {name: getattr(xp, name) for name in ("float32", "complex64", "int32", "uint32", "bool")}


def parameters(function):
    return [(p.name, p.kind) for p in inspect.signature(function).parameters.values()]


def test_every_name_is_there():
    missing = {n for n in strict.__all__ if not hasattr(xp, n)} - ABSENT - OWN
    assert missing <= {"set_array_api_strict_flags", "reset_array_api_strict_flags"}
    assert {n for n in strict.linalg.__all__ if not hasattr(xp.linalg, n)} == set()


NAMED = ["int8", "int16", "int64", "uint8", "uint16", "uint64", "float64", "complex128"]


@pytest.mark.parametrize("name", NAMED)
def test_a_dtype_that_wgsl_has_not_is_a_name_to_compare_with_and_refused_by_every_creation(gpu, name):
    dtype = getattr(xp, name)
    assert dtype == np.dtype(name)
    assert dtype not in xp.__array_namespace_info__().dtypes().values()
    kinds = [
        k for k in ("signed integer", "unsigned integer", "real floating", "complex floating") if xp.isdtype(dtype, k)
    ]
    assert len(kinds) == 1
    x = xp.ones(3, device=gpu)
    for create in (
        lambda: xp.zeros(3, dtype=dtype, device=gpu),
        lambda: xp.ones(3, dtype=dtype, device=gpu),
        lambda: xp.empty(3, dtype=dtype, device=gpu),
        lambda: xp.full(3, 1, dtype=dtype, device=gpu),
        lambda: xp.arange(3, dtype=dtype, device=gpu),
        lambda: xp.linspace(0, 1, 3, dtype=dtype, device=gpu),
        lambda: xp.eye(3, dtype=dtype, device=gpu),
        lambda: xp.asarray([1], dtype=dtype, device=gpu),
        lambda: xp.asarray(np.ones(3, dtype), device=gpu),
        lambda: xp.zeros_like(x, dtype=dtype),
        lambda: xp.astype(x, dtype),
        lambda: xp.sum(x, dtype=dtype),
        lambda: gpu.array([1], dtype=dtype),
    ):
        with pytest.raises(wg.DTypeError, match=name):
            create()


def test_both_editions_of_the_standard_are_there(gpu):
    x = xp.asarray([1, 2], device=gpu)
    new, old = (x.__array_namespace__(api_version=v) for v in ("2025.12", "2024.12"))
    assert (new.__array_api_version__, old.__array_api_version__) == ("2025.12", "2024.12")
    assert new is xp
    for edition, kind in ((new, tuple), (old, list)):
        assert type(edition.meshgrid(x, x)) is kind
        assert type(edition.broadcast_arrays(x, x[:1])) is kind
        assert type(edition.__array_namespace_info__().devices()) is kind
    assert not hasattr(old, "isin")
    assert new.broadcast_shapes((2, 1), (3,)) == (2, 3)
    assert new.broadcast_shapes() == ()
    assert new.isin(x, 2).numpy().tolist() == [False, True]
    assert new.isin(x, xp.asarray([2, 5], device=gpu), invert=True).numpy().tolist() == [True, False]
    with pytest.raises(ValueError, match="2025.12"):
        x.__array_namespace__(api_version="2031.12")


def test_isin_knows_zeros_and_nan(gpu):
    x = xp.asarray(np.float32([0, -0.0, np.nan, 3]), device=gpu)
    assert xp.isin(x, xp.asarray(np.float32([-0.0, np.nan]), device=gpu)).numpy().tolist() == [True, True, False, False]
    assert not xp.isin(x, xp.zeros((0,), device=gpu)).any()


def test_what_libraries_write_as_in_numpy(gpu):
    x = xp.asarray(np.float32([1, 4, 4, 0]), device=gpu)
    assert xp.diff(x, 2).numpy().tolist() == [-3, -4]
    assert xp.diff(xp.reshape(x, (2, 2)), 1, 0).numpy().tolist() == [[3, -4]]
    assert [i.numpy().tolist() for i in xp.where(x)] == [[0, 1, 2]]
    assert xp.logical_or(x - 1, xp.diff(x, append=x[:1])).numpy().tolist() == [True, True, True, True]
    assert xp.logical_not(xp.asarray(np.float32([0, -0.0, np.nan, 1e-40]), device=gpu)).numpy().tolist()[:3] == [
        True,
        True,
        False,
    ]
    assert xp.einsum("i,i->", x, x).item() == 33
    with pytest.raises(TypeError, match="x1 and x2"):
        xp.where(x, x, None)


def test_the_place_of_an_infinity_is_not_that_of_a_nan(gpu):
    x = np.float32([[np.nan, -np.inf, np.nan], [np.nan, np.nan, -np.inf]])
    assert xp.nanargmax(gpu.array(x), 1).numpy().tolist() == [1, 2]
    assert xp.nanargmin(gpu.array(-x), 1, keepdims=True).numpy().tolist() == [[1], [2]]
    with pytest.raises(ValueError, match="nothing but NaN"):
        xp.nanargmax(gpu.array(x), 0)
    assert xp.nanargmax(gpu.array([3, 5])).item() == 1


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if hasattr(xp, n) and n in strict.__all__])
def test_signatures(name):
    theirs, ours = (getattr(m, name) for m in (strict, xp))
    try:
        wanted = parameters(theirs)
    except ValueError:
        pytest.fail(f"{name} has no signature")
    have = dict(parameters(ours))
    for parameter, kind in wanted:
        assert parameter in have or kind == inspect.Parameter.POSITIONAL_ONLY, parameter
        if kind == inspect.Parameter.KEYWORD_ONLY:
            assert have[parameter] in (kind, inspect.Parameter.POSITIONAL_OR_KEYWORD), parameter


@pytest.mark.parametrize(("left", "right"), list(itertools.product(DTYPES, repeat=2)))
def test_promotion(gpu, left, right):
    try:
        wanted = strict.result_type(getattr(strict, left), getattr(strict, right))
    except TypeError:
        # What the standard leaves open is NumPy's answer where WGSL has it, else an error.
        numpys = np.result_type(left, right)
        if numpys.name not in DTYPES:
            with pytest.raises(wg.DTypeError):
                xp.result_type(DTYPES[left], DTYPES[right])
        return
    if str(wanted).rsplit(".", 1)[-1] not in DTYPES:
        with pytest.raises(wg.DTypeError):
            xp.result_type(DTYPES[left], DTYPES[right])
        return
    assert xp.result_type(DTYPES[left], DTYPES[right]).name == str(wanted).rsplit(".", 1)[-1]
    a, b = xp.ones(2, dtype=DTYPES[left], device=gpu), xp.ones(2, dtype=DTYPES[right], device=gpu)
    assert xp.where(True, a, b).dtype == xp.result_type(a, b)


def test_inspection_tells_the_truth(gpu):
    info = xp.__array_namespace_info__()
    assert info.capabilities()["data-dependent shapes"]
    assert set(info.dtypes()) == set(DTYPES)
    assert set(info.dtypes(kind="complex floating")) == {"complex64"}
    assert set(info.dtypes(kind=("bool", "integral"))) == {"bool", "int32", "uint32"}
    for name, dtype in info.dtypes().items():
        assert xp.zeros(2, dtype=dtype, device=gpu).numpy().dtype == np.dtype(name)
    defaults = info.default_dtypes()
    assert xp.asarray([1.0], device=gpu).dtype == defaults["real floating"]
    assert xp.asarray([1], device=gpu).dtype == defaults["integral"]
    assert xp.argsort(xp.ones(3, device=gpu)).dtype == defaults["indexing"]
    assert xp.finfo(xp.float32).eps == 2.0**-23
    assert type(xp.iinfo(xp.int32).max) is int
    assert xp.isdtype(xp.uint32, ("bool", "integral"))
    assert not xp.can_cast(xp.uint32, xp.int32)


def run_with_array_api(program):
    """Run a program of which SciPy and scikit-learn must hear at their import that arrays of others come."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        env={**os.environ, "SCIPY_ARRAY_API": "1", "WEBGPU_WIDGET_TRANSPORT": "headless"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.endswith("agree\n"), done.stderr[-2000:]


@pytest.mark.long
def test_scipy_runs_on_it_unchanged():
    run_with_array_api("""
        import numpy as np, webgpu_widget as wg
        from scipy import cluster, special, stats
        x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
        a = wg.default_gpu().array(x)
        pairs = [
            (special.softmax(a, axis=1), special.softmax(x, axis=1)),
            (special.logsumexp(a, axis=1), special.logsumexp(x, axis=1)),
            (stats.zscore(a), stats.zscore(x)),
            (stats.skew(a), stats.skew(x)),
            (cluster.vq.whiten(a), cluster.vq.whiten(x)),
        ]
        for got, want in pairs:
            assert isinstance(got, wg.GPUArray)
            np.testing.assert_allclose(got.numpy(), want, rtol=2e-4, atol=2e-5)
        wg.default_gpu().close()
        print("agree")
    """)


@pytest.mark.long
def test_scikit_learn_runs_on_it_unchanged():
    run_with_array_api("""
        import numpy as np, sklearn, webgpu_widget as wg
        from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer
        x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
        a = wg.default_gpu().array(x)
        for scaler in (MinMaxScaler, MaxAbsScaler, Normalizer):
            with sklearn.config_context(array_api_dispatch=True):
                got = scaler().fit_transform(a)
            assert isinstance(got, wg.GPUArray)
            np.testing.assert_allclose(got.numpy(), scaler().fit_transform(x), rtol=1e-6, atol=1e-6)
        wg.default_gpu().close()
        print("agree")
    """)
