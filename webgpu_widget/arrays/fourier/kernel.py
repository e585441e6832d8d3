"""WGSL for one pass of a transform over memory.

A pass transforms *lines* of a few to some thousand points, each line in workgroup memory: Stockham's autosorting algorithm (W. T. Cochran
et al., What is the fast Fourier transform?, 1967), in stages of butterflies of up to 16 points. A length that no workgroup holds takes
several passes, which are stages of the same algorithm over the whole array: input and output of each are seen as (..., R, span), with
the lines along R, and the lines of both come in C order of their other axes.

The first stage loads from storage and the last one stores, so that a pass of two stages exchanges values once. Where lines lie side by
side, neighbouring invocations take neighbouring lines; where a line is contiguous, they take its elements.

Real data is transformed at half the work, whatever the length is. Of what a pass makes of real numbers, half is the conjugate of the rest,
and is neither stored nor transformed further; and a real line of an even length is packed into a complex one of half the length (H. V.
Sorensen et al., Real-valued fast Fourier transform algorithms, 1987). No two transforms share a line: what is large, infinite or NaN in
one leaves the others alone.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from webgpu_widget.arrays.fourier.butterfly import Statements
from webgpu_widget.arrays.fourier.plan import pitch
from webgpu_widget.arrays.lazy.codegen import slot

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HEAD", "Load", "PassForm", "Store", "pass_source"]

Load = Literal["complex", "real", "folded", "hermitian"]
"""
``complex``: as it lies. ``real``: real numbers. ``folded``: the first pass of several on half a spectrum, whose other half is the
conjugate. ``hermitian``: lines whose second half is the conjugate of the first, and is not there.
"""
Store = Literal["complex", "half", "folded", "real"]
"""
``complex``: as it comes. ``half``: the first half of a line, of which the second is the conjugate. ``folded``: the last pass after such
a one. ``real``: the real parts.
"""

HEAD = (
    "lines",
    "span_in",
    "span_out",
    "high_in",
    "high_out",
    "inner",
    "kept",
    "run",
    "points",
    "bits",
    "scale",
)
"""Words of the uniform: lines; the spans, and how far the next lines behind them are; elements of the axes behind the transformed one; of
how many of a run of ``run`` lines ``kept`` are there; points of the whole transform; how many bits of a power the first part of the table of
roots knows; the factor of the results (bits of a float)."""


class PassForm(NamedTuple):
    """All that the source of a pass depends on.

    Parameters
    ----------
    radices
        Of the stages; their product is the number of points that are transformed.
    lines
        Lines of a workgroup.
    threads
        Invocations of a workgroup.
    load, store
        See `Load` and `Store`.
    packed
        Two neighbouring real numbers, of the input or of the output, are one complex number: a line has twice as many as points.
    inverse
        With the other sign in the exponent.
    twiddled
        The elements are multiplied by roots of unity first, as in all passes but the first.
    padded
        The input may end before the axis does; what is not there is 0.
    cut
        The output ends before the axis does.
    multiply_in, multiply_out
        The input, or the output, is multiplied by a table along the axis.
    beside_in, beside_out
        Neighbouring invocations load, or store, neighbouring lines.
    stored
        Of ``half`` a line, how many results are stored: all that the conjugates lack, and what fills the row up.
    convolved
        The last pass of a transform, which is multiplied by a table, and the first one of the way back. Where that is all, one table is of the
        input and of the output.
    by_parts
        Stages exchange the real parts first and then the imaginary ones, in half the workgroup memory: more workgroups run side by side.
    """

    radices: tuple[int, ...]
    lines: int
    threads: int
    load: Load = "complex"
    store: Store = "complex"
    packed: bool = False
    inverse: bool = False
    twiddled: bool = False
    padded: bool = False
    cut: bool = False
    multiply_in: bool = False
    multiply_out: bool = False
    beside_in: bool = False
    beside_out: bool = False
    stored: int = 0
    convolved: bool = False
    by_parts: bool = False

    @property
    def length(self) -> int:
        """Complex points of a line."""
        return math.prod(self.radices)

    @property
    def line(self) -> int:
        """Points of a line of the whole transform."""
        return self.length * (2 if self.packed else 1)

    @property
    def untangled(self) -> bool:
        """Whether results meet in workgroup memory once more, to be taken apart."""
        return self.packed and self.store == "half" and len(self.radices) > 1

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it reads, in the order of their bindings, behind the input."""
        wanted = {
            "stage_roots": len(self.radices) > 1,
            "line_roots": self.untangled or (self.packed and self.load == "hermitian"),
            "pass_roots": self.twiddled,
            "factors_in": self.multiply_in,
            "factors_between": self.convolved,
            "factors_out": self.multiply_out and not self.convolved,
        }
        return tuple(name for name, there in wanted.items() if there)


