"""Planning of matrix products, without a browser: a queue of NumPy arrays runs what is launched."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from webgpu_widget import errors
from webgpu_widget.arrays.matmul import Operand, choose, launch, params, product_shape, tune
from webgpu_widget.arrays.matmul import launch as launch_function
from webgpu_widget.arrays.matmul.choose import Plan, Problem
from webgpu_widget.arrays.matmul.passes import View, fold, tight
from webgpu_widget.arrays.matmul.register import Register
from webgpu_widget.arrays.matmul.subgroup import Subgroup
from webgpu_widget.arrays.matmul.tiled import Tiled
from webgpu_widget.arrays.matmul.vector import Vector

EPS = float(np.finfo(np.float32).eps)
PLAIN = {"maxComputeWorkgroupStorageSize": 49152, "maxComputeInvocationsPerWorkgroup": 1024}
F16 = frozenset({"shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"})
UNITS = ({"M": 16, "N": 16, "K": 16, "componentType": "f16", "resultComponentType": "f32"},)


def adapter(*, limit=2**31, fallback=False, features=frozenset(), configs=(), vendor="nvidia"):
    return SimpleNamespace(
        vendor=vendor,
        architecture="",
        device="",
        description="",
        is_fallback=fallback,
        features=features,
        limits={**PLAIN, "maxStorageBufferBindingSize": limit},
        subgroup_matrix_configs=configs,
    )


class Buffer:
    def __init__(self, size_bytes):
        self.data = np.full(-(-size_bytes // 4), 0x7FC12345, np.uint32)
        self.size_bytes = self.data.nbytes


class NumpyQueue:
    """Runs the kernels' contracts on NumPy: what is bound, which strides, which offsets; and checks each binding's size and alignment."""

    recording = False

    def __init__(self, limit):
        self.limit = limit
        self.log = []

    def alloc(self, size_bytes, _label=""):
        return Buffer(size_bytes)

    def pipeline(self, source, label="", _entry_point=None, constants=None):
        return SimpleNamespace(source=source, label=label, constants=constants or {})

    def clear(self, buffer, offset, size_bytes):
        assert offset % 4 == size_bytes % 4 == 0
        buffer.data[offset // 4 : (offset + size_bytes) // 4] = 0

    def bound(self, value):
        buffer, offset, size = value if isinstance(value, tuple) else (value, 0, value.size_bytes)
        assert offset % 256 == 0
        assert size % 4 == 0
        assert 0 < size <= self.limit
        assert offset + size <= buffer.size_bytes
        return buffer.data[offset // 4 : (offset + size) // 4]

    def dispatch(self, pipe, args, workgroups):
        assert all(0 < count <= 65535 for count in workgroups), workgroups
        self.log.append(pipe.label)
        arrays = [self.bound(value) for group, _, value in args if group == 0]
        words = np.frombuffer(args[-1][2], "<i4").astype(np.int64).tolist()
        if pipe.label == "matmul convert":
            self.convert(arrays, words, pipe.constants)
        elif pipe.label == "matmul round":
            count, x_offset = words
            values = arrays[0].view(np.float32)[4 * x_offset : 4 * x_offset + 8 * count]
            arrays[1].view(np.float16)[: 8 * count] = values.astype(np.float16)
        elif pipe.label == "matmul reduce":
            count, splits, offset = words
            x, y = (array.view(np.float32) for array in arrays)
            old = y[offset : offset + count].copy() if pipe.constants["ACCUMULATE"] else 0.0
            y[offset : offset + count] = x[: count * splits].reshape(splits, count).sum(0, dtype=np.float64) + old
        else:
            self.product(arrays, dict(zip(params.FIELDS, words, strict=True)), workgroups, pipe.label)

    def convert(self, arrays, words, constants):
        rows, cols, out_rows, out_cols, inner, x_offset, sr, sc, so, si, _, _, total, y_offset, tr, tc, to, ti = words
        x = arrays[0].view(np.float16 if constants["X_HALF"] else np.float32)
        outer = total // (inner * out_rows * out_cols)
        o, i, r, c = np.ogrid[:outer, :inner, :rows, :cols]
        values = np.zeros((outer, inner, out_rows, out_cols), np.float32)
        values[:, :, :rows, :cols] = x[x_offset + o * so + i * si + r * sr + c * sc]
        if constants["ROUND"]:
            values = values.astype(np.float16).astype(np.float32)
        if constants["Y_HALF"]:
            arrays[1].view(np.float16)[y_offset : y_offset + total] = values.astype(np.float16).ravel()
            return
        o, i, r, c = np.ogrid[:outer, :inner, :out_rows, :out_cols]
        y, at = arrays[1].view(np.float32), y_offset + o * to + i * ti + r * tr + c * tc
        y[at] = values + (y[at] if constants["ADD"] else 0.0)

    def product(self, arrays, p, workgroups, label):
        half = "subgroup" in label
        a, b = (array.view(np.float16 if half else np.float32) for array in arrays[:2])
        out = arrays[2].view(np.float32)
        if half:
            assert p["a_offset"] % 8 == p["b_offset"] % 8 == 0
            assert not p["accumulate"]
        outer = workgroups[2] // (p["inner"] * p["splits"])
        assert workgroups[2] == outer * p["inner"] * p["splits"]
        assert workgroups[0] * workgroups[1] >= p["tiles_m"] * p["tiles_n"] or "vector" in label
        o, i = np.ogrid[:outer, : p["inner"]]
        o, i = o[..., None, None], i[..., None, None]
        m, n = np.arange(p["m"]), np.arange(p["n"])
        for split in range(p["splits"]):
            k = np.arange(split * p["k_chunk"], min(p["k"], (split + 1) * p["k_chunk"]))
            left = a[p["a_offset"] + o * p["a_outer"] + i * p["a_inner"] + m[:, None] * p["a_m"] + k * p["a_k"]]
            right = b[p["b_offset"] + o * p["b_outer"] + i * p["b_inner"] + k[:, None] * p["b_k"] + n * p["b_n"]]
            at = (
                p["out_offset"]
                + o * p["out_outer"]
                + i * p["out_inner"]
                + split * p["out_split"]
                + m[:, None] * p["out_m"]
                + n * p["out_n"]
            )
            old = out[at] if p["accumulate"] else 0.0
            out[at] = np.matmul(left.astype(np.float64), right.astype(np.float64)) + old


def operand(values, order=None, lead=0):
    """Store values with the axes in the given order of memory, `lead` elements into a buffer."""
    order = order or tuple(range(values.ndim))
    stored = np.ascontiguousarray(values.transpose(order))
    buffer = Buffer((lead + values.size) * values.itemsize)
    buffer.data.view(values.dtype)[lead : lead + values.size] = stored.ravel()
    strides = [0] * values.ndim
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= values.shape[axis]
    return Operand(buffer, values.shape, tuple(strides), lead, values.dtype)


def run(info, a, b, shape, **options):
    queue = NumpyQueue(info.limits["maxStorageBufferBindingSize"])
    gpu = SimpleNamespace(queue=queue, info=info)
    dtype = np.dtype(options.get("out_dtype", np.float32))
    count = int(np.prod(shape))
    out = Buffer(max(1, count) * dtype.itemsize)
    launch(gpu, a, b, out, **options)
    return out.data.view(dtype)[:count].reshape(shape), queue.log


def close(got, a, b, *, roundings=1.0):
    want = np.matmul(a.astype(np.float64), b.astype(np.float64))
    room = (np.matmul(np.abs(a).astype(np.float64), np.abs(b).astype(np.float64)) + 1e-30) * EPS * roundings * 4
    assert got.shape == want.shape
    assert np.all(np.abs(got - want) <= room)


SHAPES = [
    ((3, 4), (4, 5)),
    ((1, 1), (1, 1)),
    ((7,), (7,)),
    ((7,), (7, 9)),
    ((9, 7), (7,)),
    ((65, 67), (67, 69)),
    ((2, 3, 17, 19), (19, 5)),
    ((2, 1, 17, 19), (3, 19, 5)),
    ((3, 19, 5), (2, 1, 5, 17)),
    ((2, 3, 4, 5, 6), (2, 1, 4, 6, 7)),
    ((2, 3, 1, 6), (6, 5)),
    ((5, 1), (1, 5)),
    ((1, 2000), (2000, 3)),
    ((3, 2000), (2000, 1)),
    ((130, 4), (4, 260)),
]


@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_launch_computes_numpys_matmul(rng, left, right, transposed, fallback):
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in (left, right))
    orders = [(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2) if transposed and x.ndim > 1 else None for x in (a, b)]
    got, _ = run(
        adapter(fallback=fallback), operand(a, orders[0], 3), operand(b, orders[1], 5), product_shape(left, right)
    )
    close(got, a, b)


@pytest.mark.parametrize(
    "options",
    [{}, {"fallback": True}, {"limit": 64 * 1024}, {"features": F16, "configs": UNITS}],
    ids=["as it is", "on a CPU", "small bindings", "matrix units"],
)
@pytest.mark.parametrize(
    ("left", "right"), [((65, 67), (67, 69)), ((40, 2000), (2000, 40)), ((3, 7, 8), (8,)), ((2, 0), (0, 3))]
)
def test_a_product_is_added_to_what_is_there(rng, options, left, right):
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in (left, right))
    info, shape = adapter(**options), product_shape(left, right)
    old, out = rng.standard_normal(shape).astype(np.float32), Buffer(4 * int(np.prod(shape)))
    out.data.view(np.float32)[:] = old.ravel()
    gpu = SimpleNamespace(queue=NumpyQueue(info.limits["maxStorageBufferBindingSize"]), info=info)
    half = "features" in options
    launch(gpu, operand(a), operand(b), out, precision="f16" if half else "f32", accumulate=True)
    if half:
        a, b = (x.astype(np.float16).astype(np.float32) for x in (a, b))
    room = (np.matmul(np.abs(a), np.abs(b)) + np.abs(old)) * EPS * 64
    assert np.all(np.abs(out.data.view(np.float32).reshape(shape) - old - np.matmul(a.astype(np.float64), b)) <= room)


def test_a_float16_result_cannot_be_added_to(rng):
    a = operand(rng.standard_normal((2, 2)).astype(np.float32))
    with pytest.raises(ValueError, match="float32 only"):
        launch(SimpleNamespace(queue=None), a, a, Buffer(8), out_dtype=np.dtype(np.float16), accumulate=True)


def test_batch_axis_in_the_middle_of_memory_needs_no_copy(rng):
    a = rng.standard_normal((4, 6, 8)).astype(np.float32)
    b = rng.standard_normal((4, 8, 5)).astype(np.float32)
    got, log = run(adapter(), operand(a, (1, 0, 2)), operand(b, (2, 0, 1)), (4, 6, 5))
    close(got, a, b)
    assert "matmul convert" not in log


def test_one_right_operand_for_a_batch_is_one_tall_product(rng):
    a = rng.standard_normal((5, 7, 8)).astype(np.float32)
    b = rng.standard_normal((8, 6)).astype(np.float32)
    got, log = run(adapter(), operand(a), operand(b), (5, 7, 6))
    close(got, a, b)
    assert len(log) == 1


@pytest.mark.parametrize("axes", [("m", "k"), ("k", "m")])
@pytest.mark.parametrize("right", ["k", "n"])
@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_operands_beyond_a_binding_are_cut(rng, axes, right, precision):
    limit = (64 if precision == "f32" else 256) * 1024
    a = rng.standard_normal((300, 400)).astype(np.float32)
    b = rng.standard_normal((400, 350)).astype(np.float32)
    info = adapter(limit=limit, features=F16, configs=UNITS) if precision == "f16" else adapter(limit=limit)
    got, log = run(
        info,
        operand(a, None if axes == ("m", "k") else (1, 0)),
        operand(b, None if right == "k" else (1, 0)),
        (300, 350),
        precision=precision,
    )
    assert len(log) > 4
    if precision == "f16":
        a, b = a.astype(np.float16), b.astype(np.float16)
    close(got, a, b, roundings=len(log))


@pytest.mark.parametrize("count", [2000, 70_000])
def test_a_batch_beyond_a_dispatch_is_cut(rng, count):
    a, b = rng.standard_normal((count, 2, 3)).astype(np.float32), rng.standard_normal((count, 3, 2)).astype(np.float32)
    got, log = run(adapter(), operand(a), operand(b), (count, 2, 2))
    close(got, a, b)
    assert len(log) == 2 ** (count // 1023).bit_length()


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 4, 0), (3, 0, 4)])
def test_empty_products(shape):
    m, k, n = shape
    a, b = np.zeros((m, k), np.float32), np.zeros((k, n), np.float32)
    got, log = run(adapter(), operand(a), operand(b), (m, n))
    assert np.array_equal(got, a @ b)
    assert log == []


@pytest.mark.parametrize("units", [False, True])
@pytest.mark.parametrize("stored", [np.float32, np.float16])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(2, 64, 64, 128), (2, 70, 50, 33), (1, 128, 128, 64), (1, 40, 129, 17)])
def test_float16_products(rng, units, stored, transposed, shape):
    batch, m, n, k = shape
    a, b = rng.standard_normal((batch, m, k)).astype(stored), rng.standard_normal((batch, k, n)).astype(stored)
    info = adapter(features=F16, configs=UNITS) if units else adapter()
    order = (0, 2, 1) if transposed else None
    got, log = run(
        info, operand(a, order), operand(b, order), (batch, m, n), precision="f16", out_dtype=np.dtype(np.float16)
    )
    assert got.dtype == np.float16
    want = np.matmul(a.astype(np.float16).astype(np.float64), b.astype(np.float16).astype(np.float64))
    assert np.all(np.abs(got - want) <= np.abs(want) * 2**-10 + 1e-3)
    assert any("subgroup" in label for label in log) == units


def test_aligned_float16_operands_are_multiplied_where_they_lie(rng):
    a, b = rng.standard_normal((128, 64)).astype(np.float16), rng.standard_normal((64, 128)).astype(np.float16)
    _, log = run(adapter(features=F16, configs=UNITS), operand(a), operand(b), (128, 128))
    assert len(log) == 1


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ((), (3,), "at least one axis"),
        ((3, 4), (5, 6), r"\(4\).*\(5\)"),
        ((2, 3, 4), (3, 4, 5), "do not broadcast"),
        ((3,), (4,), "only"),
    ],
)
def test_shapes_that_do_not_fit_are_named(a, b, words):
    with pytest.raises(errors.ShapeError, match=words):
        product_shape(a, b)


def test_operand_checks_itself():
    with pytest.raises(ValueError, match="strides"):
        Operand(Buffer(4), (2, 2), (1,))
    with pytest.raises(TypeError, match="astype"):
        Operand(Buffer(4), (2, 2), (2, 1), 0, np.dtype(np.int32))


def test_fold_covers_and_stays_in_the_limit():
    for count in (1, 65535, 65536, 10**9):
        x, y = fold(count)
        assert x * y >= count
        assert max(x, y) <= 65535


def test_window_is_aligned_and_holds_the_view():
    buffer = Buffer(1 << 20)
    view = View(buffer, (1, 1, 10, 20), (0, 0, -400, 2), 100_000, half=False)
    (_, start, size), offset = view.window(1024)
    low, high = view.reach()
    assert start % 256 == 0
    assert start <= low * 4
    assert (high + 1) * 4 <= start + size
    assert offset * 4 + start == view.offset * 4
    assert view.window(1 << 30) == (buffer, 100_000)


def problem(m, n, k, *, batch=1, aligned=True):
    return Problem(batch, m, n, k, k, 1, n, 1, aligned, aligned, aligned)


@pytest.mark.parametrize(
    ("size", "kind"),
    [((2048, 2048, 2048), Tiled), ((8, 8, 8), Register), ((512, 1, 512), Vector), ((64, 64, 9000), Tiled)],
)
def test_kind_of_kernel_by_shape(size, kind):
    plans = choose.matrix_plans(problem(*size), adapter())
    assert isinstance(plans[0].variant, kind)


def test_deep_products_are_split_and_large_ones_are_not():
    assert choose.matrix_plans(problem(64, 64, 9000), adapter())[0].splits > 8
    assert choose.matrix_plans(problem(4096, 4096, 4096), adapter())[0].splits == 1


def test_cpu_adapters_get_neither_workgroup_memory_nor_barriers():
    for size in ((512, 512, 512), (1, 300, 7), (300, 1, 9), (5, 5, 5)):
        (plan,) = choose.matrix_plans(problem(*size), adapter(fallback=True, features=frozenset({"subgroups"})))
        assert "workgroupBarrier" not in plan.source()
        assert "var<workgroup>" not in plan.source()


def test_kernels_stay_within_small_adapters():
    info = adapter()
    info.limits.update(maxComputeWorkgroupStorageSize=16384, maxComputeInvocationsPerWorkgroup=256)
    for plan in choose.matrix_plans(problem(4096, 4096, 4096), info):
        assert plan.variant.workgroup_bytes <= 16384
        assert plan.variant.threads <= 256


@pytest.mark.parametrize(
    ("info", "has"),
    [
        (adapter(features=F16, configs=UNITS), True),
        (adapter(features=F16, configs=({**UNITS[0], "K": 8}, *UNITS)), True),
        (adapter(features=F16, configs=({**UNITS[0], "resultComponentType": "f16"},)), False),
        (adapter(features=F16, configs=({**UNITS[0], "M": 8, "N": 8, "K": 8},)), False),
        (adapter(features=F16, configs=()), False),
        (adapter(features=F16 - {"subgroups"}, configs=UNITS), False),
        (adapter(features=F16, configs=UNITS, vendor="intel"), False),
    ],
)
def test_matrix_units_need_features_shape_and_subgroups_of_32(info, has):
    assert choose.has_matrix_units(info) == has


# ------------------------------------------------------------ autotune


PLANS = [Plan(Tiled(64, 64, 16, 8, 8)), Plan(Tiled(128, 64, 16, 8, 8)), Plan(Register())]


class SlowQueue:
    """Takes a given time for each plan that was emitted before a wait."""

    recording = False

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.pending = 0.0
        self.waits = 0
        monkeypatch.setattr(tune.time, "perf_counter", lambda: self.now)

    def request(self, _command, _what, _timeout):
        self.waits += 1
        self.now += 0.001 + self.pending
        self.pending = 0.0


@pytest.fixture
def tuned(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("WEBGPU_WIDGET_AUTOTUNE", raising=False)
    monkeypatch.setattr(tune, "_loaded_from", None)
    queue = SlowQueue(monkeypatch)
    costs = dict(zip((plan.name for plan in PLANS), (0.004, 0.002, 0.003), strict=True))

    def emit(plan):
        queue.pending += costs[plan.name]

    gpu = SimpleNamespace(queue=queue, info=adapter())
    return SimpleNamespace(
        gpu=gpu, queue=queue, emit=emit, path=tmp_path / "webgpu_widget" / "matmul.json", costs=costs
    )


BIG = problem(2048, 2048, 2048)


def test_the_fastest_wins_and_is_remembered(tuned, monkeypatch):
    assert tune.best(tuned.gpu, BIG, PLANS, tuned.emit) is PLANS[1]
    waits = tuned.queue.waits
    assert tune.best(tuned.gpu, problem(2000, 1999, 1500), PLANS, tuned.emit) is PLANS[1]
    monkeypatch.setattr(tune, "_loaded_from", None)  # another process
    assert tune.best(tuned.gpu, BIG, PLANS, tuned.emit) is PLANS[1]
    assert tuned.queue.waits == waits
    assert json.loads(tuned.path.read_text())["format"] == tune.FORMAT


def test_other_classes_and_adapters_are_measured_anew(tuned):
    tune.best(tuned.gpu, BIG, PLANS, tuned.emit)
    waits = tuned.queue.waits
    tune.best(tuned.gpu, problem(4096, 4096, 4096), PLANS, tuned.emit)
    assert tuned.queue.waits > waits
    waits = tuned.queue.waits
    tuned.gpu.info.device = "another"
    tune.best(tuned.gpu, BIG, PLANS, tuned.emit)
    assert tuned.queue.waits > waits


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 0, "winners": {}}', '{"format": 1, "winners": [1]}'])
def test_a_broken_file_is_ignored_and_replaced(tuned, content):
    tuned.path.parent.mkdir(parents=True)
    tuned.path.write_text(content)
    assert tune.best(tuned.gpu, BIG, PLANS, tuned.emit) is PLANS[1]
    assert json.loads(tuned.path.read_text())["winners"]
    assert [item.name for item in tuned.path.parent.iterdir()] == ["matmul.json"]


def test_an_unwritable_folder_is_no_error(tuned, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert tune.best(tuned.gpu, BIG, PLANS, tuned.emit) is PLANS[1]


def test_nothing_is_measured_when_off_small_recording_or_on_a_cpu(tuned, monkeypatch):
    assert tune.best(tuned.gpu, problem(64, 64, 64), PLANS, tuned.emit) is PLANS[0]
    assert tune.best(tuned.gpu, BIG, PLANS[:1], tuned.emit) is PLANS[0]
    monkeypatch.setenv("WEBGPU_WIDGET_AUTOTUNE", "0")
    assert tune.best(tuned.gpu, BIG, PLANS, tuned.emit) is PLANS[0]
    monkeypatch.delenv("WEBGPU_WIDGET_AUTOTUNE")
    tuned.queue.recording = True
    assert tune.best(tuned.gpu, BIG, PLANS, tuned.emit) is PLANS[0]
    tuned.queue.recording = False
    tuned.gpu.info.is_fallback = True
    assert tune.best(tuned.gpu, BIG, PLANS, tuned.emit) is PLANS[0]
    assert tuned.queue.waits == 0


def test_what_may_not_be_measured_takes_what_was(tuned):
    assert tune.best(tuned.gpu, BIG, PLANS, None) is PLANS[0]
    tune.best(tuned.gpu, BIG, PLANS, tuned.emit)
    waits = tuned.queue.waits
    assert tune.best(tuned.gpu, BIG, PLANS, None) is PLANS[1]
    tuned.queue.recording = True
    assert tune.best(tuned.gpu, BIG, PLANS, tuned.emit) is PLANS[1]
    assert tuned.queue.waits == waits


def test_a_host_that_cannot_wait_takes_the_first(tuned, monkeypatch):
    def refuse(*_):
        raise errors.FrontendError("this host cannot wait")

    monkeypatch.setattr(tuned.queue, "request", refuse, raising=False)
    assert tune.best(tuned.gpu, BIG, PLANS, tuned.emit) is PLANS[0]
    assert not tuned.path.exists()


def test_variants_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="do not divide"):
        Plan(Tiled(256, 128, 8, 8, 8)).source()
    with pytest.raises(ValueError, match="do not divide"):
        Plan(Subgroup(16, 16, 4, 4, 16)).source()


def test_tight_views_cover_their_buffer():
    view = tight(Buffer(96), (2, 1, 3, 4))
    assert view.reach() == (0, 23)
    assert launch_function is launch
