"""WGSL for one fused elementwise kernel.

A *unit* is what one step of the loop makes of each result: a vector of four elements where every access along the last axis
takes neighbours or stays, two elements where float16 lies two to a word, else one element. The linear index of a unit is taken
apart into the merged axes of the index space, which costs nothing where there is only one. A loop with a stride of the whole
grid makes any size fit into 65535 workgroups; on a GPU each step has several units in flight, a workgroup's width apart, so
that neighbours read neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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
    stored,
    target_of,
    weight_of,
)
from webgpu_widget.arrays.lazy.dtypes import FLOAT16

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.lazy.dtypes import DType
    from webgpu_widget.arrays.lazy.program import Instruction

WORKGROUP = 256


class Form(NamedTuple):
    """All that the source of a kernel depends on; its hash finds the compiled pipeline again.

    Parameters
    ----------
    code
        The program, see `webgpu_widget.arrays.lazy.trace`.
    bindings
        Input binding of each access, -1 for an index.
    steps
        Stride (1 or 0) of each access along the last axis where `components` is 4; else empty.
    dtypes
        Of each input binding.
    results, result_dtypes
        Values to store, in the order of the output bindings.
    consts
        How many scalars the uniform carries.
    ndim
        Merged axes of the index space, at least one.
    components
        Elements of a unit: 4, 2 or 1.
    placed
        The results have strides of their own, all the same; else they are runs in the order of the index space.
    flight
        Units that are in flight together.
    native
        Float16 is WGSL's f16 in buffers, not two to a word.
    own
        The input binding that the only result is stored to, -1 where results have bindings of their own.
    """

    code: tuple[Instruction, ...]
    bindings: tuple[int, ...]
    steps: tuple[int, ...]
    dtypes: tuple[DType, ...]
    results: tuple[int, ...]
    result_dtypes: tuple[DType, ...]
    consts: int
    ndim: int
    components: int
    placed: bool
    flight: int
    native: bool
    own: int = -1

    @property
    def vectors(self) -> tuple[bool, ...]:
        """Whether each input binding is of vectors."""
        wide = {binding for binding, step in zip(self.bindings, self.steps, strict=False) if step}
        return tuple(i in wide for i in range(len(self.dtypes)))


def in_flight(code: Sequence[Instruction], loads: int) -> int:
    """Return how many units a GPU's invocation should have in flight: enough bytes to hide the latency, few enough registers."""
    weight = weight_of(code)
    if weight > 12 or loads > 4:
        return 1
    return 4 if weight <= 6 and loads <= 2 else 2


def elementwise_source(form: Form) -> str:
    """Return the WGSL of a fused elementwise kernel.

    Uniform words: the units, the first unit of a result (of all), the sides (the last one in units), for each access its offset and
    its strides, for results with a place of their own these too, the scalars. Offsets and strides are in elements, those of vectors
    in vectors.
    """
    ndim = form.ndim
    places = len(form.bindings) + form.placed
    scalars = 2 + ndim + places * (1 + ndim)
    packed = form.components == 4
    native = form.native
    outputs = [(f"r{i}", element_type(d, packed=packed, native=native)) for i, d in enumerate(form.result_dtypes)]
    if form.own >= 0:
        outputs = []
    lines = declarations(form.dtypes, form.vectors, outputs, scalars + form.consts, native=native, own=form.own)
    lines += function(form.code, form.results, form.result_dtypes, scalars)
    if form.components == 2:
        lines += _pairs(form)
    return finish([*lines, *_main(form)])


def _where(form: Form, place: int, prefix: str = "c") -> str:
    """Return WGSL for the place of an access (or of the results, after the last access) at coordinates ``<prefix>0 ...``."""
    ndim = form.ndim
    first = 2 + ndim + place * (1 + ndim)
    strides = [slot(first + 1 + axis) for axis in range(ndim)]
    if form.components == 4:
        step = form.steps[place] if place < len(form.steps) else 1
        text = position(slot(first), strides[:-1], prefix)
        return f"{text} + {prefix}{ndim - 1}" if step else text
    return position(slot(first), strides, prefix)


def _sides(form: Form) -> list[str]:
    return [slot(2 + axis) for axis in range(form.ndim)]


def _main(form: Form) -> list[str]:
    flight = form.flight
    unit = _quad if form.components == 4 else _pair if form.components == 2 else _single
    begin = [
        f"@compute @workgroup_size({WORKGROUP})",
        "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lid: u32,",
        "        @builtin(num_workgroups) groups: vec3<u32>) {",
        f"  let units = {slot(0)};",
    ]
    if flight == 1:
        return [
            *begin,
            f"  for (var i = group.x * {WORKGROUP}u + lid; i < units; i += groups.x * {WORKGROUP}u) {{",
            *(f"    {line}" for part in unit(form, "") for line in part),
            "  }",
            "}",
        ]
    stride = WORKGROUP * flight
    together: list[str] = []
    rest: list[str] = []
    for k in range(flight):
        loads, values, stores = unit(form, f"_{k}")
        # Past the end the last unit is loaded again, and nothing is stored: no load waits for a branch.
        together += [f"let i_{k} = min(base + {k * WORKGROUP}u, units - 1u);", *loads]
        rest += values
        rest += [f"if (base + {k * WORKGROUP}u < units) {{ {' '.join(stores)} }}"] if k else stores
    return [
        *begin,
        f"  for (var base = group.x * {stride}u + lid; base < units; base += groups.x * {stride}u) {{",
        *(f"    {line}" for line in [*together, *rest]),
        "  }",
        "}",
    ]


