"""WGSL for one pass of a reduction fused with the expression that it reduces.

Three variants of one generator. *thread*: an invocation for each result (or part of one), no workgroup memory, no barrier: the
way on CPU adapters, and where the reduced axis is not the contiguous one; there a GPU's invocation takes four neighbouring results
where they lie in vectors. *group*: a workgroup for each result (or part of one),
a tree in workgroup memory at the end. *subgroup*: the same, with trees of exchanges inside subgroups, and workgroup memory for
what each subgroup has. Every order is fixed by the shape and the adapter, so that equal inputs give equal bits.

Sums of floats run in blocks of 8 steps at most in each accumulator, whose results are added in pairs, then pairs of pairs and so on: the rounding error grows with the logarithm of the length, as in NumPy's, and equal numbers add up as
exactly as their blocks (Higham, The accuracy of floating point summation, 1993). A mean is divided with one rounding. The extremes of floats are found among integers in the order of the floats, in which NaN comes last: one instruction an
element, whatever a compiler assumes of NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.codegen import (
    access_types,
    component_of,
    coordinates,
    declarations,
    element_type,
    finish,
    four_components,
    function,
    position,
    slot,
    weight_of,
)

if TYPE_CHECKING:
    from webgpu_widget.arrays.lazy.dtypes import DType
    from webgpu_widget.arrays.lazy.program import Instruction

HEAD = 10
"""Words of the uniform before the sides."""
MOST_COUNT = 1 << 26
"""The first count that `f_over` does not divide by."""
_BLOCK = 64
_LEVELS = (0, 4, 8)
_LOWEST = "(-2147483647 - 1)"

_INIT = {
    "sum": {"f": "0.0", "i": "0", "u": "0u", "c": "vec2<f32>()"},
    "mean": {"f": "0.0", "c": "vec2<f32>()"},
    "prod": {"f": "1.0", "i": "1", "u": "1u", "c": "vec2<f32>(1.0, 0.0)"},
    "max": {"f": _LOWEST, "i": _LOWEST, "u": "0u"},
    "min": {"f": "2147483647", "i": "2147483647", "u": "4294967295u"},
    "any": {"b": "0u"},
    "all": {"b": "1u"},
    "arg": {"u": "vec2<u32>(0u, 0xffffffffu)"},
}
_COMBINE = {
    "sum": "a + b",
    "mean": "a + b",
    "prod": "a * b",
    "max": "max(a, b)",
    "min": "min(a, b)",
    "any": "a | b",
    "all": "a & b",
    "arg": "select(a, b, (b.x > a.x) | ((b.x == a.x) & (b.y < a.y)))",
}


class ReduceForm(NamedTuple):
    """All that the source of a pass depends on.

    ``partial`` says that the input is the first pass's output, of the accumulator's type; ``final`` that the output is the
    result. ``components`` is 4 where a step loads vectors along the last reduced axis; ``steps`` then tells which accesses do.
    ``threads`` is the workgroup's size, ``flight`` how many steps are in flight together,
    and ``native`` says that float16 is WGSL's f16 in buffers. ``wide`` says that an invocation makes four results, and then the
    vectors lie along the last kept axis. ``block`` is how many steps an accumulator takes before its value goes to the total, and
    ``levels`` how often values of blocks are combined in pairs on the way there.
    """

    kind: str
    dtype: DType
    code: tuple[Instruction, ...]
    bindings: tuple[int, ...]
    dtypes: tuple[DType, ...]
    result: int
    consts: int
    outer: int
    inner: int
    components: int
    steps: tuple[int, ...]
    variant: str
    threads: int
    flight: int
    partial: bool
    final: bool
    native: bool
    wide: bool = False
    block: int = 64
    levels: int = 0

    @property
    def vectors(self) -> tuple[bool, ...]:
        """Whether each input binding is of vectors."""
        wide = {binding for binding, step in zip(self.bindings, self.steps, strict=False) if step}
        return tuple(i in wide for i in range(len(self.dtypes)))


def pairing(kind: str, dtype: DType, elements: int, steps: int, least: int) -> tuple[int, int]:
    """Return ``block`` and ``levels`` for one invocation's steps; few choices, so that few kernels are made.

    Parameters
    ----------
    kind, dtype
        Of the reduction.
    elements
        How many elements all accumulators take in one step.
    steps
        How many steps there are.
    least
        Elements of a block, from which on it is worth its share in the pairs.
    """
    if kind not in ("sum", "mean") or dtype.kind not in "fc":
        return _BLOCK, 0
    block = min(8, max(1, least // elements))
    return block, next((levels for levels in _LEVELS if steps <= block << levels + 1), _LEVELS[-1])


def _by_key(kind: str, dtype: DType) -> bool:
    return kind in ("max", "min") and dtype.kind == "f"


def accumulator(kind: str, dtype: DType) -> str:
    """Return the WGSL type of the running value."""
    if kind == "arg":
        return "vec2<u32>"
    if _by_key(kind, dtype):
        return "i32"
    return "u32" if kind in ("any", "all") else dt.WGSL_TYPE[dtype]


def result_type(kind: str, dtype: DType) -> DType:
    """Return the dtype of what is stored at the end (float16 comes as float32)."""
    if kind == "arg":
        return dt.INT32
    return dt.FLOAT32 if dtype == dt.FLOAT16 else dtype


def reduce_source(form: ReduceForm) -> str:
    """Return the WGSL of one pass.

    Uniform words: results, steps, parts, steps of a part, the factor of a mean (bits of a float), stride of a result and of a part in
    the output and where both begin, the index of the first element, the whole number that a mean is divided by, or 0 (a wide form's
    results are in fours, but not their stride); then the sides of both groups of axes (the last one in steps), for each access its
    offset and strides (vectors: in vectors), the scalars.
    """
    kind, dtype = form.kind, form.dtype
    acc = accumulator(kind, dtype)
    nd = form.outer + form.inner
    accesses = 1 if form.partial else len(form.bindings)
    scalars = HEAD + nd + accesses * (1 + nd)
    out_dtype = result_type(kind, dtype)
    bits = kind in ("max", "min")
    out_type = acc if bits or not form.final else element_type(out_dtype, packed=False)
    lines: list[str] = []
    if form.partial:
        lines += [f"@group(0) @binding(0) var<storage, read> a0: array<{acc}>;"]
        lines += [f"@group(0) @binding(1) var<storage, read_write> r0: array<{out_type}>;"]
        lines += [f"@group(1) @binding(0) var<uniform> p: array<vec4<u32>, {-(-scalars // 4)}>;"]
    else:
        lines += declarations(form.dtypes, form.vectors, [("r0", out_type)], scalars + form.consts, native=form.native)
        lines += function(form.code, [form.result], [dtype], scalars)
    total = f"vec4<{acc}>" if form.wide else acc
    combined = "c_multiply(a, b)" if (kind, dtype.kind) == ("prod", "c") else _COMBINE[kind]
    lines.append(f"fn combine(a: {total}, b: {total}) -> {total} {{ return {combined}; }}")
    if not form.partial:
        lines.append(f"fn lift(v: {dt.WGSL_TYPE[dtype]}, r: u32) -> {acc} {{ return {_lift(kind, dtype)}; }}")
    lines += _element(form, acc, nd)
    lines += _segment(form, total)
    store = "acc"
    if form.final:
        if kind == "arg":
            store = "bitcast<i32>(acc.y)"
        elif _by_key(kind, dtype):
            store = "f_unkey(acc)"
        elif kind == "mean":
            over = [f"f_over({part}, {slot(9)}, bitcast<f32>({slot(4)}))" for part in ("acc.x", "acc.y")]
            store = f"vec2<f32>({', '.join(over)})" if dtype.kind == "c" else over[0].replace("acc.x", "acc")
    lines += _main(form, acc, store)
    return finish(lines)


def _lift(kind: str, dtype: DType) -> str:
    if _by_key(kind, dtype):
        nan = "2147483647" if kind == "max" else _LOWEST
        return f"select(f_key(v), {nan}, f_isnan(v))"
    return {"arg": f"vec2<u32>(v, r + {slot(8)})", "any": "select(0u, 1u, v)", "all": "select(0u, 1u, v)"}.get(
        kind, "v"
    )


def _element(form: ReduceForm, acc: str, nd: int) -> list[str]:
    """Return the function ``element(o, r)``: the accumulator's value for step `r` of result `o`."""
    outer = [slot(HEAD + i) for i in range(form.outer)]
    inner = [slot(HEAD + form.outer + i) for i in range(form.inner)]
    last = f"c{form.inner - 1}"

    def where(k: int, axes: int) -> str:
        at = HEAD + nd + k * (1 + nd)
        offset = position(slot(at), [slot(at + 1 + i) for i in range(form.outer)], "g")
        return position(offset, [slot(at + 1 + form.outer + i) for i in range(axes)], "c")

    lines = [f"fn element(o: u32, r: u32) -> {acc} {{"]
    lines += [f"  {s}" for s in [*coordinates(outer, "o", "g"), *coordinates(inner, "r", "c")]]
    if form.partial:
        return [*lines, f"  return a0[{where(0, form.inner)}];", "}"]
    types = access_types(form.code)
    if form.wide:
        return _wide_element(form, acc)
    if form.components == 1:
        args = [
            where(k, form.inner) if d is None else f"ld{form.bindings[k]}({where(k, form.inner)})"
            for k, d in types.items()
        ]
        return [*lines, f"  return lift(f({', '.join(args)}).y0, r);", "}"]
    args = []
    loads: list[str] = []
    for k, dtype in types.items():
        place = where(k, form.inner - 1)
        if form.steps[k] == 0:
            loads.append(f"let s{k} = {place if dtype is None else f'ld{form.bindings[k]}({place})'};")
            args.append(f"s{k}")
        elif dtype is None:
            loads.append(f"let s{k} = {place} + {last} * 4u;")
            args.append(f"s{k} + {{component}}")
        else:
            loads.append(f"let q{k} = a{form.bindings[k]}[{place} + {last}];")
            args.append(component_of(f"q{k}", dtype, native=form.native))
    call = f"lift(f({', '.join(args)}).y0, r * 4u + {{component}})"
    names, values = four_components("e", acc, call, weight_of(form.code))
    tail = "combine(combine({}, {}), combine({}, {}))".format(*names)
    return [*lines, *(f"  {s}" for s in [*loads, *values]), f"  return {tail};", "}"]


