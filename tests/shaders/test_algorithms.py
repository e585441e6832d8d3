"""Known algorithms in WGSL, each against NumPy or SciPy in float64, on fresh random input."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.sparse
import scipy.sparse.csgraph

import webgpu_widget as wg

HERE = pathlib.Path(__file__).parent / "algorithms"
EPS = float(np.finfo(np.float32).eps)


def wgsl(name: str) -> str:
    return (HERE / f"{name}.wgsl").read_text()


def test_bitonic_sort_sorts_as_numpy(gpu, rng):
    n = 1024
    x = rng.standard_normal(n).astype(np.float32)
    step = gpu.kernel(wgsl("bitonic_sort"), name="bitonic_sort")
    values = gpu.array(x)
    block = 2
    while block <= n:
        distance = block // 2
        while distance:
            step(values=values, step={"block": block, "distance": distance}, threads=n)
            distance //= 2
        block *= 2
    assert np.array_equal(values.numpy(), np.sort(x))


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1009, 5000])
def test_prefix_sum_equals_cumsum(gpu, rng, n):
    x = rng.integers(0, 1000, n, dtype=np.uint32)
    kernel = gpu.kernel(wgsl("prefix_sum"), name="prefix_sum")
    block = 32
    outputs = kernel(
        x=x,
        y=wg.out(n, np.uint32),
        sums=wg.out(-(-n // block), np.uint32),
        threads=n,
        entry_point="scan_blocks",
        constants={"BLOCK": block},
    )
    kernel(y=outputs["y"], sums=outputs["sums"], threads=n, entry_point="add_sums", constants={"BLOCK": block})
    assert np.array_equal(outputs["y"].numpy(), np.cumsum(x, dtype=np.uint32))


def test_histogram_counts_as_numpy(gpu, rng):
    data = rng.integers(0, 256, 40_000, dtype=np.uint8)
    counts = gpu.run(wgsl("histogram"), words=data.view(np.uint32), bins=wg.out(256, np.uint32), threads=data.size // 4)
    assert np.array_equal(counts, np.bincount(data, minlength=256))


def test_life_runs_as_scipy_says(gpu, rng):
    height, width, steps = 37, 53, 20
    world = rng.integers(0, 2, (height, width), dtype=np.uint32)
    step = gpu.kernel(wgsl("life"), name="life")
    a, b = gpu.array(world), gpu.zeros((height, width), np.uint32)
    with gpu.record() as program:
        step(now=a, next=b, size=(width, height), threads=(width, height))
        step(now=b, next=a, size=(width, height), threads=(width, height))
    program.replay(times=steps // 2)
    kernel = np.ones((3, 3), int)
    expected = world.astype(int)
    for _ in range(steps):
        around = scipy.ndimage.convolve(expected, kernel, mode="wrap")
        expected = ((around == 3) | ((around == 4) & (expected == 1))).astype(int)
    assert np.array_equal(a.numpy(), expected)


def test_n_body_keeps_to_float64(gpu, rng):
    n, dt, softening = 300, 0.01, 0.1
    kernel = gpu.kernel(wgsl("n_body"), name="n_body")
    bodies = np.zeros(n, [("mass", "f4"), ("position", "f4", 3), ("velocity", "f4", 3)])
    bodies["position"] = rng.standard_normal((n, 3))
    bodies["velocity"] = rng.standard_normal((n, 3))
    bodies["mass"] = rng.uniform(0.5, 1.5, n)
    moved = kernel(
        bodies=bodies,
        moved=wg.out(n, dtype=bodies.dtype),
        setup={"dt": dt, "softening": softening},
        threads=n,
    ).numpy()
    position = bodies["position"].astype(float)
    offset = position[None] - position[:, None]
    squared = (offset**2).sum(-1) + softening**2
    pull = bodies["mass"].astype(float)[None, :, None] * offset / squared[..., None] ** 1.5
    velocity = bodies["velocity"] + dt * pull.sum(1)
    # n terms summed one after the other: the error grows with n, on the scale of the sum of magnitudes.
    tolerance = dt * n * EPS * np.abs(pull).sum(1) + 8 * EPS * np.abs(velocity)
    assert moved.dtype == bodies.dtype
    assert np.all(np.abs(moved["velocity"] - velocity) <= tolerance + 1e-6)
    assert np.allclose(moved["position"], position + dt * velocity, rtol=0, atol=float(dt * tolerance.max() + 1e-6))
    assert np.array_equal(moved["mass"], bodies["mass"])


@pytest.mark.parametrize(("shape", "radius"), [((33, 47), 2), ((8, 8), 1), ((5, 64), 3)])
def test_convolution_equals_scipy(gpu, rng, shape, radius):
    image = rng.standard_normal(shape).astype(np.float32)
    weights = rng.standard_normal((2 * radius + 1, 2 * radius + 1)).astype(np.float32)
    result = gpu.run(
        wgsl("convolve"),
        image=image,
        weights=weights,
        result=wg.out(shape),
        size=(shape[1], shape[0]),
        threads=(shape[1], shape[0]),
        constants={"RADIUS": radius},
    )
    expected = scipy.signal.convolve2d(image.astype(float), weights.astype(float), mode="same", boundary="symm")
    bound = scipy.signal.convolve2d(np.abs(image), np.abs(weights), mode="same", boundary="symm")
    assert np.all(np.abs(result - expected) <= weights.size * EPS * bound)


@pytest.mark.parametrize("n", [2, 64, 4096])
def test_fft_equals_numpy(gpu, rng, n):
    x = (rng.standard_normal(n) + 1j * rng.standard_normal(n)).astype(np.complex64)
    step = gpu.kernel(wgsl("fft"), name="fft")
    source = gpu.array(np.stack([x.real, x.imag], -1))
    span = 1
    while span < n:
        source = step(source=source, result=wg.out((n, 2)), span=span, threads=n // 2)
        span *= 2
    result = source.numpy()
    expected = np.fft.fft(x.astype(complex))
    # sin and cos are good to 2**-11 in WGSL's worst case; their error enters once a pass.
    tolerance = 2**-11 * np.log2(n) * np.sqrt(np.mean(np.abs(expected) ** 2))
    assert np.max(np.abs(result[:, 0] + 1j * result[:, 1] - expected)) <= tolerance


def test_jacobi_steps_replayed_settle_as_in_float64(gpu, rng):
    height, width, steps = 24, 40, 1000
    heat = np.zeros((height, width), np.float32)
    heat[0], heat[:, -1] = rng.uniform(50, 100, width), rng.uniform(0, 50, height)
    a, b = gpu.array(heat), gpu.array(heat)
    step = gpu.kernel(wgsl("jacobi"), name="jacobi")
    with gpu.record() as program:
        step(now=a, next=b, size=(width, height), threads=(width, height))
        step(now=b, next=a, size=(width, height), threads=(width, height))
    assert program.stats["dispatches"] == 2
    assert np.array_equal(a.numpy(), heat), "recording must not run anything"
    program.replay(times=steps // 2)
    expected = heat.astype(float)
    for _ in range(steps):
        inner = 0.25 * (expected[1:-1, :-2] + expected[1:-1, 2:] + expected[:-2, 1:-1] + expected[2:, 1:-1])
        expected[1:-1, 1:-1] = inner
    # Each step is a mean (no growth) and rounds thrice on values of at most 100.
    assert np.max(np.abs(a.numpy() - expected)) <= 3 * steps * EPS * 100


def test_sobel_filter_through_textures(gpu, rng):
    photo = rng.integers(0, 256, (31, 45, 3), dtype=np.uint8)
    edges = gpu.run(
        wgsl("sobel"),
        photo=wg.texture(photo),
        nearest=wg.sampler("nearest"),
        edges=wg.out_texture(photo.shape[:2], "rgba8unorm"),
        threads=(photo.shape[1], photo.shape[0]),
    )
    grey = (photo / 255.0) @ [0.2125, 0.7154, 0.0721]
    across = scipy.ndimage.sobel(grey, 1, mode="nearest"), scipy.ndimage.sobel(grey, 0, mode="nearest")
    expected = np.clip(np.hypot(*across) / 4, 0, 1)
    assert edges.shape == (31, 45, 4)
    assert edges.dtype == np.uint8
    assert np.all(edges[..., 3] == 255)
    # Adapters may be off by 0.6 of a step when they store a unorm (Direct3D 11.3 functional spec, 3.2.3.6; Vulkan asks no more).
    assert np.max(np.abs(edges[..., 0] / 255.0 - expected)) <= 0.6 / 255 + 1e-4


def test_sparse_matrix_vector_product_equals_scipy(gpu, rng):
    matrix = scipy.sparse.random(700, 500, 0.02, "csr", np.float32, random_state=rng)
    x = rng.standard_normal(500).astype(np.float32)
    y = gpu.run(
        wgsl("spmv"),
        row_starts=matrix.indptr.astype(np.uint32),
        columns=matrix.indices.astype(np.uint32),
        values=matrix.data,
        x=x,
        y=wg.out(700),
        threads=700,
    )
    expected = matrix.astype(float) @ x.astype(float)
    bound = np.diff(matrix.indptr).max() * EPS * (abs(matrix).astype(float) @ np.abs(x))
    assert np.all(np.abs(y - expected) <= bound + 1e-12)


def test_shortest_paths_equal_scipy(gpu, rng):
    n = 40
    graph = np.where(rng.random((n, n)) < 0.2, rng.integers(1, 100, (n, n)), 0).astype(np.float32)
    start = np.where(graph > 0, graph, np.float32(1e9))
    np.fill_diagonal(start, 0)
    distances = gpu.array(start)
    step = gpu.kernel(wgsl("floyd_warshall"), name="floyd_warshall", constants={"N": n})
    for pivot in range(n):
        step(distance_to=distances, pivot=pivot, threads=(n, n))
    result = distances.numpy()
    expected = scipy.sparse.csgraph.floyd_warshall(graph)
    assert np.array_equal(np.where(result >= 1e9, np.inf, result), expected)
