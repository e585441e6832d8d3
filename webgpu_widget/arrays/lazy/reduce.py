"""Reductions fused with the expression that they reduce: one dispatch, or two where a result has too few elements to keep the GPU busy.

Where a buffer is larger than one binding, the kept axes and the reduced ones are cut into runs; parts of one result join in the
second dispatch.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.codegen import weight_of
from webgpu_widget.arrays.lazy.footprint import Bound, Walk, sides_of
from webgpu_widget.arrays.lazy.launch import held, inputs_of
from webgpu_widget.arrays.lazy.likeness import likeness
from webgpu_widget.arrays.lazy.node import Node, Storage, c_strides, size_of
from webgpu_widget.arrays.lazy.reduce_codegen import MOST_COUNT, ReduceForm, pairing, reduce_source, result_type
from webgpu_widget.arrays.lazy.trace import Trace, collapse, narrow_parts
from webgpu_widget.device.limits import SAFE_WORKGROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from webgpu_widget.arrays.lazy.footprint import Box
    from webgpu_widget.arrays.lazy.likeness import Likeness
    from webgpu_widget.arrays.lazy.node import Dim
    from webgpu_widget.arrays.lazy.runtime import Runtime
    from webgpu_widget.device.handles import Buffer, Pipeline, Span

_ENOUGH_GROUPS = 4096
_ENOUGH_THREADS = 1 << 18
_ENOUGH_WIDE_THREADS = 1 << 17
_ENOUGH_CPU_THREADS = 256
_MOST_WIDE_WEIGHT = 12
_MOST_LIGHT_WEIGHT = 3
_ENOUGH_CPU_STEPS = 16


def reduce(runtime: Runtime, kind: str, node: Node, axes: tuple[int, ...], *, count: float = 1) -> Node:
    """Queue a reduction; return a leaf without the reduced axes.

    Parameters
    ----------
    runtime
        Where.
    kind
        ``sum mean prod max min any all``, or ``arg``: the place of the largest uint32 along one axis or all.
    node
        The expression; fused unless it was reduced before and is still held.
    axes
        Sorted.
    count
        What a mean divides the sum of floats by, positive: with one rounding where it is a whole number below 2**26.
    """
    if node.storage is not None:
        # What has its memory needs nothing computed first, and so no lock.
        known = _reduce_alike(runtime, likeness(node), kind, axes, count)
        if known is not None:
            return known
    with runtime.lock:
        node.used += 1
        if node.storage is None and node.used > 1 and node.op not in ("const", "iota", "view"):
            runtime.materialise(node)
        alike = likeness(node)
        known = _reduce_alike(runtime, alike, kind, axes, count)
        if known is not None:
            return known
        for part in narrow_parts(node, size_of(node.shape)):
            runtime.materialise(part)
        kept = tuple(i for i in range(len(node.shape)) if i not in axes)
        shape = tuple(node.shape[i] for i in kept)
        out_dtype = result_type(kind, node.dtype)
        storage = runtime.allocate(size_of(shape), out_dtype)
        if size_of(shape):
            order = (*kept, *axes)
            place = {a: i for i, a in enumerate(order)}
            dims: tuple[Dim, ...] | None = tuple((0, place[i], 1) for i in range(len(order)))
            space = tuple(node.shape[a] for a in order)
            if order == tuple(range(len(order))):
                dims = None
            trace = Trace(space)
            result = trace.value(node, dims)
            queued = _launch(_Reduction(runtime, kind, node.dtype, trace, result, len(kept), storage, count))
            if alike is not None and queued is not None and alike.agrees(trace):
                runtime.seen.keep(_key(alike, kind, axes, count), (shape, out_dtype, queued))
        return Node("leaf", (), shape, out_dtype, storage=storage)


def _key(alike: Likeness, kind: str, axes: tuple[int, ...], count: float) -> tuple[object, ...]:
    return (kind, axes, count, alike.key)


def _reduce_alike(
    runtime: Runtime, alike: Likeness | None, kind: str, axes: tuple[int, ...], count: float
) -> Node | None:
    """Reduce an expression by the kernels of one like it; None where none are known."""
    if alike is None:
        return None
    buffers = alike.buffers
    known = runtime.seen.find(_key(alike, kind, axes, count), buffers)
    if known is None:
        return None
    shape, out_dtype, steps = known
    storage = runtime.allocate(size_of(shape), out_dtype)
    _run(runtime, steps, cast("list[Buffer]", buffers), held(storage), alike.consts)
    return Node("leaf", (), shape, out_dtype, storage=storage)


def _launch(reduction: _Reduction) -> tuple[_Step, ...] | None:
    """Queue all dispatches of a reduction; returns them, without the buffers, where they depend on the expression alone."""
    runtime, trace = reduction.runtime, reduction.trace
    inputs = [held(s) for s in trace.storages]
    if any(b.size_bytes > reduction.limit for b in (*inputs, reduction.output)):
        _run(runtime, list(reduction.steps()), (), None, trace.consts)
        return None
    key = (
        *(reduction.kind, reduction.dtype, reduction.result, reduction.kept, reduction.divisor),
        trace.shape,
        *trace.code,
        *((a.binding, a.offset, *a.strides) for a in trace.accesses),
        *trace.dtypes,
        *(runtime.is_fallback, runtime.has_subgroups, runtime.has_f16),
    )
    # Buffers are not kept: they would live as long as the plan.
    steps: tuple[_Step, ...] = runtime.plan(
        key, lambda: (s._replace(inputs=(), output=None) for s in reduction.steps())
    )
    steps = tuple(s._replace(kernel=s.pipeline(runtime)) for s in steps)
    _run(runtime, steps, inputs, reduction.output, trace.consts)
    return steps


def _run(
    runtime: Runtime, steps: Sequence[_Step], inputs: Sequence[Buffer], output: Buffer | None, consts: Sequence[int]
) -> None:
    """Queue steps; those without bindings of their own have these."""
    parts: Buffer | None = None
    for step in steps:
        form = step.form
        if step.between:
            fresh = runtime.scratch(step.between)
            if parts is not None:
                runtime.pool.give(parts)
            parts = fresh
        source = [parts] if form.partial else step.inputs or inputs
        target = (step.output or output) if form.final else parts
        words = step.words if form.partial else (*step.words, *consts)
        runtime.dispatch(step.kernel or step.pipeline(runtime), [*source, target], words, step.groups)
    if parts is not None:
        runtime.pool.give(parts)


class _Step(NamedTuple):
    """One dispatch.

    Parameters
    ----------
    form, words, groups
        The kernel, the words of its uniform without the scalars, and its workgroups.
    inputs, output
        Bindings; those of the parts between two passes are made when they run.
    between
        How many words these parts take, where they begin anew with this step.
    kernel
        Compiled, once it is.
    """

    form: ReduceForm
    words: tuple[int, ...]
    groups: int
    inputs: Sequence[Buffer | Span]
    output: Buffer | Span | None
    between: int
    kernel: Pipeline | None = None

    def pipeline(self, runtime: Runtime) -> Pipeline:
        """Return the compiled kernel."""
        form = self.form
        found: Pipeline = runtime.pipeline(form, partial(reduce_source, form), f"reduce_{form.kind}")
        return found


class _Pass(NamedTuple):
    """The first pass over one box of the index space."""

    sides: tuple[int, ...]
    walks: tuple[Walk, ...]
    steps: tuple[int, ...]
    length: int
    first: int
    variant: str
    threads: int
    parts: int
    wide: bool = False


class _Reduction:
    """One reduction on its way to dispatches."""

    def __init__(
        self,
        runtime: Runtime,
        kind: str,
        dtype: dt.DType,
        trace: Trace,
        result: int,
        kept: int,
        storage: Storage,
        count: float,
    ) -> None:
        self.runtime, self.kind, self.dtype = runtime, kind, dtype
        self.trace, self.result, self.kept = trace, result, kept
        self.output = held(storage)
        # By a power of two a product is exact.
        whole = int(count) if count == int(count) < MOST_COUNT and int(count) & (int(count) - 1) else 0
        self.divisor = (dt.scalar_bits(1.0 / count, dt.FLOAT32), whole)
        self.width = 2 if kind == "arg" or dtype == dt.COMPLEX64 else 1
        self.item = dt.itemsize(result_type(kind, dtype))
        self.limit = runtime.max_binding_bytes

    def steps(self) -> Iterator[_Step]:
        """Yield all dispatches."""
        trace = self.trace
        space, kept = trace.shape, self.kept
        # The result's own order takes part in the merging of the kept axes, the order of the index in that of the reduced ones.
        own = [[*c_strides(space[:kept]), *c_strides(space[kept:])]]
        groups = [space[:kept], space[kept:]]
        (outer, inner), strides = collapse(groups, [*(a.strides for a in trace.accesses), *own])
        self.outer, self.inner = tuple(outer), tuple(inner)
        self.walks = tuple(Walk(a.offset, tuple(s)) for a, s in zip(trace.accesses, strides, strict=False))
        self.inputs = inputs_of(self.runtime, trace, self.walks)
        bands, reduced = self._cuts()
        begin = 0
        for box in bands:
            results = size_of(sides_of(box))
            yield from self._band(box, reduced, begin, results)
            begin += results

    # ------------------------------------------------------------ cutting

    def _cuts(self) -> tuple[list[Box], list[Box]]:
        """Return runs of the kept axes and of the reduced axes, any two of which fit together."""
        kept: list[Box] = [tuple((0, s) for s in self.outer)]
        reduced: list[Box] = [tuple((0, s) for s in self.inner)]
        here = Bound(self.output, self.item, (Walk(0, (*c_strides(self.outer), *(0 for _ in self.inner))),))
        wide = [b for b in (*self.inputs.bounds, here) if b.buffer.size_bytes > self.limit]
        while True:
            found = self._misfit(kept, reduced, wide)
            if found is None:
                return kept, reduced
            group, index = found
            boxes = kept if group == 0 else reduced
            boxes[index : index + 1] = _halves(boxes[index])

    def _misfit(self, kept: list[Box], reduced: list[Box], wide: list[Bound]) -> tuple[int, int] | None:
        """Return which box is to be halved, as (0 kept or 1 reduced, index); None where all fit."""
        for i, outer in enumerate(kept):
            many = len(reduced) > 1
            if many and size_of(sides_of(outer)) * len(reduced) * 4 * self.width > self.limit and _long(outer):
                return 0, i
            for j, inner in enumerate(reduced):
                box = (*outer, *inner)
                sides = sides_of(box)
                for bound in wide:
                    part = bound.within(box)
                    if part.window(sides)[1] <= self.limit:
                        continue
                    split = len(outer)
                    reach = [
                        max(
                            sum((s - 1) * abs(d) for s, d in zip(sides[axes], w.strides[axes], strict=True))
                            for w in part.walks
                        )
                        for axes in (slice(split), slice(split, None))
                    ]
                    first = reach[0] >= reach[1] and _long(outer)
                    return (0, i) if first or not _long(inner) else (1, j)
        return None

    # ------------------------------------------------------------ passes

    def _plan(self, outer: Box, inner: Box, results: int, first: int) -> _Pass:
        """Return how the box of some results and a run of the reduced axes is reduced."""
        runtime = self.runtime
        box = (*outer, *inner)
        walks = tuple(w.within(box) for w in self.walks)
        sides = sides_of(box)
        length = size_of(sides_of(inner))
        steps = self._vectors(sides, walks) if inner else ()
        count = length // 4 if steps else length
        if runtime.is_fallback:
            variant, threads = "thread", 64
            parts = 1 if results >= _ENOUGH_CPU_THREADS else min(-(-count // 64), -(-_ENOUGH_CPU_THREADS // results))
            return _Pass(sides, walks, steps, count, first, variant, threads, max(1, parts))
        contiguous = bool(inner) and any(w.strides[-1] == 1 for w in walks)
        if contiguous and count >= 32:
            variant = "subgroup" if runtime.has_subgroups else "group"
            threads = 64 if count < 512 else 256
            parts = 1 if results >= 1024 else min(-(-count // (threads * 4)), -(-_ENOUGH_GROUPS // results))
        elif wide := self._wide(sides, walks):
            units = results // 4
            parts = 1 if units >= _ENOUGH_WIDE_THREADS else min(-(-length // 32), -(-_ENOUGH_WIDE_THREADS // units))
            return _Pass(sides, walks, wide, length, first, "thread", 64, max(1, parts), wide=True)
        else:
            variant, threads = "thread", 64
            parts = 1 if results >= _ENOUGH_THREADS else min(-(-count // 32), -(-_ENOUGH_THREADS // results))
        return _Pass(sides, walks, steps, count, first, variant, threads, max(1, parts))

    def _vectors(self, sides: tuple[int, ...], walks: tuple[Walk, ...]) -> tuple[int, ...]:
        """Return the stride of each access along the last axis, where it can be read by vectors; else nothing."""
        if sides[-1] % 4 or dt.COMPLEX64 in (*self.inputs.dtypes, self.dtype):
            return ()
        for binding, walk in zip(self.inputs.accesses, walks, strict=True):
            step = walk.strides[-1]
            aligned = walk.offset % 4 == 0 and all(stride % 4 == 0 for stride in walk.strides[:-1])
            if step not in (0, 1) or (step == 1 and binding >= 0 and not aligned):
                return ()
        return tuple(w.strides[-1] for w in walks)

    def _wide(self, sides: tuple[int, ...], walks: tuple[Walk, ...]) -> tuple[int, ...]:
        """Return the stride of each access along the last kept axis, where four results are made together; else nothing."""
        last = len(self.outer) - 1
        heavy = weight_of(self.trace.code) > _MOST_WIDE_WEIGHT
        if last < 0 or sides[last] % 4 or self.width > 1 or heavy or dt.COMPLEX64 in self.inputs.dtypes:
            return ()
        for binding, walk in zip(self.inputs.accesses, walks, strict=True):
            step = walk.strides[last]
            aligned = walk.offset % 4 == 0 and all(s % 4 == 0 for a, s in enumerate(walk.strides) if a != last)
            if step not in (0, 1) or (step == 1 and binding >= 0 and not aligned):
                return ()
        steps = tuple(w.strides[last] for w in walks)
        return steps if any(steps) else ()

    def _band(self, outer: Box, reduced: list[Box], begin: int, results: int) -> Iterator[_Step]:
        """Yield all passes of a run of results that begins at result `begin`."""
        runtime = self.runtime
        plans: list[_Pass] = []
        first = 0
        for inner in reduced:
            plans.append(self._plan(outer, inner, results, first))
            first += size_of(sides_of(inner))
        total = sum(p.parts for p in plans)
        # Where the parts would not fit one binding there are fewer of them: one for each box does, see _misfit.
        if total > len(plans) and total * results * 4 * self.width > self.limit:
            most = max(1, self.limit // (4 * self.width * results * len(plans)))
            plans = [p._replace(parts=min(p.parts, most)) for p in plans]
            total = sum(p.parts for p in plans)
        output, shift = Bound(self.output, self.item, (Walk(begin, (1,)),)).bind((results,), self.limit)
        if total == 1:
            yield self._first(plans[0], output, results, (1, 0, begin - shift), 0)
            return
        # Parts of a result lie together for a workgroup, results of a part lie together for threads.
        together = not runtime.is_fallback and total >= 64
        by_result, by_part = (total, 1) if together else (1, results)
        done = 0
        for plan in plans:
            between = 0 if done else results * total * self.width
            yield self._first(plan, None, results, (by_result, by_part, done * by_part), between)
            done += plan.parts
        variant = "thread"
        if together:
            variant = "subgroup" if runtime.has_subgroups else "group"
        threads = 256 if together and total >= 512 else 64
        block, levels = pairing(self.kind, self.dtype, 1, -(-total // (1 if variant == "thread" else threads)), 1)
        last = ReduceForm(
            self.kind,
            self.dtype,
            (),
            (),
            (),
            0,
            0,
            1,
            1,
            1,
            (),
            variant,
            threads,
            1,
            partial=True,
            final=True,
            native=False,
            block=block,
            levels=levels,
        )
        factor, divisor = self.divisor
        head = (results, total, 1, total, factor, 1, 0, begin - shift, 0, divisor)
        yield _step(last, (), output, head, [results, total, 0, by_result, by_part])

    def _first(
        self, plan: _Pass, output: Buffer | Span | None, results: int, place: tuple[int, int, int], between: int
    ) -> _Step:
        """Return the first pass over a box."""
        inputs = self.inputs
        bound: list[Buffer | Span] = []
        shifts: list[int] = []
        for i, whole in enumerate(inputs.bounds):
            mine = tuple(w for a, w in zip(inputs.accesses, plan.walks, strict=True) if a == i)
            what, shift = Bound(whole.buffer, whole.itemsize, mine).bind(plan.sides, self.limit)
            bound.append(what)
            shifts.append(shift)
        code = tuple(self.trace.code)
        components = 4 if plan.steps else 1
        chunk = -(-plan.length // plan.parts)
        fallback = self.runtime.is_fallback
        heavy = weight_of(code) > 12 or len(inputs.accesses) > 4
        # Enough bytes on their way to hide the latency of memory: single elements more of them. A CPU only sums in several.
        if plan.wide:
            flight = 4 if len(inputs.accesses) <= 2 else 2
        elif fallback:
            light = (
                self.kind in ("sum", "mean") and weight_of(code) <= _MOST_LIGHT_WEIGHT and chunk >= _ENOUGH_CPU_STEPS
            )
            flight = (4 if components == 4 else 8) if light else 1
        else:
            flight = 1 if heavy else 4 if components == 4 or len(inputs.accesses) > 2 else 8
        steps = -(-chunk // (flight * (1 if plan.variant == "thread" else plan.threads)))
        block, levels = pairing(self.kind, self.dtype, flight * components, steps, 32 if fallback else 64)
        form = ReduceForm(
            self.kind,
            self.dtype,
            code,
            inputs.accesses,
            inputs.dtypes,
            self.result,
            len(self.trace.consts),
            len(self.outer),
            len(self.inner),
            components,
            plan.steps,
            plan.variant,
            plan.threads,
            flight,
            partial=False,
            final=output is not None,
            native=self.runtime.has_f16,
            wide=plan.wide,
            block=block,
            levels=levels,
        )
        words = list(plan.sides)
        if plan.steps:
            words[len(self.outer) - 1 if plan.wide else -1] //= 4
        for k, (binding, walk) in enumerate(zip(inputs.accesses, plan.walks, strict=True)):
            by = 4 if plan.steps and plan.steps[k] and binding >= 0 else 1
            at = walk.offset - (shifts[binding] if binding >= 0 else 0)
            words += [at // by, *(s // by for s in walk.strides)]
        factor, divisor = self.divisor
        rows = results // 4 if plan.wide else results
        head = (rows, plan.length, plan.parts, chunk, factor, *place, plan.first, divisor)
        return _step(form, bound, output, head, words, between)


def _step(
    form: ReduceForm,
    inputs: Sequence[Buffer | Span],
    output: Buffer | Span | None,
    head: Sequence[int],
    words: Sequence[int],
    between: int = 0,
) -> _Step:
    count = head[0] * head[2]
    groups = min(SAFE_WORKGROUPS, -(-count // form.threads) if form.variant == "thread" else count)
    return _Step(form, (*head, *words), groups, inputs, output, between)


def _long(box: Box) -> bool:
    return any(stop - start > 1 for start, stop in box)


def _halves(box: Box) -> list[Box]:
    """Return a run of an index space in two runs, by its first axis that has more than one index."""
    axis = next(i for i, (start, stop) in enumerate(box) if stop - start > 1)
    start, stop = box[axis]
    half = (stop - start) // 2
    # Vectors must not be cut through.
    unit = 1024 if half >= 2048 else 4 if half >= 4 else 1
    at = start + half // unit * unit
    return [(*box[:axis], part, *box[axis + 1 :]) for part in ((start, at), (at, stop))]