def _wide_element(form: ReduceForm, acc: str) -> list[str]:
    """As `_element`, for the four results ``4 * o ...``."""
    nd = form.outer + form.inner
    lines = coordinates([slot(HEAD + i) for i in range(form.outer)], "o", "g")
    lines += coordinates([slot(HEAD + form.outer + i) for i in range(form.inner)], "r", "c")
    last = f"g{form.outer - 1}"
    args = []
    for k, dtype in access_types(form.code).items():
        at = HEAD + nd + k * (1 + nd)
        place = position(slot(at), [slot(at + 1 + i) for i in range(form.outer - 1)], "g")
        place = position(place, [slot(at + 1 + form.outer + i) for i in range(form.inner)], "c")
        if form.steps[k] == 0:
            lines.append(f"let s{k} = {place if dtype is None else f'ld{form.bindings[k]}({place})'};")
            args.append(f"s{k}")
        elif dtype is None:
            lines.append(f"let s{k} = {place} + {last} * 4u;")
            args.append(f"s{k} + {{component}}")
        else:
            lines.append(f"let q{k} = a{form.bindings[k]}[{place} + {last}];")
            args.append(component_of(f"q{k}", dtype, native=form.native))
    names, values = four_components("e", acc, f"lift(f({', '.join(args)}).y0, r)", weight_of(form.code))
    return [
        f"fn element(o: u32, r: u32) -> vec4<{acc}> {{",
        *(f"  {s}" for s in [*lines, *values]),
        f"  return vec4<{acc}>({', '.join(names)});",
        "}",
    ]