def _param(name: str) -> str:
    return slot(HEAD.index(name))


@lru_cache(maxsize=256)
def pass_source(form: PassForm) -> str:
    """Return the WGSL of a pass; bindings: input, the tables of `PassForm.tables`, output; uniform: `HEAD`."""
    element = "f32" if form.load == "real" else "vec2<f32>"
    stored = "f32" if form.store == "real" else "vec2<f32>"
    lines = [
        "// A pass of a Fourier transform. Made by webgpu_widget.arrays.fourier.kernel.",
        f"@group(0) @binding(0) var<storage, read> x: array<{element}>;",
        *(
            f"@group(0) @binding({i}) var<storage, read> {name}: array<vec2<f32>>;"
            for i, name in enumerate(form.tables, 1)
        ),
        f"@group(0) @binding({len(form.tables) + 1}) var<storage, read_write> y: array<{stored}>;",
        f"@group(1) @binding(0) var<uniform> p: array<vec4<u32>, {-(-len(HEAD) // 4)}>;",
        "fn cmul(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {",
        "  return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);",
        "}",
        *_roots(form),
        *_fetch(form),
        *_put(form),
    ]
    if len(form.radices) > 1 or form.untangled:
        exchanged = "f32" if form.by_parts else "vec2<f32>"
        lines.append(f"var<workgroup> shared_values: array<{exchanged}, {form.lines * pitch(form.length)}>;")
    return "\n".join([*lines, *_main(form)]) + "\n"


def _fetch(form: PassForm) -> list[str]:
    """Return ``fetch(line, e)``: what the transform of a line has at place `e`, but for the roots of a pass that is not the first.

    A line is (where its span of the input begins, its place in it, and its place in its span of the output).
    """
    body: list[str] = []
    if form.load == "folded":
        body += _folded(form, "line.y", "e")
    else:
        body.append(
            f"let place = line.y + e * {_param('span_in')}{' * 2u' if form.packed and form.load == 'real' else ''};"
        )
    body += _loaded(form)
    if form.load == "folded":
        body.append(f"z.y = select(select(z.y, -z.y, mirrored), 0.0, row == 0u || 2u * row == {_param('points')});")
    # An inverse transform is one with the parts exchanged on both sides; real results have it that way in any case.
    if form.inverse and form.load in ("complex", "folded"):
        body.append("z = z.yx;")
    if form.multiply_in:
        body.append(f"z = cmul(z, factors_in[place / {_param('inner')}]);")
    if form.padded:
        # After the product: a table has no factor for what is not there.
        body.append(f"z = select(vec2<f32>(), z, place < {_param('high_in')});")
    if form.twiddled and form.load == "hermitian":
        body.append("var root = root_of(e * place_of(line));")
        body += ["root.y = -root.y;"] if form.inverse else []
        body.append("z = cmul(z, root);")
    name = "row_of" if form.load == "hermitian" else "fetch"
    lines = [f"fn {name}(line: vec3<u32>, e: u32) -> vec2<f32> {{", *(f"  {s}" for s in body), "  return z;", "}"]
    return [*lines, *_mirrored(form)] if form.load == "hermitian" else lines


def _folded(form: PassForm, line: str, element: str) -> list[str]:
    """Return the statements that find the ``place`` of an element in half a spectrum, and whether it is ``mirrored``: there as a conjugate."""
    return [
        f"let c = {line} / {_param('inner')};",
        f"let first = c % {_param('kept')};",
        f"let at = c / {_param('kept')} * {_param('run')} + first + {element} * ({_param('points')} / {form.line}u);",
        f"let mirrored = 2u * at > {_param('points')};",
        f"let row = select(at, {_param('points')} - at, mirrored);",
        f"let place = row * {_param('inner')} + {line} % {_param('inner')};",
    ]


def _roots(form: PassForm) -> list[str]:
    """Return ``place_of(line)``, and ``root_of(q)``: a power of the root that belongs to a pass."""
    if not form.twiddled:
        return []
    bits = _param("bits")
    return [
        "fn place_of(line: vec3<u32>) -> u32 {",
        # The last pass of a transform has one span; what is stored then belongs to the way back.
        f"  let c = line.{'y' if form.convolved else 'z'} / {_param('inner')};",
        f"  return c / {_param('kept')} * {_param('run')} + c % {_param('kept')};",
        "}",
        "fn root_of(q: u32) -> vec2<f32> {",
        f"  let low = 1u << {bits};",
        f"  return cmul(pass_roots[low + (q >> {bits})], pass_roots[q & (low - 1u)]);",
        "}",
    ]


