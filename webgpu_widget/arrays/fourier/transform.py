"""Transforms of arrays along one axis: what the passes are, and their dispatches."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from webgpu_widget.arrays.fourier import tables
from webgpu_widget.arrays.fourier.kernel import PassForm, pass_source
from webgpu_widget.arrays.fourier.plan import MANY_LINES, Limits, convolution_length, half_of, is_smooth, passes, stages
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.launch import held
from webgpu_widget.arrays.lazy.node import Node, size_of
from webgpu_widget.arrays.lazy.places import blank
from webgpu_widget.device.limits import SAFE_WORKGROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webgpu_widget.arrays.lazy.runtime import Runtime
    from webgpu_widget.device.handles import Buffer, Span

__all__ = ["Kind", "launches_of", "limits_of", "passes_of", "transform", "values_of"]

Kind = Literal["complex", "widened", "half", "real"]
"""``complex``: complex to complex. ``widened``: real to complex. ``half``: of real input half the spectrum, 0 ... n // 2.
``real``: of half a spectrum the real values."""
_MANY_GROUPS = 512
"""With fewer workgroups than this, each takes fewer lines."""
_ALIGNMENT = 256
"""Bytes: where a binding may begin."""
_BESIDE = 4
"""From so many neighbours on, invocations take lines side by side."""


Factors = tuple[tuple[object, ...] | None, tuple[object, ...] | None]
"""Keys of tables by which the input, and the output, is multiplied along the axis."""


def limits_of(runtime: Runtime) -> Limits:
    """Return what a workgroup may have; what every adapter allows while this one's limits are not known."""
    info = runtime.device.known
    if info is None:
        return Limits()
    return Limits(
        int(info.limits["maxComputeWorkgroupStorageSize"]),
        int(info.limits["maxComputeInvocationsPerWorkgroup"]),
        runtime.is_fallback,
    )


class _Pass(NamedTuple):
    """A pass before its workgroups are chosen: what `kernel.HEAD` tells of one outer index, and the form's variants."""

    length: int
    lines: int
    span_in: int
    span_out: int
    high_in: int
    high_out: int
    form: PassForm
    roots: int = 0
    """Of which number the elements are multiplied by powers of the root; 0 for none."""
    kept: int = 1
    run: int = 1
    tables: tuple[tuple[object, ...], ...] = ()
    """Keys of the tables of factors along the axis, those of the input first."""

    @property
    def items(self) -> int:
        """Elements that it stores for each outer index."""
        return self.lines // self.span_out * self.high_out


def _complex_passes(
    n: int,
    inner: int,
    lengths: tuple[int, ...],
    form: PassForm,
    *,
    rows_in: int,
    rows_out: int,
    factors: Factors = (None, None),
) -> Iterator[_Pass]:
    """Yield the passes of a transform of complex numbers; of n rows `rows_in` are there, and `rows_out` are stored."""
    before = 1
    for i, length in enumerate(lengths, 1):
        span_in, span_out = n // length * inner, before * inner
        is_first, is_last = i == 1, i == len(lengths)
        mine = [key if used else None for key, used in zip(factors, (is_first, is_last), strict=True)]
        yield _Pass(
            length,
            span_in,
            span_in,
            span_out,
            (rows_in if is_first else n) * inner,
            rows_out * inner if is_last else length * span_out,
            form._replace(
                load=form.load if is_first else "complex",
                padded=is_first and rows_in < n,
                cut=is_last and rows_out < n,
                multiply_in=mine[0] is not None,
                multiply_out=mine[1] is not None,
            ),
            0 if is_first else before * length,
            tables=tuple(key for key in mine if key is not None),
        )
        before *= length


