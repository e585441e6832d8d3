"""The parts of WGSL that kernels of expressions share: bindings, loads, the expression as a function, places in arrays.

Sizes, strides, offsets and scalars come from a uniform, so that the source depends on the expression alone and pipelines are
reused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from webgpu_widget.arrays.lazy.dtypes import BOOL, FLOAT16, WGSL_TYPE
from webgpu_widget.arrays.lazy.library import needed
from webgpu_widget.arrays.lazy.ops import CASTS, OPS
from webgpu_widget.arrays.lazy.program import Apply, Cast, Const, Gather, Iota, Load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.lazy.dtypes import DType
    from webgpu_widget.arrays.lazy.program import Instruction

_HEAVY = 12
_NATIVE = """fn n_wide(x: f16) -> f32 { return f32(x); }
fn n_narrow(x: f32) -> f16 { return f16(x); }"""
# Conversions lose the sign of a NaN on some adapters.
_SIGNED_NATIVE = """fn n_wide(x: f16) -> f32 {
  return bitcast<f32>((bitcast<u32>(f32(x)) & 0x7fffffffu) | (bitcast<u32>(vec2<f16>(x, x)) & 0x80000000u));
}
fn n_narrow(x: f32) -> f16 {
  let bits = bitcast<u32>(vec2<f16>(f16(x), f16()));
  return bitcast<vec2<f16>>((bits & 0x7fffu) | ((bitcast<u32>(x) >> 16u) & 0x8000u)).x;
}"""
_AXES = "xyzw"


def slot(index: int) -> str:
    """Return WGSL for word `index` of the uniform."""
    return f"p[{index >> 2}].{_AXES[index & 3]}"


def element_type(dtype: DType, *, packed: bool, native: bool = False) -> str:
    """Return the element type of a buffer's binding; `native` says that float16 is WGSL's f16, not two to a u32."""
    if dtype == FLOAT16 and native:
        return "vec4<f16>" if packed else "f16"
    scalar = "u32" if dtype in (BOOL, FLOAT16) else WGSL_TYPE[dtype]
    if not packed:
        return scalar
    return f"vec{2 if dtype == FLOAT16 else 4}<{scalar}>"


def loader(binding: int, dtype: DType, *, packed: bool, native: bool) -> str:
    """Return the function ``ld<binding>(i)`` that loads one element."""
    if dtype == FLOAT16 and not native:
        word = f"a{binding}[i >> 2u][(i >> 1u) & 1u]" if packed else f"a{binding}[i >> 1u]"
        body = f"h_to_f32(({word} >> ((i & 1u) * 16u)) & 0xffffu)"
    else:
        body = f"a{binding}[i >> 2u][i & 3u]" if packed else f"a{binding}[i]"
        if dtype == BOOL:
            body = f"({body} != 0u)"
        elif dtype == FLOAT16:
            body = f"n_wide({body})"
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
        match instruction:
            case Load(access, dtype):
                params[access] = WGSL_TYPE[dtype]
                text = f"x{access}"
            case Iota(access):
                params[access] = "u32"
                text = f"x{access}"
            case Const(place, dtype):
                text = const(slot(const_slot + place), dtype)
            case Gather(binding, _, at):
                text = f"ld{binding}(v{at})"
            case Cast(source, target, value):
                text = CASTS[source, target].format(f"v{value}")
            case Apply("subtract", "f" | "h" | "c" as kind, (left, right)) if left == right:
                # Compilers take x - x as 0 for a NaN and infinities too.
                parts = [f"v{left}{part}" for part in ((".x", ".y") if kind == "c" else ("",))]
                nothing = [f"select(f_nan(), 0.0, f_isfinite({part}))" for part in parts]
                text = nothing[0] if len(nothing) == 1 else f"vec2<f32>({', '.join(nothing)})"
            case Apply(op, kind, values):
                text = OPS[op].template(kind).format(*(f"v{value}" for value in values))
            case _:
                assert_never(instruction)
        lines.append(f"  let v{number} = {text};")
    return lines, [f"x{k}: {t}" for k, t in sorted(params.items())]


def access_types(code: Sequence[Instruction]) -> dict[int, DType | None]:
    """Return the dtype of each access, None for an index."""
    types: dict[int, DType | None] = {}
    for instruction in code:
        match instruction:
            case Load(access, dtype):
                types[access] = dtype
            case Iota(access):
                types[access] = None
    return dict(sorted(types.items()))


def stored(value: str, dtype: DType) -> str:
    """Return WGSL for a value of `dtype` as it is stored (float16: natively; else it goes by pairs)."""
    if dtype == FLOAT16:
        return f"n_narrow({value})"
    return f"select(0u, 1u, {value})" if dtype == BOOL else value


def target_of(own: int, result: int) -> str:
    """Return the variable that a result is stored to: the input binding `own` where the only result goes there, see `Form`."""
    return f"r{result}" if own < 0 else f"a{own}"


def declarations(
    dtypes: Sequence[DType],
    vectors: Sequence[bool],
    results: Sequence[tuple[str, str]],
    words: int,
    *,
    native: bool,
    own: int = -1,
) -> list[str]:
    """Return the bindings: inputs ``a<i>`` with their loaders, outputs by (name, element type), and the uniform ``p``."""
    lines = [
        f"@group(0) @binding({i}) var<storage, {'read_write' if i == own else 'read'}> a{i}: "
        f"array<{element_type(d, packed=v, native=native)}>;"
        for i, (d, v) in enumerate(zip(dtypes, vectors, strict=True))
    ]
    lines += [
        f"@group(0) @binding({len(dtypes) + i}) var<storage, read_write> {name}: array<{element}>;"
        for i, (name, element) in enumerate(results)
    ]
    lines.append(f"@group(1) @binding(0) var<uniform> p: array<vec4<u32>, {max(1, -(-words // 4))}>;")
    lines += [loader(i, d, packed=v, native=native) for i, (d, v) in enumerate(zip(dtypes, vectors, strict=True))]
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
    """Return the module: what it enables, the library's functions that the lines use, and the lines."""
    text = "\n".join(lines)
    enables = ""
    if re.search(r"\bf16\b", text):
        enables = "enable f16;\n"
        text = f"{_SIGNED_NATIVE if _signs_matter(text) else _NATIVE}\n{text}"
    enables += "enable subgroups;\n" if "subgroup" in text else ""
    return enables + needed(text) + "\n" + text + "\n"