def _loaded(form: PassForm) -> list[str]:
    """Return the statements that load ``z``, or two real numbers into it."""
    if form.load != "real":
        lines = ["var z = x[line.x + place];"]
    elif form.packed:
        lines = [f"var z = vec2<f32>(x[line.x + place], x[line.x + place + {_param('span_in')}]);"]
    else:
        lines = ["var z = vec2<f32>(x[line.x + place], 0.0);"]
    if form.padded and form.packed and form.load == "real":
        lines.append(f"z.y = select(0.0, z.y, place + {_param('span_in')} < {_param('high_in')});")
    return lines


def _mirrored(form: PassForm) -> list[str]:
    """Return ``fetch`` for lines of which the second half is the conjugate of the first."""
    line = form.line
    if not form.packed:
        body = [
            f"let mirrored = 2u * e > {line}u;",
            f"var z = row_of(line, select(e, {line}u - e, mirrored));",
            "z.y = select(select(z.y, -z.y, mirrored), 0.0, e == 0u);",
        ]
    else:
        # The transforms of the even and of the odd numbers, the second as the imaginary part.
        body = [
            "var u = row_of(line, e);",
            f"var v = row_of(line, {form.length}u - e);",
            "if (e == 0u) { u.y = 0.0; v.y = 0.0; }",
        ]
        body += [] if form.inverse else ["u.y = -u.y;", "v.y = -v.y;"]
        body += [
            "let even = vec2<f32>(u.x + v.x, u.y - v.y);",
            "let root = line_roots[e];",
            "let odd = cmul(vec2<f32>(u.x - v.x, u.y + v.y), vec2<f32>(root.x, -root.y));",
            "let z = vec2<f32>(even.x - odd.y, even.y + odd.x);",
        ]
    if not (form.packed or form.inverse):
        body.append("z.y = -z.y;")
    return ["fn fetch(line: vec3<u32>, e: u32) -> vec2<f32> {", *(f"  {s}" for s in body), "  return z.yx;", "}"]


def _put(form: PassForm) -> list[str]:
    """Return ``put(line, high, k, z)``, which stores what the transform of a line has at place `k`."""
    scale = f"bitcast<f32>({_param('scale')})"
    body: list[str] = []
    if form.store == "real" or form.convolved or (form.inverse and form.load != "real"):
        body.append("z = z.yx;")
    elif form.inverse:
        body.append("z.y = -z.y;")
    if form.store == "half" and not form.packed:
        body.append(f"if (k >= {form.stored}u) {{ return; }}")
    if form.store == "folded":
        body += _folded(form, "line.z", "k")
        # Where the conjugate is made as well, one of the two stores it; lines past the middle are conjugates of others.
        body.append(f"let middle = 2u * first == {_param('run')};")
        body.append(f"if (2u * first > {_param('run')} || (mirrored && (first == 0u || middle))) {{ return; }}")
        body.append("z.y = select(z.y, -z.y, mirrored);")
    else:
        body.append(
            f"let place = line.z + k * {_param('span_out')}{' * 2u' if form.packed and form.store == 'real' else ''};"
        )
    if form.cut:
        body.append(f"if (place >= {_param('high_out')}) {{ return; }}")
    if form.multiply_out:
        body.append(f"z = cmul(z, factors_{'in' if form.convolved else 'out'}[place / {_param('inner')}]);")
    if form.store == "real":
        body.append(f"y[high + place] = z.x * {scale};")
        if form.packed:
            body.append(f"y[high + place + {_param('span_out')}] = z.y * {scale};")
    else:
        body.append(f"y[high + place] = z * {scale};")
    head = "fn put(line: vec3<u32>, high: u32, k: u32, value: vec2<f32>) {"
    return [head, "  var z = value;", *(f"  {s}" for s in body), "}"]


def _line(which: str, tag: str = "") -> list[str]:
    """Return the statements that find the line of a slot of the workgroup: see `_fetch`, and where its span of the output begins."""
    number = f"number{tag}"
    return [
        f"let {number} = min(first + {which}, {_param('lines')} - 1u);",
        f"let line{tag} = vec3<u32>({number} / {_param('span_in')} * {_param('high_in')}, {number} % {_param('span_in')}, {number} % {_param('span_out')});",
        f"let high{tag} = {number} / {_param('span_out')} * {_param('high_out')};",
    ]


def _shared(form: PassForm, which: str, place: str) -> str:
    """Return where an element of a line lies in workgroup memory."""
    return f"shared_values[{which} * {pitch(form.length)}u + {place} + ({place}) / 16u]"