def _segment(form: ReduceForm, acc: str) -> list[str]:
    """Return the function that reduces steps ``begin, begin + by, ... < end`` of one result."""
    init = _INIT[form.kind][form.dtype.kind]
    if form.wide:
        init = f"{acc}({init})"
    flight = range(form.flight)
    blocks = [f"b{u}" for u in flight]
    while len(blocks) > 1:
        pairs = list(zip(blocks[::2], blocks[1::2], strict=True))
        blocks = [f"combine({a}, {b})" for a, b in pairs]
    levels = range(form.levels)
    lines = [
        f"fn initial() -> {acc} {{ return {init}; }}",
        f"fn segment(o: u32, begin: u32, end: u32, by: u32) -> {acc} {{",
        "  var total = initial();",
        "  var r = begin;",
        *(["  var done = 0u;"] if form.levels else []),
        *(f"  var s{level} = initial();" for level in levels),
        f"  let ahead = by * {form.flight - 1}u;",
        "  while (r + ahead < end) {",
        *(f"    var b{u} = initial();" for u in flight),
        f"    for (var k = 0u; k < {form.block}u && r + ahead < end; k++) {{",
        *(f"      let e{u} = element(o, r + by * {u}u);" for u in flight),
        *(f"      b{u} = combine(b{u}, e{u});" for u in flight),
        f"      r += by * {form.flight}u;",
        "    }",
        f"    var block = {blocks[0]};",
        *(f"    {line}" for line in _pairs(form.levels)),
        "  }",
    ]
    rest = "total"
    if form.flight > 1:
        rest = "combine(total, rest)"
        lines += [
            "  var rest = initial();",
            "  while (r < end) {",
            "    rest = combine(rest, element(o, r));",
            "    r += by;",
            "  }",
        ]
    if form.levels:
        lines += [] if form.flight > 1 else ["  var rest = initial();"]
        lines += [f"  if ((done & {1 << level}u) != 0u) {{ rest = combine(s{level}, rest); }}" for level in levels]
        rest = "combine(total, rest)"
    return [*lines, f"  return {rest};", "}"]


