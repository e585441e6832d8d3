"""WGSL for one fused elementwise kernel.

Two forms. *Packed*: every load is contiguous or one element for all, so a step of the loop loads four elements of each operand
as a vector and stores four, and there is no index arithmetic. *Strided*: the linear index is taken apart into the merged axes
of the index space. Both loop with a stride of the whole grid, so that any size fits into 65535 workgroups, and both take sizes,
strides, offsets and scalars from a uniform, so that the source depends on the expression alone and pipelines are reused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from webgpu_widget._lazy.dtypes import BOOL, FLOAT16, WGSL_TYPE
from webgpu_widget._lazy.library import needed
from webgpu_widget._lazy.ops import CASTS, OPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget._lazy.dtypes import DType
    from webgpu_widget._lazy.trace import Instruction

WORKGROUP = 256
_HEAVY = 12
_AXES = "xyzw"


def slot(index: int) -> str:
    """Return WGSL for word `index` of the uniform."""
    return f"p[{index >> 2}].{_AXES[index & 3]}"


def element_type(dtype: DType, *, packed: bool) -> str:
    """Return the element type of a buffer's binding."""
    scalar = "u32" if dtype in (BOOL, FLOAT16) else WGSL_TYPE[dtype]
    if not packed:
        return scalar
    return f"vec{2 if dtype == FLOAT16 else 4}<{scalar}>"


def loader(binding: int, dtype: DType, *, packed: bool) -> str:
    """Return the function ``ld<binding>(i)`` that loads one element."""
    if dtype == FLOAT16:
        word = f"a{binding}[i >> 2u][(i >> 1u) & 1u]" if packed else f"a{binding}[i >> 1u]"
        body = f"h_to_f32(({word} >> ((i & 1u) * 16u)) & 0xffffu)"
    else:
        body = f"a{binding}[i >> 2u][i & 3u]" if packed else f"a{binding}[i]"
        if dtype == BOOL:
            body = f"({body} != 0u)"
    return f"fn ld{binding}(i: u32) -> {WGSL_TYPE[dtype]} {{ return {body}; }}"


def const(value: str, dtype: DType) -> str:
    """Return WGSL for 32 bits of the uniform as a value of `dtype`."""
    return {"f": f"bitcast<f32>({value})", "i": f"bitcast<i32>({value})", "u": value, "b": f"({value} != 0u)"}[
        dtype.kind
    ]


def body(code: Sequence[Instruction], const_slot: int) -> tuple[list[str], list[str]]:
    """Return the statements that compute the values, and the parameters that they take.

    Value ``n`` is the WGSL variable ``v<n>``; access ``k`` is the parameter ``x<k>``.
    """
    lines: list[str] = []
    params: dict[int, str] = {}
    for number, instruction in enumerate(code):
        op = instruction[0]
        if op == "load":
            access, dtype = instruction[1:]
            params[access] = WGSL_TYPE[dtype]  # type: ignore[index]
            text = f"x{access}"
        elif op == "iota":
            params[instruction[1]] = "u32"  # type: ignore[index]
            text = f"x{instruction[1]}"
        elif op == "const":
            text = const(slot(const_slot + instruction[1]), instruction[2])  # type: ignore[operator,arg-type]
        elif op == "gather":
            text = f"ld{instruction[1]}(v{instruction[3]})"
        elif op == "cast":
            text = CASTS[instruction[1], instruction[2]].format(f"v{instruction[3]}")  # type: ignore[index]
        else:
            template = OPS[op].code[instruction[1]]  # type: ignore[index]
            text = template.format(*(f"v{value}" for value in instruction[2:]))
        lines.append(f"  let v{number} = {text};")
    return lines, [f"x{k}: {t}" for k, t in sorted(params.items())]


def access_types(code: Sequence[Instruction]) -> dict[int, DType | None]:
    """Return the dtype of each access, None for an index."""
    types: dict[int, Any] = {}
    for instruction in code:
        if instruction[0] == "load":
            types[instruction[1]] = instruction[2]  # type: ignore[index]
        elif instruction[0] == "iota":
            types[instruction[1]] = None  # type: ignore[index]
    return dict(sorted(types.items()))


def stored(value: str, dtype: DType) -> str:
    """Return WGSL for a value of `dtype` as it is stored (not float16, which goes by pairs)."""
    return f"select(0u, 1u, {value})" if dtype == BOOL else value


