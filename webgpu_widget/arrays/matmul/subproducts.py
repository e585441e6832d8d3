"""A product as launched, cut into subproducts that fit: two batch axes, a dispatch's workgroups, a binding's bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from webgpu_widget.arrays.matmul.passes import View
from webgpu_widget.device.limits import SAFE_WORKGROUPS

if TYPE_CHECKING:
    from webgpu_widget.arrays.matmul.operand import Operand
    from webgpu_widget.device.handles import Buffer

Axis = Literal["outer", "inner", "m", "n", "k"]


@dataclass(frozen=True, slots=True)
class Product:
    """``out (+)= a @ b`` over two batch axes: a is (outer, inner, m, k), b (outer, inner, k, n), out (outer, inner, m, n)."""

    a: View
    b: View
    out: View
    accumulate: bool = False

    @property
    def mnk(self) -> tuple[int, int, int]:
        """Rows, columns and the inner size."""
        return self.out.sizes[2], self.out.sizes[3], self.a.sizes[3]


def products(a: Operand, b: Operand, out: Buffer) -> Iterator[Product]:
    """Yield products of two batch axes at most; further ones are walked here."""
    shape_a = a.shape if len(a.shape) > 1 else (1, *a.shape)
    strides_a = a.strides if len(a.shape) > 1 else (0, *a.strides)
    shape_b = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    strides_b = b.strides if len(b.shape) > 1 else (*b.strides, 0)
    batch = np.broadcast_shapes(shape_a[:-2], shape_b[:-2])
    (m, k), n = shape_a[-2:], shape_b[-1]

    def spread(shape: tuple[int, ...], strides: tuple[int, ...]) -> list[int]:
        missing = len(batch) - (len(shape) - 2)
        return [0] * missing + [0 if size == 1 else step for size, step in zip(shape[:-2], strides[:-2], strict=True)]

    axes: list[tuple[int, int, int, int]] = []  # size, stride in a, in b, in out
    step = m * n
    for size, sa, sb in reversed(list(zip(batch, spread(shape_a, strides_a), spread(shape_b, strides_b), strict=True))):
        if size > 1:
            if axes and (sa, sb) == (axes[0][0] * axes[0][1], axes[0][0] * axes[0][2]):
                axes[0] = (axes[0][0] * size, *axes[0][1:])
            else:
                axes.insert(0, (size, sa, sb, step))
        step *= size
    (am, ak), (bk, bn) = strides_a[-2:], strides_b[-2:]
    if axes and axes[-1][2] == 0 and axes[-1][1] == m * am:  # one B for a run of As: one tall product
        m *= axes.pop()[0]
    if axes and m == 1 and axes[-1][2] == 0:
        size, am, _, _ = axes.pop()
        m = size
    am, ak, bk, bn = (0 if size == 1 else stride for size, stride in ((m, am), (k, ak), (k, bk), (n, bn)))
    axes = [(1, 0, 0, 0)] * (2 - len(axes)) + axes
    *walked, first, second = axes
    for index in np.ndindex(*(axis[0] for axis in walked)):
        da, db, do = (sum(i * axis[which] for i, axis in zip(index, walked, strict=True)) for which in (1, 2, 3))
        whole = Product(
            View(
                a.buffer,
                (first[0], second[0], m, k),
                (first[1], second[1], am, ak),
                a.offset + da,
                a.dtype == np.float16,
            ),
            View(
                b.buffer,
                (first[0], second[0], k, n),
                (first[2], second[2], bk, bn),
                b.offset + db,
                b.dtype == np.float16,
            ),
            View(out, (first[0], second[0], m, n), (first[3], second[3], n, 1), do, half=False),
        )
        yield from _subproducts(whole, SAFE_WORKGROUPS // 64)


def _part(view: View, axis: int, start: int, stop: int) -> View:
    sizes = list(view.sizes)
    sizes[axis] = stop - start
    outer, inner, rows, cols = sizes
    return replace(view, sizes=(outer, inner, rows, cols), offset=view.offset + start * view.strides[axis])


def _cut(product: Product, axis: Axis, at: int) -> tuple[Product, Product]:
    """Cut a product in two along one of its five axes; the second half along k adds to the first."""
    where = {"outer": (0, 0, 0), "inner": (1, 1, 1), "m": (2, None, 2), "n": (None, 3, 3), "k": (3, 2, None)}[axis]
    views = (product.a, product.b, product.out)
    size = next(view.sizes[index] for view, index in zip(views, where, strict=True) if index is not None)
    halves = []
    for start, stop in ((0, at), (at, size)):
        a, b, out = (
            view if index is None else _part(view, index, start, stop) for view, index in zip(views, where, strict=True)
        )
        halves.append(Product(a, b, out, product.accumulate or (axis == "k" and start > 0)))
    return halves[0], halves[1]


def _subproducts(product: Product, most: int) -> Iterator[Product]:
    """Yield a product in subproducts whose batch fits a dispatch."""
    outer, inner = product.out.sizes[:2]
    if outer * inner <= most:
        yield product
        return
    axis: Literal["outer", "inner"] = "outer" if outer > 1 else "inner"
    for part in _cut(product, axis, (outer if outer > 1 else inner) // 2):
        yield from _subproducts(part, most)


def bands(product: Product, limit: int) -> Iterator[Product]:
    """Yield a product in subproducts each of whose operands fits one binding."""
    axes: dict[str, tuple[Axis, ...]] = {
        "a": ("outer", "inner", "m", "k"),
        "b": ("outer", "inner", "k", "n"),
        "out": ("outer", "inner", "m", "n"),
    }
    for which, names in axes.items():
        view: View = getattr(product, which)
        if view.buffer.size_bytes > limit and view.bytes_spanned() > limit:
            reach = [(size - 1) * abs(stride) for size, stride in zip(view.sizes, view.strides, strict=True)]
            widest = reach.index(max(reach))
            size = view.sizes[widest]
            at = size // 2
            if names[widest] in ("m", "n", "k") and size > 256:
                at = at // 128 * 128
            for part in _cut(product, names[widest], at):
                yield from bands(part, limit)
            return
    yield product


def stretches(product: Product, length: int) -> Iterator[Product]:
    """Yield a product in subproducts along k of at most `length`, of which each but the first adds to what is there."""
    while product.mnk[2] > length:
        first, product = _cut(product, "k", length)
        yield first
    yield product


def swapped(view: View) -> View:
    """Return the transposed view."""
    (o, i, r, c), (so, si, sr, sc) = view.sizes, view.strides
    return replace(view, sizes=(o, i, c, r), strides=(so, si, sc, sr))
