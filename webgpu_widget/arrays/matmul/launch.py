"""Queue a matrix product of any shape and layout."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from webgpu_widget.arrays.matmul import choose, tune
from webgpu_widget.arrays.matmul.choose import Plan, Problem, Variant
from webgpu_widget.arrays.matmul.operand import Operand, product_shape
from webgpu_widget.arrays.matmul.params import Params
from webgpu_widget.arrays.matmul.passes import View, convert, fold, reduce_splits, tight
from webgpu_widget.arrays.matmul.register import Register
from webgpu_widget.arrays.matmul.subgroup import Subgroup
from webgpu_widget.arrays.matmul.subproducts import Product, bands, products, stretches, swapped
from webgpu_widget.arrays.matmul.tiled import Tiled
from webgpu_widget.arrays.matmul.vector import Vector
from webgpu_widget.device.limits import SAFE_WORKGROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Buffer, Pipeline

Precision = Literal["f32", "f16"]
FLOAT32 = np.dtype(np.float32)


class Dispatch(NamedTuple):
    """One kernel: its bindings of group 0 in order, the uniform of group 1, and its workgroups."""

    pipeline: Pipeline
    buffers: tuple[Buffer, Buffer, Buffer]
    uniform: bytes
    workgroups: tuple[int, int, int]


LONG = 8192
"""An inner size above this is summed in runs, since the error of a sum one by one grows with its length."""
RUN = 4096
"""How much of a long inner size one run sums."""
_MOST_RUNS = 64
_RUNS_BYTES = 64 * 1024 * 1024
"""What the partial sums of runs side by side may take; further runs come after these and add to their sum."""


def launch(
    device: Device,
    a: Operand,
    b: Operand,
    out: Buffer,
    *,
    precision: Precision = "f32",
    out_dtype: np.dtype[np.float32] | np.dtype[np.float16] = FLOAT32,
    accumulate: bool = False,
) -> Dispatch | None:
    """Queue ``out = a @ b``, or ``out += a @ b``.

    Returns what was queued where that is one kernel that any product of these shapes and layouts takes.

    Parameters
    ----------
    device
        Whose queue takes the work, and whose adapter decides the kernel.
    a, b
        Operands whose shapes fit by ``np.matmul``'s rules (see `product_shape`).
    out
        A buffer that is none of the operands' and holds ``product_shape(a.shape, b.shape)`` elements of `out_dtype` from its start. It is
        written whole, in C order; what it held does not matter. With an inner size of 0 it is filled with zeros.
    precision
        ``"f32"`` multiplies the operands as they are; ``"f16"`` rounds them to float16 first, and uses matrix units where the adapter has them.
        Two float16 operands use them too: their products are exact. Sums are float32 always.
    out_dtype
        float32 or float16, rounded once at the end.
    accumulate
        Add to what `out` holds, which is float32 then.

    Raises
    ------
    ShapeError
        When the shapes do not fit.
    ValueError
        When a float16 result is to be added to.
    """
    shape = product_shape(a.shape, b.shape)
    count = int(np.prod(shape, dtype=np.int64))
    out_half = np.dtype(out_dtype) == np.float16
    queue = device.queue
    if accumulate and out_half:
        raise ValueError("a product is added to float32 only; pass out_dtype=float32, or accumulate=False")
    if count == 0 or (accumulate and a.shape[-1] == 0):
        return None
    if a.shape[-1] == 0:
        queue.clear(out, 0, (count * (2 if out_half else 4) + 3) // 4 * 4)
        return None
    queued: list[Dispatch | None] = []
    target = queue.alloc(count * 4, "matmul out") if out_half else out
    for whole in products(a, b, target):
        product = replace(whole, accumulate=whole.accumulate or accumulate)
        if precision == "f16" or (product.a.half and product.b.half):
            _run_half(device, product)
            queued.append(None)
        else:
            queued += _run_single(device, product)
    if out_half:
        sizes = (1, 1, 1, count)
        convert(queue, tight(target, sizes), tight(out, sizes, half=True))
        return None
    return queued[0] if len(queued) == 1 else None


# ------------------------------------------------------------ kernels


def _limit(device: Device) -> int:
    return device.info.limits["maxStorageBufferBindingSize"]


def _single(device: Device, view: View, *, through_half: bool) -> View:
    """Return a view as tight float32, when it is float16 or is to be rounded to it."""
    if not view.half and not through_half:
        return view
    is_transposed = abs(view.strides[2]) < abs(view.strides[3])
    x = swapped(view) if is_transposed else view
    y = tight(device.queue.alloc(int(np.prod(x.sizes)) * 4, "matmul operand"), x.sizes)
    convert(device.queue, x, y, through_half=through_half and not view.half, limit=_limit(device))
    return swapped(y) if is_transposed else y


def _run_single(device: Device, product: Product, *, through_half: bool = False) -> list[Dispatch | None]:
    """Queue a product in float32 arithmetic; returns what `_emit` does, for each subproduct."""
    if through_half or product.a.half or product.b.half:
        for part in bands(product, _limit(device) // 2):
            a, b = (_single(device, view, through_half=through_half) for view in (part.a, part.b))
            _run_single(device, replace(part, a=a, b=b))
        return [None]
    queued = []
    for subproduct in _summed_apart(device, product):
        problem = _problem(subproduct)
        if _better_transposed(problem, fallback=device.info.is_fallback):
            a, b, out = (swapped(view) for view in (subproduct.a, subproduct.b, subproduct.out))
            subproduct = Product(b, a, out, subproduct.accumulate)  # noqa: PLW2901
            problem = _problem(subproduct)
        one = _emit(device, subproduct, _best(device, subproduct, problem, choose.matrix_plans(problem, device.info)))
        # What is measured first may become another.
        queued.append(one if problem.flops < tune.LEAST_FLOPS else None)
    return queued


def _summed_apart(device: Device, product: Product) -> Iterator[Product]:
    """Yield a product in subproducts that fit a binding, and whose runs along k may lie side by side."""
    for subproduct in bands(product, _limit(device)):
        m, n, k = subproduct.mnk
        if k <= LONG or (
            min(m, n) == 1 and not device.info.is_fallback
        ):  # a vector's kernel sums in many invocations anyway
            yield subproduct
            continue
        count = subproduct.out.sizes[0] * subproduct.out.sizes[1] * m * n
        yield from stretches(subproduct, RUN * max(1, min(_MOST_RUNS, _RUNS_BYTES // (count * 4))))


def _runs(variant: Variant, k: int) -> int:
    """Return how many runs the inner axis is summed in, for accuracy alone."""
    return -(-k // RUN) if k > LONG and isinstance(variant, (Tiled, Register)) else 1


def _better_transposed(p: Problem, *, fallback: bool) -> bool:
    """Whether to compute the transposed product: a row vector becomes a column, and invocations lie along the longer side."""
    return p.m == 1 and p.n > 1 if not fallback else p.n < 4 and p.m > p.n


def _problem(product: Product) -> Problem:
    m, n, k = product.mnk
    a, b, out = product.a, product.b, product.out

    def aligned(view: View, *which: int) -> bool:
        return view.offset % 4 == 0 and all(view.strides[i] % 4 == 0 for i in which)

    return Problem(
        out.sizes[0] * out.sizes[1],
        m,
        n,
        k,
        *a.strides[2:],
        *b.strides[2:],
        a_aligned=aligned(a, 0, 1),
        b_aligned=aligned(b, 0, 1),
        out_aligned=aligned(out, 0, 1) and out.strides[3] in (0, 1) and out.strides[2] % 4 == 0,
    )


def _emit(device: Device, product: Product, plan: Plan) -> Dispatch | None:
    """Queue the dispatches of one plan; returns the only one, where it binds whole buffers."""
    queue, limit = device.queue, _limit(device)
    variant = plan.variant
    m, n, k = product.mnk
    outer, inner = product.out.sizes[:2]
    step = variant.bk
    wanted = max(plan.splits, _runs(variant, k))
    chunk = -(-k // (wanted * step)) * step
    splits = -(-k // chunk)
    if isinstance(variant, Vector):
        tiles_m, tiles_n = -(-m // variant.outputs), 1
    else:
        tiles_m, tiles_n = -(-m // variant.bm), -(-n // variant.bn)
    bound_a, a_offset = product.a.window(limit)
    bound_b, b_offset = product.b.window(limit)
    bound_out, out_offset = product.out.window(limit)
    count = outer * inner * m * n
    partial = None
    if splits > 1 and (count * splits * 4 > limit or _contiguous(product.out) != count):
        splits, chunk = 1, k
    target, target_offset, accumulate = bound_out, out_offset, product.accumulate
    if splits > 1:
        target = partial = queue.alloc(count * splits * 4, "matmul partial sums")
        target_offset, accumulate = 0, False
    params = Params(
        m, n, k, chunk, tiles_m, tiles_n, inner, splits,
        a_offset, product.a.strides[2], product.a.strides[3], *product.a.strides[:2],
        b_offset, product.b.strides[2], product.b.strides[3], *product.b.strides[:2],
        target_offset, *product.out.strides[2:], *product.out.strides[:2], count if splits > 1 else 0, int(accumulate),
    )  # fmt: skip
    if isinstance(variant, (Register, Vector)):
        grid = fold(tiles_m * tiles_n)
    else:
        grid = (tiles_n, tiles_m) if max(tiles_n, tiles_m) <= SAFE_WORKGROUPS else fold(tiles_m * tiles_n)
    pipeline, uniform = queue.pipeline(plan.source(), f"matmul {variant.name}"), params.pack()
    workgroups = (*grid, outer * inner * splits)
    queue.dispatch(pipeline, [(0, 0, bound_a), (0, 1, bound_b), (0, 2, target), (1, 0, uniform)], workgroups)
    if partial is not None:
        reduce_splits(queue, partial, bound_out, out_offset, count, splits, accumulate=product.accumulate)
    elif bound_a is product.a.buffer and bound_b is product.b.buffer and target is product.out.buffer:
        return Dispatch(pipeline, (bound_a, bound_b, target), uniform, workgroups)
    return None


def _contiguous(view: View) -> int:
    """Return the number of elements from the first to the last that a view touches."""
    low, high = view.reach()
    return high - low + 1


# ------------------------------------------------------------ float16


def _run_half(device: Device, product: Product) -> None:
    """Queue a product of float16 operands (rounded to it, if need be) on matrix units, or in float32 arithmetic where there are none."""
    m, n, k = product.mnk
    variants = choose.half_plans(m, n, device.info) if k >= 16 and choose.has_matrix_units(device.info) else []
    if not variants:
        _run_single(device, product, through_half=not (product.a.half and product.b.half))
        return
    limit = _limit(device)
    for subproduct in bands(product, limit):
        if max(_padded(subproduct, variants[0])) <= limit:
            _run_half_subproduct(device, subproduct, variants)
        else:  # whole tiles make a subproduct up to eight times larger
            for part in bands(subproduct, limit // 8):
                _run_half_subproduct(device, part, variants)


def _whole_tiles(product: Product, variant: Subgroup) -> tuple[int, int, int]:
    """Return rows, columns and depth rounded up to the variant's tile."""
    m, n, k = product.mnk
    return tuple(-(-size // step) * step for size, step in ((m, variant.bm), (n, variant.bn), (k, variant.bk)))  # type: ignore[return-value]


def _padded(product: Product, variant: Subgroup) -> tuple[int, int, int]:
    """Return the bytes of a, b and out when they are padded to whole tiles."""
    rows, cols, depth = _whole_tiles(product, variant)
    batch = product.out.sizes[0] * product.out.sizes[1]
    return batch * rows * depth * 2, batch * depth * cols * 2, batch * rows * cols * 4


def _run_half_subproduct(device: Device, product: Product, variants: list[Subgroup]) -> None:
    m, n, _ = product.mnk
    rows, cols, depth = _whole_tiles(product, variants[0])
    a = _packed(device, product.a, rows, depth)
    b = _packed(device, product.b, depth, cols)
    direct = (rows, cols) == (m, n) and not product.accumulate and product.out.strides[2:] == (n, 1)
    outer, inner = product.out.sizes[:2]
    out = product.out
    if not direct:
        out = tight(device.queue.alloc(outer * inner * rows * cols * 4, "matmul out"), (outer, inner, rows, cols))
    whole = Product(a, b, out)
    a_t, b_t = _along_rows(a), _along_rows(b)
    plans = [
        Plan(replace(one, a_t=a_t, b_t=b_t))
        for one in variants
        if rows % one.bm == 0 and cols % one.bn == 0 and depth % one.bk == 0
    ]
    plan = _best(device, whole, _problem(whole), plans)
    _emit(device, whole, plan)
    if not direct:
        cropped = replace(out, sizes=product.out.sizes)
        convert(device.queue, cropped, product.out, add=product.accumulate, limit=_limit(device))


def _best(device: Device, product: Product, problem: Problem, plans: list[Plan]) -> Plan:
    """Return the plan that autotune prefers."""

    def emit(plan: Plan) -> None:
        _emit(device, product, plan)

    # measuring repeats a plan: not where it adds to what is there
    return tune.best(device, problem, plans, None if product.accumulate else emit)


def _along_rows(view: View) -> bool:
    """Whether neighbours in memory are neighbours along the rows."""
    return view.strides[2] == 1 and view.strides[3] != 1


def _packed(device: Device, view: View, rows: int, cols: int) -> View:
    """Return a view as float16 of at least the given sizes, contiguous along one axis and aligned to 16 bytes; itself, where it is."""
    is_transposed = abs(view.strides[2]) < abs(view.strides[3])
    x = swapped(view) if is_transposed else view
    sizes = (*x.sizes[:2], cols, rows) if is_transposed else (*x.sizes[:2], rows, cols)
    ready = x.half and x.sizes == sizes and x.strides[3] == 1 and not any(s % 8 for s in (*x.strides[:3], x.offset))
    if not ready:
        y = tight(device.queue.alloc(int(np.prod(sizes)) * 2, "matmul operand"), sizes, half=True)
        convert(device.queue, x, y, limit=_limit(device))
        x = y
    return swapped(x) if is_transposed else x