def _signs_matter(text: str) -> bool:
    """Whether a kernel moves float16 values, or asks for their signs, which NaN has too; arithmetic leaves a NaN's sign open."""
    return not re.search(r"\b(h_rounded|combine)\(", text) or re.search(r"\bf_(copysign|signbit)\(", text) is not None


def weight_of(code: Sequence[Instruction]) -> int:
    """Return what a program costs; transcendental functions count for more than one."""
    return sum(OPS[i.op].cost + (i.kind == "h") for i in code if isinstance(i, Apply))


def four_components(name: str, result: str, call: str, weight: int) -> tuple[list[str], list[str]]:
    """Return names for what `call` gives for each ``{component}``, and the statements that make them.

    They are written out where the call is light, and in a loop where it is heavy: four copies of a long expression take
    compilers long, and gain nothing where arithmetic is what takes the time.
    """
    if weight > _HEAVY:
        loop = f"for (var component = 0u; component < 4u; component++) {{ {name}[component] = {call.format(component='component')}; }}"
        return [f"{name}[{component}]" for component in range(4)], [f"var {name}: array<{result}, 4>;", loop]
    names = [f"{name}{'xyzw'[component]}" for component in range(4)]
    return names, [f"let {n} = {call.format(component=f'{component}u')};" for component, n in enumerate(names)]


def component_of(vector: str, dtype: DType, *, native: bool) -> str:
    """Return a template for one of the four elements that a packed load fetched, with ``{component}`` for which."""
    if dtype == FLOAT16:
        if native:
            return f"n_wide({vector}[{{component}}])"
        return f"h_to_f32(({vector}[{{component}} >> 1u] >> (16u * ({{component}} & 1u))) & 0xffffu)"
    return f"({vector}[{{component}}] != 0u)" if dtype == BOOL else f"{vector}[{{component}}]"