class Form(NamedTuple):
    """All that the source of a kernel depends on; its hash finds the compiled pipeline again.

    Parameters
    ----------
    code
        The program, see `webgpu_widget._lazy.trace`.
    bindings
        Input binding of each access, -1 for an index.
    strides
        Stride (1 or 0) of each access where the kernel is packed; empty where it is strided.
    dtypes
        Of each input binding.
    results, result_dtypes
        Values to store, in the order of the output bindings.
    consts
        How many scalars the uniform carries.
    vectors
        Whether each input binding is of vectors, where the kernel is packed.
    ndim
        Merged axes of the index space, where the kernel is strided.
    region
        The output is written through an access of its own, the last one.
    """

    code: tuple[Instruction, ...]
    bindings: tuple[int, ...]
    strides: tuple[int, ...]
    dtypes: tuple[DType, ...]
    vectors: tuple[bool, ...]
    results: tuple[int, ...]
    result_dtypes: tuple[DType, ...]
    consts: int
    ndim: int
    region: bool


def declarations(
    dtypes: Sequence[DType], vectors: Sequence[bool], results: Sequence[tuple[str, str]], words: int
) -> list[str]:
    """Return the bindings: inputs ``a<i>`` with their loaders, outputs by (name, element type), and the uniform ``p``."""
    lines = [
        f"@group(0) @binding({i}) var<storage, read> a{i}: array<{element_type(d, packed=v)}>;"
        for i, (d, v) in enumerate(zip(dtypes, vectors, strict=True))
    ]
    lines += [
        f"@group(0) @binding({len(dtypes) + i}) var<storage, read_write> {name}: array<{element}>;"
        for i, (name, element) in enumerate(results)
    ]
    lines.append(f"@group(1) @binding(0) var<uniform> p: array<vec4<u32>, {max(1, -(-words // 4))}>;")
    lines += [loader(i, d, packed=v) for i, (d, v) in enumerate(zip(dtypes, vectors, strict=True))]
    return lines


def function(
    code: Sequence[Instruction], results: Sequence[int], dtypes: Sequence[DType], const_slot: int
) -> list[str]:
    """Return ``struct R`` and the function ``f`` of the loaded values."""
    lines, params = body(code, const_slot)
    members = ", ".join(f"y{i}: {WGSL_TYPE[d]}" for i, d in enumerate(dtypes))
    returns = ", ".join(f"v{n}" for n in results)
    return [
        f"struct R {{ {members} }}",
        f"fn f({', '.join(params)}) -> R {{",
        *lines,
        f"  return R({returns});",
        "}",
    ]


def coordinates(sides: Sequence[str], index: str, prefix: str) -> list[str]:
    """Return statements that take a linear index apart into ``<prefix>0 ...``, last axis fastest."""
    if not sides:
        return []
    if len(sides) == 1:
        return [f"let {prefix}0 = {index};"]
    lines = [f"var {prefix}r = {index};"]
    for axis in range(len(sides) - 1, 0, -1):
        lines += [f"let {prefix}{axis} = {prefix}r % {sides[axis]};", f"{prefix}r = {prefix}r / {sides[axis]};"]
    lines.append(f"let {prefix}0 = {prefix}r;")
    return lines


def position(offset: str, strides: Sequence[str], prefix: str) -> str:
    """Return WGSL for ``offset + sum(stride * coordinate)``."""
    return " + ".join([offset, *(f"{prefix}{axis} * {stride}" for axis, stride in enumerate(strides))])


def finish(lines: Sequence[str]) -> str:
    """Return the module: the library's functions that the lines use, and the lines."""
    text = "\n".join(lines)
    return needed(text) + "\n" + text + "\n"


def _main(statements: Sequence[str], before: Sequence[str] = ()) -> list[str]:
    return [
        f"@compute @workgroup_size({WORKGROUP})",
        "fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {",
        *(f"  {line}" for line in before),
        f"  for (var i = id.x; i < {slot(0)}; i += groups.x * {WORKGROUP}u) {{",
        *(f"    {line}" for line in statements),
        "  }",
        "}",
    ]


def elementwise_source(form: Form) -> str:
    """Return the WGSL of a fused elementwise kernel.

    Uniform words of the packed form: steps of the loop, the offset of each access (in vectors where it is contiguous), the
    scalars. Of the strided form: steps, the sides, for each access its offset and strides, the scalars.
    """
    return _packed(form) if form.strides or not form.ndim else _strided(form)


def weight_of(code: Sequence[Instruction]) -> int:
    """Return what a program costs; transcendental functions count for more than one."""
    return sum(OPS[str(i[0])].cost if i[0] in OPS else 0 for i in code)


