"""WGSL for a fused elementwise kernel with operands that lie across the result, as in ``x.T + y``.

Read along the result's last axis, neighbours of such an operand are a row apart, and each of its cache lines is fetched for one
element. So an invocation makes a block of four times four elements: it loads four vectors of each operand along the axis on which
the operand is contiguous, which for an operand that lies across is the other one, and turns the block in registers. A workgroup
makes 16 times 16 blocks, those of 32 neighbouring invocations being 4 rows of 8: reads and writes of whole sectors either way,
without workgroup memory. Tiles follow each other down bands of 16, so that those at work together are about as many along either
axis: in rows of tiles they would walk over the whole of an operand that lies across, more pages than a GPU has translations of.
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
    from webgpu_widget.arrays.lazy.footprint import Walk
    from webgpu_widget.arrays.lazy.program import Instruction

TILE = 64
"""Elements of a workgroup's tile along either axis."""
_BAND = 16
"""Tiles of a band along the second last axis."""
_HEAVIEST = 12
_MOST_BLOCKS = 4
_LEAST_SIDE = 32
_PLACES = [(t, u) for t in range(4) for u in range(4)]


class TransposedForm(NamedTuple):
    """All that the source of a kernel depends on.

    Parameters
    ----------
    code, bindings, dtypes, results, result_dtypes, consts, native, own
        As in `webgpu_widget.arrays.lazy.elementwise.Form`.
    ndim
        Axes of the index space: the second last is the one along which operands that lie across are contiguous.
    ways
        How each access is loaded: ``along`` the last axis or ``across`` it by vectors, ``one`` vector across for a whole block,
        ``alone`` by elements that stay along the last axis, ``index`` for an index.
    """

    code: tuple[Instruction, ...]
    bindings: tuple[int, ...]
    ways: tuple[str, ...]
    dtypes: tuple[DType, ...]
    results: tuple[int, ...]
    result_dtypes: tuple[DType, ...]
    consts: int
    ndim: int
    native: bool
    own: int = -1

    @property
    def vectors(self) -> tuple[bool, ...]:
        """Whether each input binding is of vectors."""
        wide = {b for b, way in zip(self.bindings, self.ways, strict=True) if way in ("along", "across", "one")}
        return tuple(i in wide for i in range(len(self.dtypes)))


def transposed_axis(
    code: Sequence[Instruction], bindings: Sequence[int], sides: Sequence[int], walks: Sequence[Walk]
) -> int | None:
    """Return the axis along which operands that lie across are contiguous; None where blocks do not fit the expression.

    Parameters
    ----------
    code
        The program.
    bindings
        Of each access, -1 for an index.
    sides
        Of the index space.
    walks
        Of each access, and of the results.
    """
    across = [w.strides for b, w in zip(bindings, walks[:-1], strict=True) if b >= 0 and w.strides[-1] not in (0, 1)]
    if not across or weight_of(code) > _HEAVIEST or 1 not in across[0][:-1]:
        return None
    axis = across[0].index(1)
    if any(sides[a] % 4 or sides[a] < _LEAST_SIDE for a in (axis, -1)) or _way(walks[-1], axis) != "along":
        return None
    ways = [_way(w, axis) for b, w in zip(bindings, walks[:-1], strict=True) if b >= 0]
    if None in ways or sum(way in ("along", "across") for way in ways) > _MOST_BLOCKS:
        return None
    return axis


def _way(walk: Walk, axis: int) -> str | None:
    """Return how an access is loaded, see `TransposedForm`; None where no way fits."""
    strides = walk.strides

    def even(contiguous: int) -> bool:
        contiguous %= len(strides)
        return walk.offset % 4 == 0 and all(s % 4 == 0 for a, s in enumerate(strides) if a != contiguous)

    if strides[-1] == 1:
        return "along" if even(-1) else None
    if strides[axis] == 1 and even(axis):
        return "across" if strides[-1] else "one"
    return None if strides[-1] else "alone"


class Transposed(NamedTuple):
    """What a launch needs beside its bindings."""

    form: TransposedForm
    words: list[int]
    tiles: int


