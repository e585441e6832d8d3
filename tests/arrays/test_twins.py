"""Every shader of the arrays against its NumPy twin, and by itself."""

from __future__ import annotations

import pathlib
import re

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import xp
from webgpu_widget._lazy import search
from webgpu_widget._lazy.runtime import runtime_of
from webgpu_widget._lazy.statistics import scan
from webgpu_widget.linalg import _factor, _solve
from webgpu_widget.reference import array as twins

FOLDER = pathlib.Path(wg.__file__).parent / "shaders" / "array"
SHADERS = sorted(path.stem for path in FOLDER.glob("*.wgsl"))
OURS = [name for name in SHADERS if name != "repack"]
SIZES = [1, 63, 64, 65, 127]


def entries(source):
    return re.findall(r"@compute[^\n]*\n(?:@[^\n]*\n)?fn (\w+)|@compute @workgroup_size\(\d+\) fn (\w+)", source)


@pytest.mark.parametrize("name", OURS)
def test_compiles_with_no_message(gpu, name):
    source = (FOLDER / f"{name}.wgsl").read_text()
    assert source.startswith("// ")
    for word in ("Accuracy", "Twin"):
        assert word in source[: source.index("\n\n")], word
    assert hasattr(twins, name)
    names = [a or b for a, b in entries(source)]
    if not names:
        source += "\n@compute @workgroup_size(1) fn main() {}\n"
        names = ["main"]
    for entry in names:
        kernel = gpu.kernel(source, name=f"{name}_{entry}", entry_point=entry)
        assert kernel.reflection is not None
        assert not kernel._result["messages"]


def leaf(gpu, array):
    return gpu.array(array)._node


def read(gpu, node):
    from webgpu_widget._lazy.build import wrap

    return wrap(gpu, node).numpy()


@pytest.mark.parametrize("size", SIZES)
def test_scan(gpu, rng, size):
    x = rng.normal(size=(2, size, 3)).astype(np.float32)
    got = read(gpu, scan(runtime_of(gpu), leaf(gpu, x), 1, "sum"))
    np.testing.assert_allclose(got, twins.scan(x, 1), rtol=1e-4, atol=1e-5)
    i = rng.integers(-3, 4, (size, 2)).astype(np.int32)
    got = read(gpu, scan(runtime_of(gpu), leaf(gpu, i), 0, "prod"))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(got, twins.scan(i, 0, product=True))


@pytest.mark.parametrize("size", SIZES)
def test_merge(gpu, rng, size):
    keys = rng.integers(0, 20, (3, size)).astype(np.uint32)
    got, index = (read(gpu, n) for n in search.sort_keys(runtime_of(gpu), leaf(gpu, keys)))
    want, places = keys.copy(), np.tile(np.arange(size, dtype=np.uint32), (3, 1))
    width = 1
    while width < size:
        want, places = twins.merge(want, places, width)
        width *= 2
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(index, places)


@pytest.mark.parametrize("size", SIZES)
def test_search_compress_scatter(gpu, rng, size):
    x = np.sort(rng.integers(0, 30, size)).astype(np.uint32)
    wanted = rng.integers(0, 40, 2 * size + 1).astype(np.uint32)
    for right in (False, True):
        got = xp.searchsorted(gpu.array(x), gpu.array(wanted), side="right" if right else "left").numpy()
        np.testing.assert_array_equal(got, twins.search(x, wanted, right=right))
    mask = rng.random(size) < 0.5
    np.testing.assert_array_equal(read(gpu, search.flat_nonzero(gpu.array(mask))), twins.compress(mask))
    place, value = rng.integers(0, size, 3 * size).astype(np.int32), rng.normal(size=3 * size).astype(np.float32)
    y = gpu.zeros(size)
    y[gpu.array(place)] = gpu.array(value)
    np.testing.assert_array_equal(y.numpy(), twins.scatter(np.zeros(size, np.float32), place, value))


@pytest.mark.parametrize("size", [*SIZES, 1023])
@pytest.mark.parametrize("seed", [0, 1, -1, 2**40 + 3])
def test_philox(gpu, size, seed):
    np.testing.assert_array_equal(xp.random.bits(size, seed, device=gpu).numpy(), twins.philox(size, seed))


@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 5), (4, 1, 4), (7, 13, 9)])
def test_product(gpu, rng, dtype, shape):
    m, k, n = shape
    a = rng.integers(0, 2**31, (2, m, k)).astype(dtype)
    b = rng.integers(0, 2**31, (k, n)).astype(dtype)
    np.testing.assert_array_equal((gpu.array(a) @ gpu.array(b)).numpy(), twins.product(a, b))