def _main(form: PassForm) -> list[str]:
    slots = form.lines
    body = [f"let first = (group.x + group.y * groups.x) * {slots}u;"]
    radices = (*form.radices, *(form.radices[-2::-1] if form.convolved else ()))
    before, stages = 1, []
    for number, radix in enumerate(radices):
        if number == len(form.radices):  # the way back
            before = form.radices[-1]
        stages.append(_stage(form, number, radix, before))
        before *= radix
    stages += [_untangled(form)] if form.untangled else []
    for number, stage in enumerate(stages):
        body += stage.places
        if number:
            body += _exchange(form, stages[number - 1].kept, stage.loads, again=number > 1)
        body += stage.computed
    body += stages[-1].stored
    return [
        f"@compute @workgroup_size({form.threads})",
        "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lid: u32) {",
        *(f"  {s}" for s in body),
        "}",
    ]


class _Kept(NamedTuple):
    """Results of an invocation's share of a stage's butterflies, which go to workgroup memory: (where, what), under a condition."""

    condition: str
    values: list[tuple[str, str]]


class _Stage(NamedTuple):
    """The statements of a stage, but for the exchange with the one before."""

    places: list[str]
    loads: list[tuple[str, str]]
    """(name, where in workgroup memory) of what its butterflies take; none for the first, which loads from storage."""
    computed: list[str]
    kept: list[_Kept]
    stored: list[str]
    """What stores the results of the last one in storage."""


def _written(kept: Sequence[_Kept], part: str = "") -> list[str]:
    """Return the statements that put results, or one part of them, into workgroup memory."""
    lines: list[str] = []
    for one in kept:
        puts = [f"{place} = {value}{part};" for place, value in one.values]
        lines += [f"if ({one.condition}) {{", *(f"  {s}" for s in puts), "}"] if one.condition else puts
    return lines


def _exchange(form: PassForm, kept: Sequence[_Kept], loads: Sequence[tuple[str, str]], *, again: bool) -> list[str]:
    """Return the statements that hand the results of a stage to the next one; `again` where the memory is still read for the exchange before."""
    barrier = "workgroupBarrier();"
    lines = [barrier] if again else []
    if not form.by_parts:
        return [*lines, *_written(kept), barrier, *(f"let {name} = {place};" for name, place in loads)]
    for part in "xy":
        lines += [barrier] if part == "y" else []
        lines += [*_written(kept, f".{part}"), barrier, *(f"let {name}_{part} = {place};" for name, place in loads)]
    return [*lines, *(f"let {name} = vec2<f32>({name}_x, {name}_y);" for name, _ in loads)]


def _index(count: int, slots: int, b: str, tag: str, *, beside: bool) -> list[str]:
    """Return the statements that take a number apart into the slot ``w`` of a line and what is left of it, ``j``."""
    if beside:
        return [f"let w{tag} = {b} % {slots}u;", f"let j{tag} = {b} / {slots}u;"]
    return [f"let w{tag} = {b} / {count}u;", f"let j{tag} = {b} % {count}u;"]


