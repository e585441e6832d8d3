"""Matrix products in the browser against float64 NumPy, and every kernel that the generators make."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from webgpu_widget.arrays.matmul import Operand, choose, launch, product_shape, tune
from webgpu_widget.arrays.matmul import launch as launch_product
from webgpu_widget.arrays.matmul.choose import Plan
from webgpu_widget.arrays.matmul.passes import View, convert, reduce_splits, tight
from webgpu_widget.arrays.matmul.register import Register
from webgpu_widget.arrays.matmul.tiled import Tiled
from webgpu_widget.arrays.matmul.vector import Vector
from webgpu_widget.reference import matrix as reference

EPS = float(np.finfo(np.float32).eps)


def upload(gpu, values):
    """A buffer of its own: an array's memory goes back to its pool with the array, however many views of it there are."""
    memory = gpu._device.queue.alloc(values.nbytes)
    gpu._device.queue.write(memory, np.ascontiguousarray(values).reshape(-1).view(np.uint8))
    return memory


def operand(gpu, values, *, transposed=False):
    if transposed and values.ndim > 1:
        return operand(gpu, np.ascontiguousarray(np.swapaxes(values, -1, -2))).mT
    return Operand.tight(upload(gpu, values), values.shape, values.dtype)


def product(gpu, a, b, *, transposed_a=False, transposed_b=False, info=None, **options):
    """Launch a product; `info` makes the launch plan for another adapter than the one that runs it."""
    shape = product_shape(a.shape, b.shape)
    out = gpu.array(np.full(shape, np.nan, options.get("out_dtype", np.float32)))
    target = gpu._device if info is None else SimpleNamespace(queue=gpu._device.queue, info=info)
    launch(
        target,
        operand(gpu, a, transposed=transposed_a),
        operand(gpu, b, transposed=transposed_b),
        out._memory,
        **options,
    )
    return out.numpy()


def check(got, a, b, *, half=False):
    """Each element within K roundings of float32, of the sum of the products' sizes: the bound of a sum in any order."""
    want = reference.product(a, b, half=half)
    sizes = reference.product(np.abs(a), np.abs(b), half=half)
    room = (a.shape[-1] + 1) * EPS * sizes + 1e-30
    assert got.shape == want.shape
    assert np.all(np.abs(got - want) <= room), float(np.max(np.abs(got - want) / room))


def as_gpu(gpu):
    """What a GPU without subgroup matrices would say of itself, within what this adapter can run."""
    return SimpleNamespace(
        vendor="test", architecture="", device="", description="", is_fallback=False, features=frozenset(),
        limits=gpu.info.limits, subgroup_matrix_configs=(),
    )  # fmt: skip


SHAPES = [
    (1, 1, 1),
    (1, 7, 5),
    (7, 1, 5),
    (16, 64, 33),
    (17, 65, 1),
    (67, 31, 101),
    (128, 64, 16),
    (129, 131, 20),
    (3, 260, 64),
    (260, 3, 64),
]


@pytest.mark.parametrize("as_other", [False, True])
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
def test_products_equal_numpy(gpu, rng, transposed, as_other):
    for m, n, k in SHAPES:
        a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
        got = product(
            gpu, a, b, transposed_a=transposed[0], transposed_b=transposed[1], info=as_gpu(gpu) if as_other else None
        )
        check(got, a, b)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((5,), (5,)),
        ((5,), (5, 3)),
        ((4, 5), (5,)),
        ((2, 3, 4, 5), (5, 6)),
        ((2, 1, 4, 5), (3, 5, 6)),
        ((5, 6), (2, 6, 3)),
        ((2, 2, 2, 3, 4), (2, 1, 2, 4, 3)),
    ],
)
def test_vectors_and_batches_equal_numpy(gpu, rng, left, right):
    a, b = rng.standard_normal(left).astype(np.float32), rng.standard_normal(right).astype(np.float32)
    for transposed in (False, True):
        check(product(gpu, a, b, transposed_a=transposed, transposed_b=transposed), a, b)


