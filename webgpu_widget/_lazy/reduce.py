"""Reductions fused with the expression that they reduce: one dispatch, or two where a result has too few elements to keep the GPU busy.

Two variants of one generator. *thread*: an invocation for each result (or part of one), no workgroup memory, no barrier: the way on
CPU adapters, and where the reduced axis is not the contiguous one. *group*: a workgroup for each result (or part of one), a tree
in workgroup memory at the end. Sums run in blocks of 64, so that the rounding error grows with the number of blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from webgpu_widget._lazy import dtypes as dt
from webgpu_widget._lazy.codegen import (
    access_types,
    coordinates,
    declarations,
    element_type,
    finish,
    four_lanes,
    function,
    lane_of,
    position,
    slot,
    weight_of,
)
from webgpu_widget._lazy.node import Node, Storage, c_strides, size_of
from webgpu_widget._lazy.runtime import vector_bindings
from webgpu_widget._lazy.trace import Instruction, Trace, collapse, narrow_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget._lazy.dtypes import DType
    from webgpu_widget._lazy.node import Dim, Shape
    from webgpu_widget._lazy.runtime import Runtime

GROUP = 256
_BLOCK = 64

_INIT = {
    "sum": {"f": "0.0", "i": "0", "u": "0u"},
    "prod": {"f": "1.0", "i": "1", "u": "1u"},
    "max": {"f": "bitcast<f32>(inf_bits | 0x80000000u)", "i": "bitcast<i32>(0x80000000u)", "u": "0u"},
    "min": {"f": "bitcast<f32>(inf_bits)", "i": "2147483647", "u": "4294967295u"},
    "any": {"b": "0u"},
    "all": {"b": "1u"},
    "arg": {"u": "vec2<u32>(0u, 0xffffffffu)"},
}
_COMBINE = {
    "sum": "{0} + {1}",
    "prod": "{0} * {1}",
    "max": "max({0}, {1})",
    "min": "min({0}, {1})",
    "any": "{0} | {1}",
    "all": "{0} & {1}",
    "arg": "select({0}, {1}, {1}.x > {0}.x || ({1}.x == {0}.x && {1}.y < {0}.y))",
}


class ReduceForm(NamedTuple):
    """All that the source of a reduction depends on.

    ``partial`` says that the input is the first pass's output, of the accumulator's type; ``final`` that the output is the
    result. ``lanes`` is 4 where a step loads vectors along the reduced axis; ``strides`` then tells which accesses do.
    """

    kind: str
    dtype: DType
    code: tuple[Instruction, ...]
    bindings: tuple[int, ...]
    dtypes: tuple[DType, ...]
    vectors: tuple[bool, ...]
    result: int
    consts: int
    outer: int
    inner: int
    lanes: int
    strides: tuple[int, ...]
    variant: str
    partial: bool
    final: bool


def accumulator(kind: str, dtype: DType) -> str:
    """Return the WGSL type of the running value."""
    if kind == "arg":
        return "vec2<u32>"
    return "u32" if kind in ("any", "all") else dt.WGSL_TYPE[dtype]


def result_type(kind: str, dtype: DType) -> DType:
    """Return the dtype of what is stored at the end (float16 comes as float32)."""
    if kind == "arg":
        return dt.INT32
    return dt.FLOAT32 if dtype == dt.FLOAT16 else dtype


def reduce_source(form: ReduceForm) -> str:
    """Return the WGSL of one pass.

    Uniform words: results, length, parts, length of a part, scale (bits of a float), stride of a result and of a part in the
    output; then the sides of both groups of axes, for each access its offset and strides, the scalars.
    """
    kind, dtype = form.kind, form.dtype
    acc = accumulator(kind, dtype)
    nd = form.outer + form.inner
    first = 7
    accesses = 1 if form.partial else len(form.bindings)
    scalars = first + nd + accesses * (1 + nd)
    out_dtype = result_type(kind, dtype)
    out_type = element_type(out_dtype, packed=False) if form.final else acc
    lines: list[str] = []
    if form.partial:
        lines += [f"@group(0) @binding(0) var<storage, read> a0: array<{acc}>;"]
        lines += [f"@group(0) @binding(1) var<storage, read_write> r0: array<{out_type}>;"]
        lines += [f"@group(1) @binding(0) var<uniform> p: array<vec4<u32>, {-(-scalars // 4)}>;"]
    else:
        lines += declarations(form.dtypes, form.vectors, [("r0", out_type)], scalars + form.consts)
        lines += function(form.code, [form.result], [dtype], scalars)
    combine = _COMBINE[kind].format("a", "b")
    if dtype.kind == "f" and kind in ("max", "min"):
        combine = f"f_{kind}imum(a, b)"
    lines.append(f"fn combine(a: {acc}, b: {acc}) -> {acc} {{ return {combine}; }}")
    lift = {"arg": "vec2<u32>(v, r)", "any": "select(0u, 1u, v)", "all": "select(0u, 1u, v)"}.get(kind, "v")
    if not form.partial:
        lines.append(f"fn lift(v: {dt.WGSL_TYPE[dtype]}, r: u32) -> {acc} {{ return {lift}; }}")
    lines += _element(form, acc, first, nd)
    lines += _segment(form, acc)
    store = "acc"
    if form.final:
        store = {"arg": "bitcast<i32>(acc.y)"}.get(kind, "acc")
        if kind == "sum" and out_dtype.kind == "f":
            store = f"acc * bitcast<f32>({slot(4)})"
    lines += _main(form, acc, store)
    return finish(lines)


def _element(form: ReduceForm, acc: str, first: int, nd: int) -> list[str]:
    """Return the function ``element(o, r)``: the accumulator's value for step `r` of result `o`."""
    outer = [slot(first + i) for i in range(form.outer)]
    inner = [slot(first + form.outer + i) for i in range(form.inner)]
    steps = [*coordinates(outer, "o", "g"), *coordinates(inner, "r", "c")]

    def where(k: int) -> str:
        at = first + nd + k * (1 + nd)
        offset = position(slot(at), [slot(at + 1 + i) for i in range(form.outer)], "g")
        return position(offset, [slot(at + 1 + form.outer + i) for i in range(form.inner)], "c")

    def outer_only(k: int) -> str:
        at = first + nd + k * (1 + nd)
        return position(slot(at), [slot(at + 1 + i) for i in range(form.outer)], "g")

    head = [f"fn element(o: u32, r: u32) -> {acc} {{", *(f"  {s}" for s in steps)]
    if form.partial:
        return [*head, f"  return a0[{where(0)}];", "}"]
    types = access_types(form.code)
    if form.lanes == 1:
        args = [where(k) if d is None else f"ld{form.bindings[k]}({where(k)})" for k, d in types.items()]
        return [*head, f"  return lift(f({', '.join(args)}).y0, r);", "}"]
    args = []
    loads: list[str] = []
    for k, dtype in types.items():
        if form.strides[k] == 0:
            load = outer_only(k) if dtype is None else f"ld{form.bindings[k]}({outer_only(k)})"
            loads.append(f"let s{k} = {load};")
            args.append(f"s{k}")
        elif dtype is None:
            loads.append(f"let s{k} = {outer_only(k)} + r * 4u;")
            args.append(f"s{k} + {{lane}}")
        else:
            loads.append(f"let q{k} = a{form.bindings[k]}[(({outer_only(k)}) >> 2u) + r];")
            args.append(lane_of(f"q{k}", dtype))
    call = f"lift(f({', '.join(args)}).y0, r * 4u + {{lane}})"
    names, uses = four_lanes("e", acc, call, weight_of(form.code))
    loads += uses
    tail = "  return combine(combine({}, {}), combine({}, {}));".format(*names)
    return [*head, *(f"  {s}" for s in loads), tail, "}"]