def _stage(form: PassForm, stage: int, radix: int, before: int) -> _Stage:
    """Return a stage: all its butterflies, each invocation's in shares."""
    length, slots, threads = form.length, form.lines, form.threads
    count = length // radix
    total = count * slots
    is_first, is_last = stage == 0, stage == (2 if form.convolved else 1) * (len(form.radices) - 1)
    is_turn = form.convolved and stage == len(form.radices) - 1
    to_storage = is_last and not form.untangled
    beside = (is_first and form.beside_in) or (to_storage and form.beside_out)
    made = _Stage([], [], [], [], [])
    for share in range(-(-total // threads)):
        tag = f"_{stage}_{share}"
        guard = (share + 1) * threads > total
        b = f"(lid + {share * threads}u)" if share else "lid"
        made.places.extend(_index(count, slots, f"min({b}, {total - 1}u)" if guard else b, tag, beside=beside))
        width = 1 if is_turn else before
        names = Statements(f"v{tag}_")
        if is_first:
            made.places.extend(_line(f"w{tag}", tag))
            values = [names.value(f"fetch(line{tag}, j{tag} + {t * count}u)") for t in range(radix)]
            if form.twiddled and form.load != "hermitian":
                place = names.value(f"place_of(line{tag})")
                begin = names.value(f"root_of({place} * j{tag})") if count > 1 else ""
                step = names.value(f"{place} * {count}u")
                values = names.times(values, names.powers(radix, partial(_root_text, "root_of({})", step), begin))
        else:
            values = [f"a{tag}_{t}" for t in range(radix)]
            taken = [_shared(form, f"w{tag}", f"j{tag} + {t * count}u") for t in range(radix)]
            made.loads.extend(zip(values, taken, strict=True))
            step = names.value(f"j{tag} % {before}u * {length // (before * radix)}u")
            values = names.times(values, names.powers(radix, partial(_root_text, "stage_roots[{}]", step)))
        results = names.transform(values)
        if is_turn:
            made.computed.extend([] if is_first else _line(f"w{tag}", tag))
            results = _rotated(names, results, tag, count)
        if form.packed and form.store == "half" and not form.untangled:
            results = _halves(names, results)
        made.computed.extend(names.lines)
        made.computed.append(f"let o{tag} = j{tag} / {width}u * {width * radix}u + j{tag} % {width}u;")
        condition = f"lid + {share * threads}u < {total}u" if guard else ""
        placed = [(f"o{tag} + {k * width}u", value) for k, value in enumerate(results)]
        if to_storage:
            store = [] if is_first else _line(f"w{tag}", tag)
            store += [f"put(line{tag}, high{tag}, {place}, {value});" for place, value in placed]
            there = f"first + w{tag} < {_param('lines')}"
            condition = f"{condition} && {there}" if condition else there
            made.stored.extend([f"if ({condition}) {{", *(f"  {s}" for s in store), "}"])
        else:
            made.kept.append(_Kept(condition, [(_shared(form, f"w{tag}", place), value) for place, value in placed]))
    return made


def _rotated(names: Statements, results: Sequence[str], tag: str, count: int) -> list[str]:
    """Return the results of the first butterfly of the way back, of which those of the last one of the way there are the elements.

    The way back is the same transform, of values whose parts are exchanged.
    """
    span, inner = _param("span_in"), _param("inner")
    places = [f"(line{tag}.y + (j{tag} + {k * count}u) * {span}) / {inner}" for k in range(len(results))]
    factors = [names.value(f"factors_between[{place}]") for place in places]
    return names.transform([names.value(f"{value}.yx") for value in names.times(results, factors)])


def _root_text(template: str, step: str, power: int) -> str:
    """Return WGSL for a power of a root that a table has."""
    return template.format(step if power == 1 else f"{step} * {power}u")


def _halves(names: Statements, packed: Sequence[str]) -> list[str]:
    """Return half the transform of a real line, given that of its packed form in registers."""
    length = len(packed)
    results = []
    for k in range(length + 1):
        u, v = packed[k % length], packed[(length - k) % length]
        if u == v:
            even, odd = f"vec2<f32>({u}.x, 0.0)", f"vec2<f32>({u}.y, 0.0)"
        else:
            even = f"0.5 * vec2<f32>({u}.x + {v}.x, {u}.y - {v}.y)"
            odd = f"0.5 * vec2<f32>({u}.y + {v}.y, {v}.x - {u}.x)"
        results.append(names.value(f"{names.value(even)} + {names.rotated(names.value(odd), k, 2 * length)}"))
    return results


def _untangled(form: PassForm) -> _Stage:
    """Return the stage that makes half the transform of a real line of that of its packed form, and stores it."""
    length, threads, half = form.length, form.threads, form.stored
    total = half * form.lines
    made = _Stage([], [], [], [], [])
    for share in range(-(-total // threads)):
        tag = f"_u_{share}"
        guard = (share + 1) * threads > total
        b = f"(lid + {share * threads}u)" if share else "lid"
        made.places.extend(
            _index(half, form.lines, f"min({b}, {total - 1}u)" if guard else b, tag, beside=form.beside_out)
        )
        this, other = (
            _shared(form, f"w{tag}", place)
            for place in (f"(j{tag} % {length}u)", f"(({2 * length}u - j{tag}) % {length}u)")
        )
        made.loads.extend([(f"u{tag}", this), (f"v{tag}", other)])
        odd = f"cmul(vec2<f32>(u{tag}.y + v{tag}.y, v{tag}.x - u{tag}.x), line_roots[j{tag}])"
        even = f"vec2<f32>(u{tag}.x + v{tag}.x, u{tag}.y - v{tag}.y)"
        condition = f"lid + {share * threads}u < {total}u && " if guard else ""
        made.stored.extend(
            [
                f"if ({condition}first + w{tag} < {_param('lines')}) {{",
                *(f"  {s}" for s in _line(f"w{tag}", tag)),
                f"  put(line{tag}, high{tag}, j{tag}, 0.5 * ({even} + {odd}));",
                "}",
            ]
        )
    return made