def _pairs(levels: int) -> list[str]:
    """Return the statements that add ``block`` as a binary counter does: a bit of ``done`` says that its level's sum waits for another."""
    lines = ["total = combine(total, block);"]
    for level in reversed(range(levels)):
        lines = [
            f"if ((done & {1 << level}u) == 0u) {{",
            f"  s{level} = block;",
            "} else {",
            f"  block = combine(s{level}, block);",
            *(f"  {line}" for line in lines),
            "}",
        ]
    return [*lines, "done++;"] if levels else lines


def _main(form: ReduceForm, acc: str, store: str) -> list[str]:
    place = f"r0[o * {slot(5)} + part * {slot(6)} + {slot(7)}]"
    stores = [f"{place} = {store};"]
    if form.wide:
        each = place.replace("[o *", "[(o * 4u + component) *")
        stores = [
            f"for (var component = 0u; component < 4u; component++) {{ let acc = four[component]; {each} = {store}; }}"
        ]
    span = [f"let begin = part * {slot(3)};", f"let end = min(begin + {slot(3)}, {slot(1)});"]
    threads = form.threads
    if form.variant == "thread":
        return [
            f"@compute @workgroup_size({threads})",
            "fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {",
            f"  let count = {slot(0)} * {slot(2)};",
            f"  for (var t = id.x; t < count; t += groups.x * {threads}u) {{",
            f"    let o = t % {slot(0)};",
            f"    let part = t / {slot(0)};",
            *(f"    {s}" for s in span),
            f"    let {'four' if form.wide else 'acc'} = segment(o, begin, end, 1u);",
            *(f"    {s}" for s in stores),
            "  }",
            "}",
        ]
    subgroups = form.variant == "subgroup"
    tree = _subgroup_tree(form) if subgroups else _group_tree(form)
    builtins = ", @builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) member: u32" if subgroups else ""
    return [
        *(_across(acc, threads) if subgroups else []),
        # A subgroup has four invocations at least.
        f"var<workgroup> shared_acc: array<{acc}, {threads // 4 if subgroups else threads}>;",
        f"@compute @workgroup_size({threads})",
        "fn main(@builtin(local_invocation_index) lid: u32, @builtin(workgroup_id) group: vec3<u32>,",
        f"        @builtin(num_workgroups) groups: vec3<u32>{builtins}) {{",
        f"  let count = {slot(0)} * {slot(2)};",
        "  for (var t = group.x; t < count; t += groups.x) {",
        f"    let part = t % {slot(2)};",
        f"    let o = t / {slot(2)};",
        *(f"    {s}" for s in span),
        *(f"    {s}" for s in tree),
        f"    if (lid == 0u) {{ {place} = {store}; }}",
        "    workgroupBarrier();",
        "  }",
        "}",
    ]


def _group_tree(form: ReduceForm) -> list[str]:
    threads = form.threads
    return [
        f"shared_acc[lid] = segment(o, begin + lid, end, {threads}u);",
        "workgroupBarrier();",
        f"for (var half = {threads // 2}u; half > 0u; half >>= 1u) {{",
        "  if (lid < half) { shared_acc[lid] = combine(shared_acc[lid], shared_acc[lid + half]); }",
        "  workgroupBarrier();",
        "}",
        "let acc = shared_acc[0];",
    ]


def _across(acc: str, threads: int) -> list[str]:
    """Return the function that combines the values of a subgroup, whose size (a power of two) is known only when it runs.

    Partners exchange values, so that all have the same one after each step, and the same bits at the end.
    """
    lines = [f"fn across(value: {acc}, width: u32) -> {acc} {{", "  var acc = value;"]
    step = 1
    while step < min(threads, 128):
        other = f"combine(acc, subgroupShuffleXor(acc, {step}u))"
        lines.append(f"  if (width > {step}u) {{ acc = {other}; }}" if step >= 4 else f"  acc = {other};")
        step *= 2
    return [*lines, "  return acc;", "}"]


def _subgroup_tree(form: ReduceForm) -> list[str]:
    threads = form.threads
    return [
        # Adapters with subgroups larger than the workgroup leave the other invocations idle.
        f"let width = min(size, {threads}u);",
        f"var acc = across(segment(o, begin + lid, end, {threads}u), width);",
        "if (member == 0u) { shared_acc[lid / width] = acc; }",
        "workgroupBarrier();",
        "acc = initial();",
        f"for (var k = member; k < {threads}u / width; k += width) {{ acc = combine(acc, shared_acc[k]); }}",
        "acc = across(acc, width);",
    ]