def _segment(form: ReduceForm, acc: str) -> list[str]:
    """Return the function that reduces steps ``begin, begin + by, ... < end`` of one result."""
    init = _INIT[form.kind][form.dtype.kind]
    return [
        f"fn initial() -> {acc} {{ return {init}; }}",
        f"fn segment(o: u32, begin: u32, end: u32, by: u32) -> {acc} {{",
        "  var total = initial();",
        "  var r = begin;",
        "  while (r < end) {",
        "    var block = initial();",
        f"    for (var k = 0u; k < {_BLOCK}u && r < end; k++) {{",
        "      block = combine(block, element(o, r));",
        "      r += by;",
        "    }",
        "    total = combine(total, block);",
        "  }",
        "  return total;",
        "}",
    ]


def _main(form: ReduceForm, acc: str, store: str) -> list[str]:
    place = f"r0[o * {slot(5)} + part * {slot(6)}]"
    span = [f"let begin = part * {slot(3)};", f"let end = min(begin + {slot(3)}, {slot(1)});"]
    if form.variant == "thread":
        return [
            "@compute @workgroup_size(64)",
            "fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {",
            f"  let count = {slot(0)} * {slot(2)};",
            "  for (var t = id.x; t < count; t += groups.x * 64u) {",
            f"    let o = t % {slot(0)};",
            f"    let part = t / {slot(0)};",
            *(f"    {s}" for s in span),
            "    let acc = segment(o, begin, end, 1u);",
            f"    {place} = {store};",
            "  }",
            "}",
        ]
    return [
        f"var<workgroup> shared_acc: array<{acc}, {GROUP}>;",
        f"@compute @workgroup_size({GROUP})",
        "fn main(@builtin(local_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>,",
        "        @builtin(num_workgroups) groups: vec3<u32>) {",
        f"  let count = {slot(0)} * {slot(2)};",
        "  for (var t = group.x; t < count; t += groups.x) {",
        f"    let part = t % {slot(2)};",
        f"    let o = t / {slot(2)};",
        *(f"    {s}" for s in span),
        f"    shared_acc[id.x] = segment(o, begin + id.x, end, {GROUP}u);",
        "    workgroupBarrier();",
        f"    for (var half = {GROUP // 2}u; half > 0u; half >>= 1u) {{",
        "      if (id.x < half) { shared_acc[id.x] = combine(shared_acc[id.x], shared_acc[id.x + half]); }",
        "      workgroupBarrier();",
        "    }",
        "    if (id.x == 0u) {",
        "      let acc = shared_acc[0];",
        f"      {place} = {store};",
        "    }",
        "    workgroupBarrier();",
        "  }",
        "}",
    ]