def test_an_inner_size_of_zero_gives_zeros(gpu):
    got = product(gpu, np.zeros((3, 0), np.float32), np.zeros((0, 4), np.float32))
    assert np.array_equal(got, np.zeros((3, 4)))


def test_nan_and_inf_go_where_numpy_puts_them(gpu):
    a = np.array([[np.inf, 1, 2], [0, np.nan, 1], [1, 2, 3]], np.float32)
    b = np.array([[1, 0], [2, 3], [-np.inf, 5]], np.float32)
    with np.errstate(invalid="ignore"):
        want = a @ b
    assert np.array_equal(product(gpu, a, b), want, equal_nan=True)


@pytest.mark.parametrize("stored", [np.float32, np.float16])
def test_float16_precision_rounds_operands_and_sums_in_float32(gpu, rng, stored):
    a, b = rng.standard_normal((33, 70)).astype(stored), rng.standard_normal((70, 41)).astype(stored)
    for transposed in (False, True):
        got = product(gpu, a, b, transposed_a=transposed, transposed_b=transposed, precision="f16")
        check(got, a, b, half=True)


def test_float16_results_are_rounded_once(gpu, rng):
    a, b = rng.standard_normal((5, 3, 7)).astype(np.float16), rng.standard_normal((5, 7, 9)).astype(np.float16)
    got = product(gpu, a, b, out_dtype=np.dtype(np.float16))
    want = reference.product(a, b)
    assert np.all(np.abs(got - want) <= np.abs(want) * 2**-10 + 1e-3)


def test_operands_beyond_a_binding(gpu, rng):
    a, b = rng.standard_normal((300, 200)).astype(np.float32), rng.standard_normal((200, 260)).astype(np.float32)
    info = as_gpu(gpu)
    info.limits = {**info.limits, "maxStorageBufferBindingSize": 64 * 1024}
    for transposed in (False, True):
        check(product(gpu, a, b, transposed_a=transposed, transposed_b=transposed, info=info), a, b)


TILED = [
    Tiled(64, 64, 16, 8, 8, double=False),
    Tiled(64, 64, 8, 8, 8),
    Tiled(128, 64, 16, 8, 8, double=False),
    Tiled(64, 64, 16, 8, 4, double=False, wide=4),
]


@pytest.mark.parametrize("a_load", ["vec", "vec_t", "any", "any_t"])
@pytest.mark.parametrize("b_load", ["vec", "vec_t", "any", "any_t"])
@pytest.mark.parametrize("edge", [False, True])
def test_every_way_to_load_a_tile(gpu, rng, a_load, b_load, edge):
    base = TILED[0]
    variant = Tiled(base.bm, base.bn, base.bk, base.tm, base.tn, a_load, b_load, edge, double=edge)
    if variant.workgroup_bytes > gpu.info.limits["maxComputeWorkgroupStorageSize"]:
        variant = Tiled(base.bm, base.bn, 8, base.tm, base.tn, a_load, b_load, edge)
    m, n, k = (68, 132, 44) if edge else (128, 64, 32)
    check_plan(gpu, rng, Plan(variant), m, n, k, a_load.endswith("_t"), b_load.endswith("_t"))


@pytest.mark.parametrize(
    "plan",
    [
        *(Plan(variant, 2) for variant in TILED),
        Plan(Register(4, 4, 4, 8, 8)),
        Plan(Register(16, 4, 2, 16, 1, quad=True)),
        Plan(Register(3, 2, 1, 4, 2), 3),
    ],
    ids=lambda plan: plan.name,
)
def test_every_kernel_with_edges_and_splits(gpu, rng, plan):
    from dataclasses import replace

    variant = replace(plan.variant, edge=True)
    for m, n, k in ((68, 132, 44), (4, 4, 64), (132, 60, 4)):
        check_plan(gpu, rng, Plan(variant, plan.splits), m, n, k, False, False)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("vec", [False, True])