def transposed(form: TransposedForm, axis: int, sides: Sequence[int], walks: Sequence[Walk]) -> Transposed:
    """Return the kernel's form with `ways` filled in, the words of its uniform without the scalars, and how many tiles it has.

    Parameters
    ----------
    form
        With no `ways` yet.
    axis
        As `transposed_axis` gave it.
    sides, walks
        As there; the offsets count from the bindings' beginnings.
    """
    order = [a for a in range(len(sides) - 1) if a != axis] + [axis, len(sides) - 1]
    ways = tuple("index" if b < 0 else str(_way(w, axis)) for b, w in zip(form.bindings, walks[:-1], strict=True))
    blocks = [sides[axis] // 4, sides[-1] // 4]
    down, right = (-(-b * 4 // TILE) for b in blocks)
    band = min(_BAND, down)
    counts = [*(sides[a] for a in order[:-2]), -(-down // band), right, band]
    tiles = 1
    for count in counts:
        tiles *= count
    words = [tiles, *blocks, *counts]
    for way, walk in zip((*ways, "along"), walks, strict=True):
        by = 1 if way in ("alone", "index") else 4
        words += [walk.offset // by, *(walk.strides[a] // by for a in order)]
    return Transposed(form._replace(ways=ways), words, tiles)


def transposed_source(form: TransposedForm) -> str:
    """Return the WGSL of a kernel that makes blocks.

    Uniform words: the tiles, the blocks along the second last and the last axis, the sides before those two, the bands, the tiles
    along the last axis, the tiles of a band along the second last; for each access and for the results the offset and the strides
    (those of vectors in vectors), the scalars.
    """
    ndim = form.ndim
    scalars = 4 + ndim + (len(form.bindings) + 1) * (1 + ndim)
    native = form.native
    outputs = [(f"r{i}", element_type(d, packed=True, native=native)) for i, d in enumerate(form.result_dtypes)]
    if form.own >= 0:
        outputs = []
    lines = declarations(form.dtypes, form.vectors, outputs, scalars + form.consts, native=native, own=form.own)
    lines += function(form.code, form.results, form.result_dtypes, scalars)
    sides = [slot(3 + axis) for axis in range(ndim + 1)]
    lines += [
        "@compute @workgroup_size(256)",
        "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lid: u32,",
        "        @builtin(num_workgroups) groups: vec3<u32>) {",
        "  let left = (lid & 7u) + ((lid >> 2u) & 8u);",
        "  let top = ((lid >> 3u) & 3u) + ((lid >> 4u) & 12u);",
        f"  for (var tile = group.x; tile < {slot(0)}; tile += groups.x) {{",
        *(f"    {s}" for s in coordinates(sides, "tile", "c")),
        f"    let down = (c{ndim - 2} * {sides[-1]} + c{ndim}) * {TILE // 4}u + top;",
        f"    let right = c{ndim - 1} * {TILE // 4}u + left;",
        f"    if (down < {slot(1)} && right < {slot(2)}) {{",
        *(f"      {s}" for s in _block(form)),
        "    }",
        "  }",
        "}",
    ]
    return finish(lines)


def _block(form: TransposedForm) -> list[str]:
    """Return the statements that load a block of four times four elements, compute it, and store it."""
    ndim = form.ndim

    def place(k: int, down: str, right: str) -> str:
        """Return where access `k` (the results: the one after the last) is at a row and a column; none of them: it has none."""
        first = 4 + ndim + k * (1 + ndim)
        text = position(slot(first), [slot(first + 1 + axis) for axis in range(ndim - 2)], "c")
        text += f" + {down} * {slot(first + ndim - 1)}" if down else ""
        return text + (f" + {right} * {slot(first + ndim)}" if right else "")

    lines: list[str] = []
    # The argument of each access at (row, column) of the block.
    args: list[dict[tuple[int, int], str]] = []
    for k, dtype in access_types(form.code).items():
        way, binding = form.ways[k], form.bindings[k]
        if dtype is None:
            args.append({(t, u): place(k, f"(down * 4u + {t}u)", f"(right * 4u + {u}u)") for t, u in _PLACES})
            continue
        for n in range(1 if way == "one" else 4):
            there = f"(down * 4u + {n}u)", ""
            if way == "across":
                there = "", f"(right * 4u + {n}u)"
            elif way == "one":
                there = "", ""
            at = place(k, *there)
            loaded = {"along": f"a{binding}[{at} + right]", "alone": f"ld{binding}({at})"}
            lines.append(f"let q{k}_{n} = {loaded.get(way, f'a{binding}[{at} + down]')};")
        if way == "alone":
            args.append({(t, u): f"q{k}_{t}" for t, u in _PLACES})
        else:
            vector = {"along": (1, 0), "across": (0, 1), "one": (0, 0)}[way]
            args.append(
                {
                    (t, u): component_of(f"q{k}_{t * vector[0] + u * vector[1]}", dtype, native=form.native).format(
                        component=f"{u if way == 'along' else t}u"
                    )
                    for t, u in _PLACES
                }
            )
    for t, u in _PLACES:
        lines.append(f"let e{t}{u} = f({', '.join(arg[t, u] for arg in args)});")
    for t in range(4):
        at = f"{place(len(form.bindings), f'(down * 4u + {t}u)', '')} + right"
        for i, dtype in enumerate(form.result_dtypes):
            element = element_type(dtype, packed=True, native=form.native)
            if dtype == FLOAT16 and not form.native:
                half = [f"f_to_f16(e{t}{u}.y{i})" for u in range(4)]
                parts = f"{half[0]} | ({half[1]} << 16u), {half[2]} | ({half[3]} << 16u)"
            else:
                parts = ", ".join(stored(f"e{t}{u}.y{i}", dtype) for u in range(4))
            lines.append(f"{target_of(form.own, i)}[{at}] = {element}({parts});")
    return lines