def reduce(runtime: Runtime, kind: str, node: Node, axes: tuple[int, ...], *, scale: float = 1.0) -> Node:
    """Queue a reduction; return a leaf without the reduced axes.

    Parameters
    ----------
    kind
        ``sum prod max min any all``, or ``arg``: the place of the largest uint32 along one axis or all.
    node
        The expression; fused unless it was reduced before and is still held.
    axes
        Sorted.
    scale
        Multiplies a sum of floats (a mean is one over the count).
    """
    with runtime.lock:
        node.used += 1
        if node.storage is None and node.used > 1 and node.op not in ("const", "iota", "view"):
            runtime.materialise(node)
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
            _launch(runtime, kind, node, dims, space, len(kept), storage, scale)
        return Node("leaf", (), shape, out_dtype, storage=storage)


def _launch(
    runtime: Runtime,
    kind: str,
    node: Node,
    dims: tuple[Dim, ...] | None,
    space: Shape,
    kept: int,
    storage: Storage,
    scale: float,
) -> None:
    trace = Trace(space)
    result = trace.value(node, dims)
    results, length = size_of(space[:kept]), size_of(space[kept:])
    # The result's own order takes part in the merging of the kept axes, the order of the index in that of the reduced ones.
    own = [[*c_strides(space[:kept]), *c_strides(space[kept:])]]
    (outer, inner), strides = collapse([space[:kept], space[kept:]], [*(a.strides for a in trace.accesses), *own])
    strides = strides[:-1]
    fallback = runtime.is_fallback
    steps_in = tuple(s[-1] if s else 0 for s in strides)
    vectors = vector_bindings(trace, steps_in) if len(inner) == 1 and length % 4 == 0 else None
    # Rows must begin at a vector, too.
    vector = vectors is not None and all(
        step == 0 or access.binding < 0 or all(v % 4 == 0 for v in stride[:-1])
        for access, stride, step in zip(trace.accesses, strides, steps_in, strict=True)
    )
    lanes = 4 if vector else 1
    steps = length // lanes
    contiguous = len(inner) <= 1 and any(s and s[-1] == 1 for s in strides) if inner else False
    variant = "group" if not fallback and contiguous and steps >= 32 else "thread"
    if variant == "group":
        parts = 1 if results >= 1024 else min(-(-steps // (GROUP * 4)), -(-4096 // results))
    else:
        wanted = 256 if fallback else 16384
        parts = 1 if results >= wanted else min(-(-steps // 64), -(-wanted // results))
    parts = max(1, parts)
    form = ReduceForm(
        kind,
        node.dtype,
        tuple(trace.code),
        tuple(a.binding for a in trace.accesses),
        tuple(trace.dtypes),
        vectors if vector and vectors is not None else (False,) * len(trace.storages),
        result,
        len(trace.consts),
        len(outer),
        len(inner),
        lanes,
        steps_in if vector else (),
        variant,
        partial=False,
        final=parts == 1,
    )
    words = [*outer, *inner]
    for access, stride in zip(trace.accesses, strides, strict=True):
        words += [access.offset, *stride]
    words += trace.consts
    inputs = [s.buffer for s in trace.storages]
    bits = dt.scalar_bits(scale, dt.FLOAT32)
    if parts == 1:
        _dispatch(runtime, form, inputs, storage, (results, steps, 1, steps, bits, 1, 0), words)
        return
    width = 2 if kind == "arg" else 1
    between = runtime.allocate(results * parts * width, dt.UINT32)
    # Parts of a result lie together for a workgroup, results of a part lie together for threads.
    second = "group" if not fallback and parts >= 64 else "thread"
    by_result, by_part = (parts, 1) if second == "group" else (1, results)
    chunk = -(-steps // parts)
    _dispatch(runtime, form, inputs, between, (results, steps, parts, chunk, bits, by_result, by_part), words)
    last = ReduceForm(kind, node.dtype, (), (), (), (), 0, 0, 1, 1, 1, (), second, partial=True, final=True)
    _dispatch(
        runtime,
        last,
        [between.buffer],
        storage,
        (results, parts, 1, parts, bits, 1, 0),
        [results, parts, 0, by_result, by_part],
    )


def _dispatch(
    runtime: Runtime,
    form: ReduceForm,
    inputs: Sequence[object],
    output: Storage,
    head: tuple[int, ...],
    words: Sequence[int],
) -> None:
    pipeline = runtime.pipeline(form, lambda: reduce_source(form), f"reduce_{form.kind}")
    count = head[0] * head[2]
    groups = min(65535, count if form.variant == "group" else -(-count // 64))
    runtime.dispatch(pipeline, [*inputs, output.buffer], [*head, *words], groups)
