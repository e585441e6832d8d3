"""From the trace of an expression to dispatches of elementwise kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from webgpu_widget.arrays.lazy.dtypes import COMPLEX64, FLOAT16, itemsize
from webgpu_widget.arrays.lazy.elementwise import WORKGROUP, Form, elementwise_source, in_flight
from webgpu_widget.arrays.lazy.footprint import Bound, Walk, boxes, sides_of
from webgpu_widget.arrays.lazy.node import c_strides
from webgpu_widget.arrays.lazy.program import Gather
from webgpu_widget.arrays.lazy.trace import collapse
from webgpu_widget.arrays.lazy.transposed import TransposedForm, transposed, transposed_axis, transposed_source
from webgpu_widget.device.limits import SAFE_WORKGROUPS
from webgpu_widget.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from webgpu_widget.arrays.lazy.dtypes import DType
    from webgpu_widget.arrays.lazy.node import Storage
    from webgpu_widget.arrays.lazy.runtime import Runtime
    from webgpu_widget.arrays.lazy.trace import Access, Trace
    from webgpu_widget.device.handles import Buffer, Pipeline, Span

Dispatches = tuple[tuple["Pipeline", tuple[int, ...], tuple[int, int, int]], ...]
"""Kernels with the words of their uniforms, without the scalars, and their workgroups."""
_FEW_UNITS = 1 << 17
"""Below this many units, invocations with one each fill a GPU better than fewer with several."""
_LEAST_TAIL = 1 << 16
"""From this many elements on, those that make no whole vector get a dispatch of their own."""


class Launch(NamedTuple):
    """One dispatch: bindings, kernel, words of the uniform without the scalars, workgroups."""

    bound: list[Buffer | Span]
    form: Form | TransposedForm
    words: list[int]
    groups: int


class Inputs(NamedTuple):
    """The input bindings of a kernel.

    Parameters
    ----------
    accesses
        Binding of each access of the trace, -1 for an index.
    dtypes, bounds
        Of each binding. The first ones are the trace's own; a buffer that does not fit one binding has further ones, where it is
        walked in ways that lead far apart.
    """

    accesses: tuple[int, ...]
    dtypes: tuple[DType, ...]
    bounds: tuple[Bound, ...]


def inputs_of(runtime: Runtime, trace: Trace, walks: Sequence[Walk], outputs: int = 1) -> Inputs:
    """Return the input bindings of a trace, given the walk of each access and how many outputs the kernel has.

    Raises
    ------
    LimitError
        When elements are gathered from a buffer that does not fit one binding, or the expression walks large buffers in more
        ways than a kernel has bindings.
    """
    limit = runtime.max_binding_bytes
    gathered = {i.binding for i in trace.code if isinstance(i, Gather)}
    buffers = [held(storage) for storage in trace.storages]
    dtypes = list(trace.dtypes)
    for i in gathered:
        runtime.check_binding(buffers[i].size_bytes, "Indexing by arrays")
    groups: list[list[Walk]] = [[] for _ in buffers]
    accesses: list[int] = []
    for access, walk in zip(trace.accesses, walks, strict=True):
        binding = access.binding
        if binding >= 0 and buffers[binding].size_bytes > limit:
            buffer, item = buffers[binding], itemsize(trace.dtypes[binding])
            near = [
                i for i, g in enumerate(groups) if buffers[i] is buffer and (not g or _near(g[0], walk, limit // item))
            ]
            if not near:
                near = [len(groups)]
                groups.append([])
                buffers.append(buffer)
                dtypes.append(dtypes[binding])
            binding = near[0]
        if binding >= 0:
            groups[binding].append(walk)
        accesses.append(binding)
    if len(buffers) > len(trace.storages) and len(buffers) + outputs > runtime.most_buffers:
        raise LimitError(
            f"The expression of shape {trace.shape} reads arrays larger than one binding ({limit} bytes) in {len(buffers)} places, "
            f"and a kernel of this adapter has {runtime.most_buffers} bindings: compute parts of it first, by copy()."
        )
    bounds = (Bound(b, itemsize(d), tuple(g)) for b, d, g in zip(buffers, dtypes, groups, strict=True))
    return Inputs(tuple(accesses), tuple(dtypes), tuple(bounds))


def _near(a: Walk, b: Walk, elements: int) -> bool:
    return a.strides == b.strides and abs(a.offset - b.offset) <= elements // 4


def held(storage: Storage) -> Buffer:
    """Return the buffer of a storage that an expression holds."""
    buffer = storage.buffer
    assert buffer is not None  # noqa: S101 - freeing an array computes what depends on it first
    return buffer


def run_elementwise(
    runtime: Runtime,
    trace: Trace,
    results: Sequence[int],
    dtypes: Sequence[DType],
    storages: Sequence[Storage],
    region: Access | None = None,
) -> Dispatches | None:
    """Queue the kernel that stores values of a trace; several where a buffer is larger than a binding may be.

    Returns what was queued, where it depends on the expression alone.

    Parameters
    ----------
    runtime
        Where.
    trace, results, dtypes
        The program and the values to store, as these dtypes.
    storages
        Where to.
        The only one may be one that the program reads, each element at its own index.
    region
        Offset and strides of the only output, where it is a part of a larger array.
    """
    limit = runtime.max_binding_bytes
    buffers = [held(s) for s in trace.storages]
    if _own(trace, storages) < 0:
        buffers += [held(s) for s in storages]
    if any(b.size_bytes > limit for b in buffers):
        for bound, form, words, groups in _launches(runtime, trace, results, dtypes, storages, region):
            runtime.dispatch(_pipeline(runtime, form), bound, [*words, *trace.consts], groups)
        return None
    # What is launched depends on the expression alone: most of a loop's work is done in its first turn.
    key = (
        trace.shape,
        *trace.code,
        *((a.binding, a.offset, *a.strides) for a in trace.accesses),
        *trace.dtypes,
        *results,
        *dtypes,
        None if region is None else (region.offset, *region.strides),
        _own(trace, storages),
        runtime.is_fallback,
        runtime.has_f16,
    )
    # Buffers are not kept: they would live as long as the plan.
    make = _launches(runtime, trace, results, dtypes, storages, region)
    plan = runtime.plan(key, lambda: (launch[1:] for launch in make))
    dispatches = tuple((_pipeline(runtime, form), tuple(words), (groups, 1, 1)) for form, words, groups in plan)
    for pipeline, fixed, workgroups in dispatches:
        runtime.dispatch(pipeline, buffers, [*fixed, *trace.consts], workgroups)
    return dispatches


def _own(trace: Trace, storages: Sequence[Storage]) -> int:
    """Return the binding of an input that is the output too, -1 where none is."""
    return next((i for i, s in enumerate(trace.storages) if s is storages[0]), -1)


def _pipeline(runtime: Runtime, form: Form | TransposedForm) -> Pipeline:
    def source() -> str:
        return transposed_source(form) if isinstance(form, TransposedForm) else elementwise_source(form)

    pipeline: Pipeline = runtime.pipeline(form, source, "elementwise")
    return pipeline


def _launches(
    runtime: Runtime,
    trace: Trace,
    results: Sequence[int],
    dtypes: Sequence[DType],
    storages: Sequence[Storage],
    region: Access | None,
) -> Iterator[Launch]:
    """Yield the dispatches of `run_elementwise`."""
    # The output takes part in the merging, so that its order is kept.
    offset, target = (0, list(c_strides(trace.shape))) if region is None else (region.offset, region.strides)
    (sides,), strides = collapse([trace.shape], [*(a.strides for a in trace.accesses), target])
    if not sides:
        sides, strides = [1], [[0] for _ in strides]
    offsets = [*(a.offset for a in trace.accesses), offset]
    walks = [Walk(at, tuple(steps)) for at, steps in zip(offsets, strides, strict=True)]
    inputs = inputs_of(runtime, trace, walks[:-1], len(storages))
    bounds = list(inputs.bounds)
    own = _own(trace, storages)
    if own < 0:
        bounds += [Bound(held(s), itemsize(d), (walks[-1],)) for s, d in zip(storages, dtypes, strict=True)]
    limit = runtime.max_binding_bytes
    paired = FLOAT16 in dtypes and not runtime.has_f16
    run = _Run(runtime, trace, inputs, tuple(results), tuple(dtypes), own)
    try:
        cut = list(boxes(sides, bounds, limit, ordered=paired))
    except ValueError as error:
        raise LimitError(
            f"An operation of shape {trace.shape} on float16 is larger than one binding ({limit} bytes), and {error}. "
            "Use an even last axis, or float32."
        ) from None
    for box in cut:
        if len(cut) == 1:
            yield from run.box(sides, walks, bounds)
        else:
            (here,), merged = collapse([sides_of(box)], [list(w.strides) for w in walks])
            if not here:
                here, merged = [1], [[0] for _ in merged]
            at = [w.within(box).offset for w in walks]
            yield from run.box(here, [Walk(o, tuple(s)) for o, s in zip(at, merged, strict=True)], bounds)


class _Run:
    """One trace, made into dispatches box by box."""

    def __init__(
        self,
        runtime: Runtime,
        trace: Trace,
        inputs: Inputs,
        results: tuple[int, ...],
        dtypes: tuple[DType, ...],
        own: int,
    ) -> None:
        self.own = own
        self.runtime, self.trace, self.inputs, self.results, self.dtypes = runtime, trace, inputs, results, dtypes
        self.limit = runtime.max_binding_bytes

    def box(self, sides: Sequence[int], walks: Sequence[Walk], bounds: Sequence[Bound]) -> Iterator[Launch]:
        """Yield the dispatches of a box: two for a long run whose length is no multiple of 4, the second for the rest."""
        size = sides[0]
        axis = None
        if not self.runtime.is_fallback and COMPLEX64 not in (*self.inputs.dtypes, *self.dtypes):
            axis = transposed_axis(self.trace.code, self.inputs.accesses, sides, walks)
        if axis is not None:
            yield self.across(axis, sides, walks, bounds)
            return
        if len(sides) > 1 or size < _LEAST_TAIL or size % 4 == 0 or self.components([size // 4 * 4], walks) != 4:
            yield self.one(sides, walks, bounds)
            return
        for start, stop in ((0, size // 4 * 4), (size // 4 * 4, size)):
            yield self.one([stop - start], [w.within(((start, stop),)) for w in walks], bounds)

    def components(self, sides: Sequence[int], walks: Sequence[Walk]) -> int:
        """Return how many elements a unit has."""
        # Complex numbers are loaded and stored one by one, 8 bytes each.
        fits = COMPLEX64 not in (*self.inputs.dtypes, *self.dtypes)
        fits = fits and sides[-1] % 4 == 0 and walks[-1].strides[-1] == 1 and _aligned(walks[-1])
        for binding, walk in zip(self.inputs.accesses, walks[:-1], strict=True):
            step = walk.strides[-1]
            fits = fits and (step == 0 or (step == 1 and (binding < 0 or _aligned(walk))))
        if fits:
            return 4
        return 2 if FLOAT16 in self.dtypes and not self.runtime.has_f16 else 1

    def bind(
        self, sides: Sequence[int], walks: Sequence[Walk], bounds: Sequence[Bound]
    ) -> tuple[list[Buffer | Span], list[int]]:
        """Return the bindings of a dispatch, and how many elements are left out before each."""
        accesses, count = self.inputs.accesses, len(self.inputs.bounds)
        bound: list[Buffer | Span] = []
        shifts: list[int] = []
        # All results have one place, whatever their bytes: either each is bound as a whole, or none.
        most = self.limit if all(b.buffer.size_bytes <= self.limit for b in bounds[count:]) else 0
        for i, whole in enumerate(bounds):
            mine = [w for a, w in zip(accesses, walks, strict=False) if a == i] if i < count else walks[-1:]
            part = Bound(whole.buffer, whole.itemsize, tuple(mine))
            what, shift = part.bind(sides, self.limit if i < count else most)
            bound.append(what)
            shifts.append(shift)
        return bound, shifts

    def across(self, axis: int, sides: Sequence[int], walks: Sequence[Walk], bounds: Sequence[Bound]) -> Launch:
        """Return one dispatch that makes blocks, for operands that lie across the result and are contiguous along `axis`."""
        runtime, trace, inputs = self.runtime, self.trace, self.inputs
        bound, shifts = self.bind(sides, walks, bounds)
        left_out = [*(shifts[b] if b >= 0 else 0 for b in inputs.accesses), shifts[-1]]
        here = [Walk(w.offset - shift, w.strides) for w, shift in zip(walks, left_out, strict=True)]
        native = runtime.has_f16 and FLOAT16 in (*inputs.dtypes, *self.dtypes)
        code, consts = tuple(trace.code), len(trace.consts)
        blank = TransposedForm(
            code, inputs.accesses, (), inputs.dtypes, self.results, self.dtypes, consts, len(sides), native, self.own
        )
        form, words, tiles = transposed(blank, axis, sides, here)
        return Launch(bound, form, words, min(SAFE_WORKGROUPS, tiles))

    def one(self, sides: Sequence[int], walks: Sequence[Walk], bounds: Sequence[Bound]) -> Launch:
        """Return one dispatch."""
        runtime, trace = self.runtime, self.trace
        components = self.components(sides, walks)
        accesses = self.inputs.accesses
        bound, shifts = self.bind(sides, walks, bounds)
        out = Walk(walks[-1].offset - shifts[-1], walks[-1].strides)
        placed = out.strides != c_strides(tuple(sides)) and tuple(sides) != (1,)
        size = 1
        for side in sides:
            size *= side
        units = -(-size // components)
        words = [
            units,
            0 if placed else out.offset // components,
            *sides[:-1],
            sides[-1] // (4 if components == 4 else 1),
        ]
        steps = tuple(w.strides[-1] for w in walks[:-1]) if components == 4 else ()
        for k, (binding, walk) in enumerate(zip(accesses, walks[:-1], strict=True)):
            at = walk.offset - (shifts[binding] if binding >= 0 else 0)
            by = 4 if steps and steps[k] and binding >= 0 else 1
            words += [at // by, *(s // by for s in walk.strides)]
        if placed:
            by = 4 if components == 4 else 1
            words += [out.offset // by, *(s // by for s in out.strides)]
        code = tuple(trace.code)
        loads = sum(binding >= 0 for binding in accesses)
        form = Form(
            code,
            accesses,
            steps,
            self.inputs.dtypes,
            self.results,
            self.dtypes,
            len(trace.consts),
            len(sides),
            components,
            placed,
            1 if runtime.is_fallback or units < _FEW_UNITS else in_flight(code, loads),
            runtime.has_f16 and FLOAT16 in (*self.inputs.dtypes, *self.dtypes),
            self.own,
        )
        return Launch(bound, form, words, min(SAFE_WORKGROUPS, -(-units // (WORKGROUP * form.flight))))


def _aligned(walk: Walk) -> bool:
    return walk.offset % 4 == 0 and all(stride % 4 == 0 for stride in walk.strides[:-1])