@pytest.mark.parametrize("side", [1, 31, 32, 33, 47])
def test_lu_triangular_cholesky(gpu, rng, side):
    runtime = runtime_of(gpu)
    a = rng.normal(size=(side, side)).astype(np.float32)
    got, pivots = (read(gpu, n) for n in _solve.decompose(runtime, leaf(gpu, a)))
    want, places = twins.lu(a.astype(np.float64))
    np.testing.assert_array_equal(pivots, places)
    np.testing.assert_allclose(got, want, rtol=1e-2, atol=1e-3)
    low = (np.tril(a) + 4 * np.sqrt(side) * np.eye(side)).astype(np.float32)
    b = rng.normal(size=(side, 3)).astype(np.float32)
    for lower in (True, False):
        for unit in (False, True):
            matrix = (low if lower else low.T).copy() / (8 if unit else 1)
            x = gpu.array(b) * 1
            runtime.materialise(x._node)
            _solve.triangular(runtime, leaf(gpu, matrix), x._node, lower=lower, unit=unit)
            want = twins.triangular(matrix.astype(np.float64), b.astype(np.float64), lower=lower, unit=unit)
            np.testing.assert_allclose(x.numpy(), want, rtol=1e-3, atol=1e-3 * np.abs(want).max())
    spd = low @ low.T
    np.testing.assert_allclose(
        wg.linalg.cholesky(gpu.array(spd)).numpy(), twins.cholesky(spd.astype(np.float64)), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (5, 7), (40, 33)])
def test_householder(gpu, rng, shape):
    a = rng.normal(size=shape).astype(np.float32)
    got, factor = (read(gpu, n) for n in _factor._reflections(runtime_of(gpu), leaf(gpu, a)))
    want, factors = twins.householder(a.astype(np.float64))
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(factor, factors, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [2, 3, 8, 13])
def test_jacobi(gpu, rng, side):
    m = rng.normal(size=(side, side))
    a = (m + m.T).astype(np.float32)
    diagonal, vectors = twins.jacobi(a.astype(np.float64), 12)
    values, got = (n.numpy() for n in wg.linalg.eigh(gpu.array(a)))
    order = np.argsort(np.diag(diagonal))
    np.testing.assert_allclose(values, np.diag(diagonal)[order], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.abs(got.T), np.abs(vectors[order]), rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("name", sorted({**twins.elementwise, **twins.transcendental}))
def test_library(gpu, rng, name):
    integers, exact = name.startswith(("i_", "u_")), name in twins.elementwise
    dtype = {"f": np.float32, "h": np.float32, "i": np.int32, "u": np.uint32}[name[0]]
    function = {**twins.elementwise, **twins.transcendental}[name]
    two = name in ("f_logaddexp", "f_atan2", "f_hypot", "f_pow") or getattr(function, "nin", 1) == 2
    if integers:
        x, y = rng.integers(0, 2**31, 500).astype(dtype), rng.integers(1, 31, 500).astype(dtype)
    else:
        x, y = rng.uniform(0.01, 0.99, 500).astype(dtype), rng.uniform(0.1, 5, 500).astype(dtype)
        x[:2] = [0.0, 0.5]
    if name == "f_acosh":
        x += 1
    source = (FOLDER / ("elementwise.wgsl" if exact else "transcendental.wgsl")).read_text()
    call = f"{name}(x[i], y[i])" if two else f"{name}(x[i])"
    arguments = (x, y) if two else (x,)
    with np.errstate(all="ignore"):
        want = function(*arguments) if exact else function(*(a.astype(np.float64) for a in arguments)).astype(dtype)
    elem = {"f": "f32", "h": "f32", "i": "i32", "u": "u32"}[name[0]]
    value = f"select(0u, 1u, {call})" if want.dtype == bool else f"bitcast<u32>({call})"
    source += f"""
@group(0) @binding(0) var<storage, read> x: array<{elem}>;
@group(0) @binding(1) var<storage, read> y: array<{elem}>;
@group(0) @binding(2) var<storage, read_write> z: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {{
  let i = id.x;
  if (i < arrayLength(&z)) {{ z[i] = {value}; _ = y[0]; }}
}}"""
    got = gpu.run(source, x=x, y=y, z=wg.out(500, np.uint32), threads=500)
    got = got != 0 if want.dtype == bool else got.view(dtype)
    if exact and name not in ("f_sqrt", "f_divide"):
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=4e-7, atol=1e-37)