@pytest.mark.parametrize("splits", [1, 3])
def test_vector_kernels(gpu, rng, across, vec, splits):
    for m, k in ((256, 1040), (4, 4), (260, 36)) if vec else ((257, 1031), (1, 1), (5, 3)):
        for rows in (2, 8):
            check_plan(gpu, rng, Plan(Vector(across, vec, rows, 64, 4), splits), m, 1, k, across, False)


def check_plan(gpu, rng, plan, m, n, k, transposed_a, transposed_b):
    a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    out = gpu.array(np.full((m, n), np.nan, np.float32))
    stored = [
        gpu.array(np.ascontiguousarray(x.T if transposed else x))
        for x, transposed in ((a, transposed_a), (b, transposed_b))
    ]
    views = [
        View(
            array._memory,
            (1, 1, *x.shape),
            (0, 0, *((1, x.shape[0]) if transposed else (x.shape[1], 1))),
            0,
            half=False,
        )
        for array, x, transposed in zip(stored, (a, b), (transposed_a, transposed_b), strict=True)
    ]
    whole = emit_module().Product(*views, tight(out._memory, (1, 1, m, n)))
    emit_module()._emit(gpu._device, whole, plan)
    check(out.numpy(), a, b)


def emit_module():
    import importlib

    return importlib.import_module("webgpu_widget.arrays.matmul.launch")


@pytest.mark.parametrize("through_half", [False, True])
@pytest.mark.parametrize("x_half", [False, True])
@pytest.mark.parametrize("y_half", [False, True])
@pytest.mark.parametrize(("columns", "padded"), [(7, 9), (150, 160), (161, 161), (700, 1030)])
def test_convert_equals_its_twin(gpu, rng, x_half, y_half, through_half, columns, padded):
    x = rng.standard_normal((2, 3, 5, columns)).astype(np.float16 if x_half else np.float32)
    y_dtype = np.float16 if y_half else np.float32
    through = through_half and not y_half
    source, target = gpu.array(x), gpu.array(np.full((2, 3, 6, padded), np.nan, y_dtype))
    convert(
        gpu._device.queue,
        tight(source._memory, x.shape, half=x_half),
        tight(target._memory, (2, 3, 6, padded), half=y_half),
        through_half=through,
    )
    assert np.array_equal(target.numpy(), reference.convert(x, 6, padded, y_dtype, through_half=through))


def beside_every_float16():
    """Every float16 as float32, and the float32 below, on and above each middle between two neighbours; overflow, infinities and NaN."""
    every = np.arange(0x7C01, dtype=np.uint16).view(np.float16).astype(np.float32)
    with np.errstate(invalid="ignore"):
        middle = np.append((every[:-2] + every[1:-1]) / 2, np.float32(65520))
    above = np.nextafter(middle, np.float32(np.inf))
    values = np.concatenate([every, np.nextafter(middle, np.float32(0)), middle, above, [70000, 1e10, 3e38, np.nan]])
    # Each beside small ones, which a neighbour that spills would change.
    return np.stack([values, np.ones_like(values), -values, np.full_like(values, -2)], -1).astype(np.float32).ravel()


@pytest.mark.parametrize("way", ["run", "odd", "through"])
def test_rounding_to_float16_is_numpys_for_every_value_and_touches_no_neighbour(gpu, way):
    x = beside_every_float16()
    x = x[: x.size // 8 * 8 - (way == "odd")].reshape(1, 1, 1, -1)
    y_half = way != "through"
    source, target = gpu.array(x), gpu.array(np.zeros(x.shape, np.float16 if y_half else np.float32))
    convert(
        gpu._device.queue,
        tight(source._memory, x.shape),
        tight(target._memory, x.shape, half=y_half),
        through_half=not y_half,
    )
    want, got = reference.round_half(x), target.numpy()
    numbers = ~np.isnan(want)
    assert np.array_equal(np.isnan(got), ~numbers)
    assert np.array_equal(got[numbers], want[numbers])
    assert np.array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))