def _even_first(lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Return the lengths of passes with an even one first, where there is one: its real lines are packed."""
    return tuple(sorted(lengths, key=lambda length: (length % 2, -length)))


def _half_passes(n: int, inner: int, rows_in: int, limits: Limits, form: PassForm) -> Iterator[_Pass]:
    """Yield the passes from real numbers to half a spectrum. All but the first see the lines ``k <= R // 2`` of the first's R results, see `half_of`."""
    lengths = _even_first(passes(n, limits, min(inner, MANY_LINES)))
    first = lengths[0]
    half = half_of(first, inner) if len(lengths) > 1 else first // 2 + 1
    mine = form._replace(load="real", store="half", stored=half, packed=first % 2 == 0, padded=rows_in < n)
    span = n // first * inner
    yield _Pass(first, span, span, inner, rows_in * inner, half * inner, mine)
    before = first
    for i, length in enumerate(lengths[1:], 2):
        stored = before // first * half * inner
        span_in = n // (first * length) * half * inner
        is_last = i == len(lengths)
        mine = form._replace(store="folded" if is_last else "complex")
        high_out = (n // 2 + 1) * inner if is_last else length * stored
        yield _Pass(length, span_in, span_in, stored, length * span_in, high_out, mine, before * length, half, first)
        before *= length


def _real_passes(n: int, inner: int, rows_in: int, limits: Limits, form: PassForm) -> Iterator[_Pass]:
    """Yield the passes from half a spectrum to real numbers. The first makes only what the last needs: rows up to the middle of its lines."""
    lengths = _even_first(passes(n, limits, min(inner, MANY_LINES)))[::-1]
    last = lengths[-1]
    half = half_of(last, inner)
    before = 1
    for i, length in enumerate(lengths, 1):
        span_out = before * inner
        is_first, is_last = i == 1, i == len(lengths)
        span_in = n // length * inner if is_last else n // (length * last) * half * inner
        high_in = rows_in * inner if is_first else (half if is_last else length) * span_in
        mine = form._replace(
            load="hermitian" if is_last else "folded" if is_first else "complex",
            store="real" if is_last else "complex",
            packed=is_last and last % 2 == 0,
            padded=is_first and rows_in < n // 2 + 1,
        )
        reduced = is_first and not is_last
        yield _Pass(
            length,
            span_in,
            span_in,
            span_out,
            high_in,
            length * span_out,
            mine,
            before * length if not is_first else 0,
            half if reduced else 1,
            last if reduced else 1,
        )
        before *= length


def _bluestein_passes(n: int, inner: int, limits: Limits, form: PassForm, *, rows_in: int) -> Iterator[_Pass]:
    """Yield the passes of any length by a convolution with a chirp (L. I. Bluestein, 1970): there, times a response, and back.

    The way back takes the passes in reverse, so that its first one begins with what the last one of the way there has in hand: one pass is both.
    """
    length = convolution_length(n)
    lengths = passes(length, limits, min(inner, MANY_LINES))
    chirp, response = ("chirp", n, form.inverse), ("response", n, form.inverse)
    plain, inverse = form._replace(inverse=False), PassForm((), 1, 1, inverse=True)
    there = _complex_passes(length, inner, lengths, plain, rows_in=rows_in, rows_out=length, factors=(chirp, None))
    back = _complex_passes(length, inner, lengths[::-1], inverse, rows_in=length, rows_out=n, factors=(None, chirp))
    *before, last = there
    first, *after = back
    both = last.form._replace(convolved=True, cut=first.form.cut, multiply_out=first.form.multiply_out)
    yield from before
    yield last._replace(span_out=first.span_out, high_out=first.high_out, form=both, tables=(*last.tables, response))
    yield from after


def passes_of(kind: Kind, n: int, inner: int, rows: int, limits: Limits, *, inverse: bool) -> list[_Pass]:
    """Return the passes of a transform of `n` points, of which `rows` are there."""
    form = PassForm((), 1, 1, load="real" if kind == "widened" else "complex", inverse=inverse)
    if kind == "half":
        return list(_half_passes(n, inner, rows, limits, form))
    if kind == "real":
        return list(_real_passes(n, inner, rows, limits, form))
    if is_smooth(n):
        return list(
            _complex_passes(n, inner, passes(n, limits, min(inner, MANY_LINES)), form, rows_in=rows, rows_out=n)
        )
    return list(_bluestein_passes(n, inner, limits, form, rows_in=rows))


def _chosen(plan: _Pass, outer: int, limits: Limits) -> PassForm:
    """Return the form of a pass with its stages and its workgroup."""
    form, length = plan.form, plan.length
    points = length // 2 if form.packed else length
    radices = stages(points)
    beside_in, beside_out = (span >= _BESIDE for span in (plan.span_in, plan.span_out))
    in_registers = len(radices) == 1
    if in_registers:
        beside_in = beside_out = beside_in or beside_out
    total = outer * plan.lines
    wanted = 64 if len(radices) == 1 else 16 if beside_in or beside_out else max(1, 256 * max(radices) // (2 * points))
    if form.packed and (beside_in or beside_out):
        wanted = max(wanted, 32)
    many = MANY_LINES * (2 if form.packed else 1)
    lines = 1
    while (
        lines * 2 <= wanted
        and (in_registers or limits.fits(points, lines * 2, 4 if lines < many else 8))
        and total // (lines * 2) >= min(_MANY_GROUPS, total // 2)
    ):
        lines *= 2
    threads = min(limits.threads, max(32, 1 << (max(1, lines * points // max(radices)) - 1).bit_length()))
    return form._replace(
        radices=radices,
        lines=lines,
        threads=threads,
        by_parts=not in_registers,
        twiddled=plan.roots > 0,
        beside_in=beside_in,
        beside_out=beside_out,
    )


class _Launch(NamedTuple):
    """A dispatch for a run of outer indices, without its buffers."""

    plan: _Pass
    form: PassForm
    words: tuple[int, ...]
    groups: tuple[int, int, int]
    tables: tuple[tuple[object, ...], ...]


def launches_of(
    plans: list[_Pass], outer: int, inner: int, points: int, scale: float, limits: Limits
) -> Iterator[_Launch]:
    """Yield the dispatches of a run of outer indices."""
    for plan in plans:
        form = _chosen(plan, outer, limits)
        lines = plan.lines * outer
        tiles = -(-lines // form.lines)
        across = min(tiles, SAFE_WORKGROUPS)
        factor = scale if plan is plans[-1] else 1.0
        words = (
            *(lines, plan.span_in, plan.span_out, plan.high_in, plan.high_out, inner),
            *(plan.kept, plan.run, points, tables.split_of(plan.roots), dt.scalar_bits(factor, dt.FLOAT32)),
        )
        keys: list[tuple[object, ...]] = [("stage", form.length)] if len(form.radices) > 1 else []
        keys += [("line", form.line)] if "line_roots" in form.tables else []
        keys += [("pass", plan.roots)] if plan.roots else []
        yield _Launch(plan, form, words, (across, -(-tiles // across), 1), (*keys, *plan.tables))


def values_of(key: tuple[object, ...]) -> tables.Array:
    """Return the values of a table."""
    kind, n, *rest = key
    assert isinstance(n, int)  # noqa: S101 - all keys are made here
    if kind in ("stage", "line"):
        return tables.roots(n, np.arange(n))
    if kind == "pass":
        return tables.split_roots(n)
    make = tables.chirp if kind == "chirp" else tables.chirp_response
    return make(n, inverse=bool(rest[0]))


def _bytes_in(kind: Kind) -> int:
    return 4 if kind in ("widened", "half") else 8


def _run(
    runtime: Runtime, launches: tuple[_Launch, ...], source: Buffer | Span, target: Buffer | Span, outer: int
) -> None:
    """Queue the dispatches of a run of outer indices."""
    here, kept = source, None
    room = target[2] if isinstance(target, tuple) else target.size_bytes
    for left, step in enumerate(launches, 1 - len(launches)):
        # Every second result before the last one lies where that will, if it fits: a large buffer that is fresh is filled with zeros first.
        fits = not left or (left % 2 == 0 and 8 * step.plan.items * outer <= room)
        between = None if fits else runtime.allocate(step.plan.items * outer, dt.COMPLEX64)
        there = target if between is None else held(between)
        roots = [tables.table(runtime, key, partial(values_of, key)) for key in step.tables]
        pipeline = runtime.pipeline(step.form, partial(pass_source, step.form), f"fft_{step.form.length}")
        runtime.dispatch(pipeline, [here, *roots, there], step.words, step.groups)
        # What lies between two passes goes back to the pool once the second is queued.
        here, kept = there, between
    del kept


def transform(runtime: Runtime, source: Node, axis: int, n: int, kind: Kind, *, inverse: bool, scale: float) -> Node:
    """Queue a transform along one axis; return a leaf.

    Parameters
    ----------
    runtime
        Where.
    source
        A leaf: complex64 for the kinds ``complex`` and ``real``, else float32.
    axis
        The transformed one.
    n
        Points of the transform. What the axis has beyond is left out, what it lacks is 0. For ``half`` and ``real`` a length without
        large prime factors, see `plan.is_smooth`; for others with large ones the axis has at most `n` rows.
    kind
        What is transformed into what.
    inverse
        With a positive exponent.
    scale
        Factor of the results.
    """
    shape = source.shape
    outer, rows, inner = size_of(shape[:axis]), shape[axis], size_of(shape[axis + 1 :])
    rows_out = n // 2 + 1 if kind == "half" else n
    result = blank(
        runtime, (*shape[:axis], rows_out, *shape[axis + 1 :]), dt.FLOAT32 if kind == "real" else dt.COMPLEX64
    )
    if not size_of(result.shape):
        return result
    if not rows:
        runtime.clear(result.storage)  # type: ignore[arg-type] # a leaf has one
        return result
    limits = limits_of(runtime)
    plans = runtime.plan(
        ("fft passes", kind, n, inner, rows, inverse, limits),
        lambda: passes_of(kind, n, inner, rows, limits, inverse=inverse),
    )
    bytes_in, bytes_out = _bytes_in(kind) * rows * inner, (4 if kind == "real" else 8) * rows_out * inner
    largest = max(bytes_in, bytes_out, *(8 * plan.items for plan in plans[:-1]), 1)
    many = _run_of(outer, largest, bytes_in, bytes_out, runtime.max_binding_bytes)
    whole, target = runtime.buffer(source), runtime.buffer(result)
    for start in range(0, outer, many):
        here = min(many, outer - start)
        launches = runtime.plan(
            ("fft", kind, n, inner, rows, inverse, limits, here, scale),
            partial(launches_of, list(plans), here, inner, n, scale, limits),
        )
        if many == outer:
            _run(runtime, launches, whole, target, here)
        else:
            parts = ((whole, bytes_in), (target, bytes_out))
            spans = [(buffer, start * size, _padded(here * size)) for buffer, size in parts]
            _run(runtime, launches, spans[0], spans[1], here)
    return result


def _padded(size: int) -> int:
    return -(-size // 4) * 4


def _run_of(outer: int, largest: int, bytes_in: int, bytes_out: int, limit: int) -> int:
    """Return how many outer indices are transformed at a time: all, or as many as fit one binding and begin where one may."""
    if outer * largest <= limit:
        return outer
    unit = math.lcm(*(_ALIGNMENT // math.gcd(_ALIGNMENT, size) for size in (bytes_in, bytes_out)))
    many = limit // largest // unit * unit
    return many or outer