def _quad(form: Form, tag: str) -> tuple[list[str], list[str], list[str]]:
    """Return the statements that load a unit of four elements, compute it, and store it; names end in `tag`."""
    prefix = f"c{tag}_"
    loads = coordinates(_sides(form), f"i{tag}", prefix)
    args: list[str] = []
    for k, dtype in access_types(form.code).items():
        place = _where(form, k, prefix)
        if dtype is None:
            if form.steps[k]:
                text = _where(form._replace(steps=(*form.steps[:k], 0, *form.steps[k + 1 :])), k, prefix)
                loads.append(f"let x{k}{tag} = {text} + {prefix}{form.ndim - 1} * 4u;")
                args.append(f"x{k}{tag} + {{component}}")
            else:
                loads.append(f"let x{k}{tag} = {place};")
                args.append(f"x{k}{tag}")
        elif form.steps[k] == 0:
            loads.append(f"let x{k}{tag} = ld{form.bindings[k]}({place});")
            args.append(f"x{k}{tag}")
        else:
            loads.append(f"let q{k}{tag} = a{form.bindings[k]}[{place}];")
            args.append(component_of(f"q{k}{tag}", dtype, native=form.native))
    names, values = four_components(f"e{tag}", "R", f"f({', '.join(args)})", weight_of(form.code))
    at = _where(form, len(form.bindings), prefix) if form.placed else f"i{tag} + {slot(1)}"
    stores: list[str] = []
    for i, dtype in enumerate(form.result_dtypes):
        if dtype == FLOAT16 and not form.native:
            half = [f"f_to_f16({name}.y{i})" for name in names]
            stores.append(
                f"{target_of(form.own, i)}[{at}] = vec2<u32>({half[0]} | ({half[1]} << 16u), {half[2]} | ({half[3]} << 16u));"
            )
        else:
            parts = ", ".join(stored(f"{name}.y{i}", dtype) for name in names)
            stores.append(
                f"{target_of(form.own, i)}[{at}] = {element_type(dtype, packed=True, native=form.native)}({parts});"
            )
    return loads, values, stores


def _single(form: Form, tag: str) -> tuple[list[str], list[str], list[str]]:
    """As `_quad`, for a unit of one element."""
    prefix = f"c{tag}_"
    loads = coordinates(_sides(form), f"i{tag}", prefix)
    args: list[str] = []
    for k, dtype in access_types(form.code).items():
        place = _where(form, k, prefix)
        loads.append(f"let x{k}{tag} = {place if dtype is None else f'ld{form.bindings[k]}({place})'};")
        args.append(f"x{k}{tag}")
    at = _where(form, len(form.bindings), prefix) if form.placed else f"i{tag} + {slot(1)}"
    stores = [
        f"{target_of(form.own, i)}[{at}] = {stored(f'e{tag}.y{i}', d)};" for i, d in enumerate(form.result_dtypes)
    ]
    return loads, [f"let e{tag} = f({', '.join(args)});"], stores


def _pairs(form: Form) -> list[str]:
    """Return the function ``at(j)``: the results' values for element `j` of the index space."""
    args = [
        _where(form, k) if dtype is None else f"ld{form.bindings[k]}({_where(form, k)})"
        for k, dtype in access_types(form.code).items()
    ]
    sides = _sides(form)
    # An odd number of elements has a last pair of one: its second half is the last element again, not what lies behind the arrays.
    steps = [f"let k = min(j, {' * '.join(sides)} - 1u);", *coordinates(sides, "k", "c")] if sides else []
    return ["fn at(j: u32) -> R {", *(f"  {line}" for line in steps), f"  return f({', '.join(args)});", "}"]


def _pair(form: Form, tag: str) -> tuple[list[str], list[str], list[str]]:
    """As `_quad`, for a unit of two elements, of which float16 results make one word."""
    values = [f"let e0{tag} = at(i{tag} * 2u);", f"let e1{tag} = at(i{tag} * 2u + 1u);"]
    stores: list[str] = []
    for i, dtype in enumerate(form.result_dtypes):
        if dtype == FLOAT16:
            stores.append(
                f"{target_of(form.own, i)}[i{tag} + {slot(1)}] = f_to_f16(e0{tag}.y{i}) | (f_to_f16(e1{tag}.y{i}) << 16u);"
            )
        else:
            stores.append(f"{target_of(form.own, i)}[(i{tag} + {slot(1)}) * 2u] = {stored(f'e0{tag}.y{i}', dtype)};")
            # A last odd element has no neighbour, and a store past the end may be moved onto the last element.
            guard = f"if ((i{tag} + {slot(1)}) * 2u + 1u < arrayLength(&{target_of(form.own, i)}))"
            stores.append(
                f"{guard} {{ {target_of(form.own, i)}[(i{tag} + {slot(1)}) * 2u + 1u] = {stored(f'e1{tag}.y{i}', dtype)}; }}"
            )
    return [], values, stores