@pytest.mark.parametrize(
    "h",
    [
        [[np.inf, 1], [1, 1]],
        [[65504, 2], [0.5, -np.inf]],
        [[np.nan, 1], [-65504, 3]],
        [[300, 300, 1], [1, -1, 2], [-300, 1e-7, -np.inf]],
    ],
)
def test_float16_products_overflow_as_numpys_and_touch_no_neighbour(gpu, h):
    h = np.array(h, np.float16)
    # Sums in float32, one rounding at the end.
    with np.errstate(over="ignore", invalid="ignore"):
        want = (h.astype(np.float32) @ h.astype(np.float32)).astype(np.float16)
    assert np.array_equal((gpu.array(h) @ gpu.array(h)).numpy(), want, equal_nan=True)


@pytest.mark.parametrize("large", [70000, 65520, -1e30, np.inf])
def test_float16_precision_takes_what_float16_cannot_hold_for_infinite(gpu, large):
    a = np.array([[large, 1, 0], [1, 1, 2]], np.float32)
    b = np.array([[1, 2], [2, 1], [1, 1]], np.float32)
    sign = np.copysign(np.inf, large)
    got = product(gpu, a, b, precision="f16")
    assert np.array_equal(got, [[sign, sign], [5, 5]])


@pytest.mark.parametrize("count", [1, 255, 257, 1009])
def test_round_half_equals_its_twin(gpu, rng, count):
    x = rng.standard_normal(8 * count + 4).astype(np.float32)
    source, target = gpu.array(x), gpu.array(np.full(8 * count, np.nan, np.float16))
    view = View(source._memory, (1, 1, 1, 8 * count), (0, 0, 0, 1), 4, half=False)
    convert(gpu._device.queue, view, tight(target._memory, (1, 1, 1, 8 * count), half=True))
    assert np.array_equal(target.numpy(), reference.round_half(x[4:]))


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1009])
@pytest.mark.parametrize("accumulate", [False, True])
def test_reduce_splits_equals_its_twin(gpu, rng, count, accumulate):
    x, y = rng.standard_normal((5, count)).astype(np.float32), rng.standard_normal(count + 2).astype(np.float32)
    source, target = gpu.array(x), gpu.array(y)
    reduce_splits(gpu._device.queue, source._memory, target._memory, 2, count, 5, accumulate=accumulate)
    want = reference.reduce_splits(x, y[2:] if accumulate else None)
    assert np.allclose(target.numpy()[2:], want, rtol=5 * EPS, atol=10 * EPS)
    assert np.array_equal(target.numpy()[:2], y[:2])


def test_split_sums_are_the_same_on_every_run(gpu, rng):
    a, b = rng.standard_normal((8, 4000)).astype(np.float32), rng.standard_normal((4000, 8)).astype(np.float32)
    info = as_gpu(gpu)
    assert choose.matrix_plans(choose.Problem(1, 8, 8, 4000, 4000, 1, 8, 1, True, True, True), info)[0].splits > 1
    first = product(gpu, a, b, info=info)
    check(first, a, b)
    assert all(np.array_equal(product(gpu, a, b, info=info), first) for _ in range(3))


def test_autotune_measures_on_the_real_queue(gpu, rng, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tune, "_loaded_from", None)
    monkeypatch.setattr(tune, "LEAST_FLOPS", 0)
    monkeypatch.setattr(tune, "ROUND_S", 0.001)
    a, b = rng.standard_normal((100, 60)).astype(np.float32), rng.standard_normal((60, 100)).astype(np.float32)
    check(product(gpu, a, b, info=as_gpu(gpu)), a, b)
    content = (tmp_path / "webgpu_widget" / "matmul.json").read_text()
    assert "128x128x64 batch 1" in content
    assert launch_product is launch