def _packed(form: Form) -> str:
    scalars = 1 + len(form.bindings)
    outputs = [(f"r{i}", element_type(d, packed=True)) for i, d in enumerate(form.result_dtypes)]
    lines = declarations(form.dtypes, form.vectors, outputs, scalars + form.consts)
    lines += function(form.code, form.results, form.result_dtypes, scalars)
    before: list[str] = []
    steps: list[str] = []
    args: list[str] = []
    for k, dtype in access_types(form.code).items():
        offset = slot(1 + k)
        if dtype is None:
            args.append(f"{offset} + i * 4u + {{lane}}" if form.strides[k] else offset)
        elif form.strides[k] == 0:
            before.append(f"let s{k} = ld{form.bindings[k]}({offset});")
            args.append(f"s{k}")
        else:
            steps.append(f"let q{k} = a{form.bindings[k]}[i + {offset}];")
            args.append(lane_of(f"q{k}", dtype))
    steps += four_lanes("R", f"f({', '.join(args)})", weight_of(form.code))
    for i, dtype in enumerate(form.result_dtypes):
        if dtype == FLOAT16:
            half = [f"f_to_f16(e[{lane}].y{i})" for lane in range(4)]
            steps.append(f"r{i}[i] = vec2<u32>({half[0]} | ({half[1]} << 16u), {half[2]} | ({half[3]} << 16u));")
        else:
            parts = ", ".join(stored(f"e[{lane}].y{i}", dtype) for lane in range(4))
            steps.append(f"r{i}[i] = {element_type(dtype, packed=True)}({parts});")
    return finish([*lines, *_main(steps, before)])


def four_lanes(result: str, call: str, weight: int) -> list[str]:
    """Return statements that fill ``e`` with `call` for each ``{lane}``: written out where it is light, in a loop where it is heavy.

    Four copies of a long expression take compilers long, and gain nothing where arithmetic is what takes the time.
    """
    lines = [f"var e: array<{result}, 4>;"]
    if weight > _HEAVY:
        return [*lines, f"for (var lane = 0u; lane < 4u; lane++) {{ e[lane] = {call.format(lane='lane')}; }}"]
    return lines + [f"e[{lane}] = {call.format(lane=f'{lane}u')};" for lane in range(4)]


def lane_of(vector: str, dtype: DType) -> str:
    """Return a template for one of the four elements that a packed load fetched, with ``{lane}`` for which."""
    if dtype == FLOAT16:
        return f"h_to_f32(({vector}[{{lane}} >> 1u] >> (16u * ({{lane}} & 1u))) & 0xffffu)"
    return f"({vector}[{{lane}}] != 0u)" if dtype == BOOL else f"{vector}[{{lane}}]"


def _strided(form: Form) -> str:
    ndim = form.ndim
    count = len(form.bindings) + form.region
    scalars = 1 + ndim + count * (1 + ndim)
    outputs = [(f"r{i}", element_type(d, packed=False)) for i, d in enumerate(form.result_dtypes)]
    lines = declarations(form.dtypes, form.vectors, outputs, scalars + form.consts)
    lines += function(form.code, form.results, form.result_dtypes, scalars)
    at = coordinates([slot(1 + axis) for axis in range(ndim)], "i", "c")

    def where(k: int) -> str:
        first = 1 + ndim + k * (1 + ndim)
        return position(slot(first), [slot(first + 1 + axis) for axis in range(ndim)], "c")

    args = [
        where(k) if dtype is None else f"ld{form.bindings[k]}({where(k)})"
        for k, dtype in access_types(form.code).items()
    ]
    lines += ["fn at(i: u32) -> R {", *(f"  {line}" for line in at), f"  return f({', '.join(args)});", "}"]
    if form.region:
        dtype = form.result_dtypes[0]
        steps = [*at, f"r0[{where(count - 1)}] = {stored('at(i).y0', dtype)};"]
    elif FLOAT16 in form.result_dtypes:
        steps = ["let e0 = at(i * 2u);", "let e1 = at(i * 2u + 1u);"]
        for i, dtype in enumerate(form.result_dtypes):
            if dtype == FLOAT16:
                steps.append(f"r{i}[i] = f_to_f16(e0.y{i}) | (f_to_f16(e1.y{i}) << 16u);")
            else:
                steps += [f"r{i}[i * 2u + {j}u] = {stored(f'e{j}.y{i}', dtype)};" for j in range(2)]
    else:
        steps = ["let e = at(i);", *(f"r{i}[i] = {stored(f'e.y{i}', d)};" for i, d in enumerate(form.result_dtypes))]
    return finish([*lines, *_main(steps)])
