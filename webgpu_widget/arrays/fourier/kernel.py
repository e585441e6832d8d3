"""WGSL for one pass of a transform over memory.

A pass transforms *lines* of a few to some thousand points, each line in workgroup memory: Stockham's autosorting algorithm (W. T. Cochran
et al., What is the fast Fourier transform?, 1967), in stages of butterflies of up to 16 points. A length that no workgroup holds takes
several passes, which are stages of the same algorithm over the whole array: input and output of each are seen as (..., R, span), with
the lines along R, and the lines of both come in C order of their other axes.

The first stage loads from storage and the last one stores, so that a pass of two stages exchanges values once. Where lines lie side by
side, neighbouring invocations take neighbouring lines; where a line is contiguous, they take its elements.

Real data is transformed at half the work, whatever the length is: two real lines are the parts of one complex line, and the lines that
others are the conjugates of are left out (H. V. Sorensen et al., Real-valued fast Fourier transform algorithms, 1987).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

from webgpu_widget.arrays.fourier.butterfly import Statements
from webgpu_widget.arrays.fourier.plan import pitch
from webgpu_widget.arrays.lazy.codegen import slot

__all__ = ["HEAD", "Load", "PassForm", "Store", "pass_source"]

Load = Literal["complex", "widened", "real", "folded", "hermitian"]
"""
``complex``: as it lies. ``widened``: real numbers with imaginary parts of 0. ``real``: two lines of real numbers as one.
``folded``: the first pass on half a spectrum, whose other half is the conjugate. ``hermitian``: the last of these passes (or the only
one): two lines, of which half is there, as one.
"""
Store = Literal["complex", "half", "folded", "real"]
"""``complex``: as it comes. ``half``: of each of two lines what the rest is the conjugate of. ``folded``: the last pass after such a one. ``real``: two lines of real numbers."""

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
    "scale",
)
"""Words of the uniform: lines; the spans, and how far the next lines behind them are; elements of the axes behind the transformed one; of
how many of a run of ``run`` lines ``kept`` are there; points of the whole transform; the factor of the results (bits of a float)."""


class PassForm(NamedTuple):
    """All that the source of a pass depends on.

    Parameters
    ----------
    radices
        Of the stages; the line's length is their product.
    lines
        Lines, or pairs of them, of a workgroup.
    threads
        Invocations of a workgroup.
    load, store
        See `Load` and `Store`.
    inverse
        With the other sign in the exponent.
    twiddle_bits
        For a pass that is not the first: the elements are multiplied by roots of unity, and the table's first part knows so many bits.
        Else 0.
    padded
        The input may end before the axis does; what is not there is 0.
    cut
        The output ends before the axis does.
    multiply_in, multiply_out
        The input, or the output, is multiplied by a table along the axis.
    beside_in, beside_out
        Neighbouring invocations load, or store, neighbouring lines.
    """

    radices: tuple[int, ...]
    lines: int
    threads: int
    load: Load = "complex"
    store: Store = "complex"
    inverse: bool = False
    twiddle_bits: int = 0
    padded: bool = False
    cut: bool = False
    multiply_in: bool = False
    multiply_out: bool = False
    beside_in: bool = False
    beside_out: bool = False

    @property
    def length(self) -> int:
        """Points of a line."""
        length = 1
        for radix in self.radices:
            length *= radix
        return length

    @property
    def paired(self) -> bool:
        """Whether two lines are transformed as one."""
        return self.load in ("real", "hermitian")

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it reads, in the order of their bindings, behind the input."""
        wanted = {
            "stage_roots": len(self.radices) > 1,
            "pass_roots": self.twiddle_bits > 0,
            "factors_in": self.multiply_in,
            "factors_out": self.multiply_out,
        }
        return tuple(name for name, there in wanted.items() if there)


def _param(name: str) -> str:
    return slot(HEAD.index(name))


@lru_cache(maxsize=256)
def pass_source(form: PassForm) -> str:
    """Return the WGSL of a pass; bindings: input, the tables of `PassForm.tables`, output; uniform: `HEAD`."""
    element = {"widened": "f32", "real": "f32"}.get(form.load, "vec2<f32>")
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
        *_fetch(form),
        *_put(form),
    ]
    if len(form.radices) > 1 or form.store == "half":
        lines.append(f"var<workgroup> shared_values: array<vec2<f32>, {form.lines * pitch(form.length)}>;")
    return "\n".join([*lines, *_main(form)]) + "\n"


def _fetch(form: PassForm) -> list[str]:
    """Return ``fetch(line, e)``: element `e` of a line, in the order of the transform, multiplied by what belongs to it.

    A line is (where it begins, its place among the lines of a span of the input, and the same of the output).
    """
    body = []
    length = form.length
    if form.load == "folded":
        body += [
            f"let c = line.y / {_param('inner')};",
            f"let at = c / {_param('kept')} * {_param('run')} + c % {_param('kept')} + e * ({_param('points')} / {length}u);",
            f"let mirrored = 2u * at > {_param('points')};",
            f"let row = select(at, {_param('points')} - at, mirrored);",
            f"let place = row * {_param('inner')} + line.y % {_param('inner')};",
        ]
    else:
        body.append(f"let place = line.y + e * {_param('span_in')};")
    loaded = "vec2<f32>(x[line.x + place], 0.0)" if form.load in ("widened", "real") else "x[line.x + place]"
    body.append(f"var z = {loaded};")
    if form.padded:
        body.append(f"z = select(vec2<f32>(), z, place < {_param('high_in')});")
    if form.load == "folded":
        body.append(f"z.y = select(select(z.y, -z.y, mirrored), 0.0, row == 0u || 2u * row == {_param('points')});")
    swapped = form.inverse and form.load != "hermitian"
    if swapped:
        body.append("z = z.yx;")
    if form.multiply_in:
        body.append(f"z = cmul(z, factors_in[place / {_param('inner')}]);")
    if form.twiddle_bits:
        mask = (1 << form.twiddle_bits) - 1
        body += [
            f"let c = line.z / {_param('inner')};",
            f"let q = e * (c / {_param('kept')} * {_param('run')} + c % {_param('kept')});",
            f"var root = cmul(pass_roots[{mask + 1}u + (q >> {form.twiddle_bits}u)], pass_roots[q & {mask}u]);",
        ]
        # The parts are exchanged for an inverse transform, but not here: two lines are to be put together first.
        body += ["root.y = -root.y;"] if form.inverse and not swapped else []
        body.append("z = cmul(z, root);")
    lines = ["fn fetch(line: vec3<u32>, e: u32) -> vec2<f32> {", *(f"  {s}" for s in body), "  return z;", "}"]
    if form.load == "real":
        both = "vec2<f32>(fetch(a, e).x, fetch(b, e).x)"
        if form.inverse:
            both = "vec2<f32>(fetch(b, e).y, fetch(a, e).y)"
        lines.append(f"fn fetch_both(a: vec3<u32>, b: vec3<u32>, e: u32) -> vec2<f32> {{ return {both}; }}")
    if form.load == "hermitian":
        lines += [
            "fn fetch_both(a: vec3<u32>, b: vec3<u32>, e: u32) -> vec2<f32> {",
            f"  let mirrored = 2u * e > {length}u;",
            f"  let row = select(e, {length}u - e, mirrored);",
            "  let u = fetch(a, row);",
            "  let v = fetch(b, row);",
            f"  let real = row == 0u || 2u * row == {length}u;",
            "  let odd = select(select(vec2<f32>(u.y, v.y), -vec2<f32>(u.y, v.y), mirrored), vec2<f32>(), real);",
            "  let z = vec2<f32>(u.x - odd.y, v.x + odd.x);",
            f"  return z{'.yx' if form.inverse else ''};",
            "}",
        ]
    return lines


def _put(form: PassForm) -> list[str]:
    """Return ``put(line, k, z)``, which stores element `k` of a line, or of two."""
    scale = f"bitcast<f32>({_param('scale')})"
    body = []
    if form.inverse and form.store != "half":
        body.append("z = z.yx;")
    if form.store == "folded":
        body += [
            f"let c = line.z / {_param('inner')};",
            f"let first = c % {_param('kept')};",
            f"let at = c / {_param('kept')} * {_param('run')} + first + k * ({_param('points')} / {form.length}u);",
            f"let mirrored = 2u * at > {_param('points')};",
            # Where the conjugate is made as well, one of the two stores it.
            f"if (mirrored && (first == 0u || 2u * first == {_param('run')})) {{ return; }}",
            f"let row = select(at, {_param('points')} - at, mirrored);",
            f"let place = row * {_param('inner')} + line.z % {_param('inner')};",
            "z.y = select(z.y, -z.y, mirrored);",
        ]
    else:
        body.append(f"let place = line.z + k * {_param('span_out')};")
    if form.cut:
        body.append(f"if (place >= {_param('high_out')}) {{ return; }}")
    if form.multiply_out:
        body.append(f"z = cmul(z, factors_out[place / {_param('inner')}]);")
    head = "fn put(line: vec3<u32>, high: u32, k: u32, value: vec2<f32>) {"
    if form.store == "real":
        head = "fn put(line: vec3<u32>, high: u32, other: vec3<u32>, other_high: u32, both: bool, k: u32, value: vec2<f32>) {"
        body.append(f"y[high + place] = z.x * {scale};")
        body.append(f"if (both) {{ y[other_high + other.z + k * {_param('span_out')}] = z.y * {scale}; }}")
    else:
        body.append(f"y[high + place] = z * {scale};")
    return [head, "  var z = value;", *(f"  {s}" for s in body), "}"]


def _line(name: str, number: str) -> list[str]:
    """Return the statements that find a line by its number: see `_fetch`, and where its span of the output begins."""
    return [
        f"let {name}_n = min({number}, {_param('lines')} - 1u);",
        f"let {name} = vec3<u32>({name}_n / {_param('span_in')} * {_param('high_in')}, {name}_n % {_param('span_in')}, {name}_n % {_param('span_out')});",
        f"let {name}_high = {name}_n / {_param('span_out')} * {_param('high_out')};",
    ]


def _lines_of(form: PassForm, which: str, tag: str = "") -> list[str]:
    """Return the statements that find the line ``a``, or the two lines ``a`` and ``b``, of a slot of the workgroup; names end in `tag`."""
    if form.paired:
        return [*_line(f"a{tag}", f"2u * (first + {which})"), *_line(f"b{tag}", f"2u * (first + {which}) + 1u")]
    return _line(f"a{tag}", f"first + {which}")


def _there(form: PassForm, which: str) -> str:
    return f"{'2u * ' if form.paired else ''}(first + {which}) < {_param('lines')}"


def _both(which: str) -> str:
    return f"2u * (first + {which}) + 1u < {_param('lines')}"


def _shared(form: PassForm, which: str, place: str) -> str:
    """Return where an element of a line lies in workgroup memory."""
    return f"shared_values[{which} * {pitch(form.length)}u + {place} + ({place}) / 16u]"


def _main(form: PassForm) -> list[str]:
    slots = form.lines
    body = [f"let first = (group.x + group.y * groups.x) * {slots}u;"]
    before = 1
    for stage, radix in enumerate(form.radices):
        body += _stage(form, stage, radix, before)
        before *= radix
    if form.store == "half":
        body += _untangled(form)
    return [
        f"@compute @workgroup_size({form.threads})",
        "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {",
        *(f"  {s}" for s in body),
        "}",
    ]


def _index(count: int, slots: int, b: str, tag: str, *, beside: bool) -> list[str]:
    """Return the statements that take a number apart into the slot ``w`` of a line and what is left of it, ``j``."""
    if beside:
        return [f"let w{tag} = {b} % {slots}u;", f"let j{tag} = {b} / {slots}u;"]
    return [f"let w{tag} = {b} / {count}u;", f"let j{tag} = {b} % {count}u;"]


def _stage(form: PassForm, stage: int, radix: int, before: int) -> list[str]:
    """Return the statements of a stage: all its butterflies loaded and computed, then, past a barrier, stored."""
    length, slots, threads = form.length, form.lines, form.threads
    count = length // radix
    total = count * slots
    is_first, is_last = stage == 0, stage == len(form.radices) - 1
    to_storage = is_last and form.store != "half"
    beside = (is_first and form.beside_in) or (to_storage and form.beside_out)
    computed: list[str] = []
    stored: list[str] = []
    for block in range(-(-total // threads)):
        tag = f"_{stage}_{block}"
        guard = (block + 1) * threads > total
        b = f"(lane + {block * threads}u)" if block else "lane"
        b = f"min({b}, {total - 1}u)" if guard else b
        work = _index(count, slots, b, tag, beside=beside)
        names = Statements(f"v{tag}_")
        values = []
        if is_first:
            work += _lines_of(form, f"w{tag}", tag)
            for t in range(radix):
                e = f"j{tag} + {t * count}u" if t else f"j{tag}"
                fetched = f"fetch_both(a{tag}, b{tag}, {e})" if form.paired else f"fetch(a{tag}, {e})"
                values.append(names.value(fetched))
        else:
            work.append(f"let r{tag} = j{tag} % {before}u * {length // (before * radix)}u;")
            for t in range(radix):
                place = f"j{tag} + {t * count}u" if t else f"j{tag}"
                text = _shared(form, f"w{tag}", place)
                values.append(names.value(f"cmul({text}, stage_roots[r{tag} * {t}u])" if t else text))
        results = names.transform(values)
        computed += [*work, *names.lines]
        store = [f"let o{tag} = j{tag} / {before}u * {before * radix}u + j{tag} % {before}u;"]
        if to_storage and not is_first:
            store += _lines_of(form, f"w{tag}", tag)
        for k, value in enumerate(results):
            place = f"o{tag} + {k * before}u" if k else f"o{tag}"
            if not to_storage:
                store.append(f"{_shared(form, f'w{tag}', place)} = {value};")
            elif form.store == "real":
                store.append(f"put(a{tag}, a{tag}_high, b{tag}, b{tag}_high, both{tag}, {place}, {value});")
            else:
                store.append(f"put(a{tag}, a{tag}_high, {place}, {value});")
        conditions = [f"lane + {block * threads}u < {total}u"] if guard else []
        if to_storage:
            conditions.append(_there(form, f"w{tag}"))
        if to_storage and form.store == "real":
            store.insert(0, f"let both{tag} = {_both(f'w{tag}')};")
        if conditions:
            store = [f"if ({' && '.join(conditions)}) {{", *(f"  {s}" for s in store), "}"]
        stored += store
    barrier = [] if is_first else ["workgroupBarrier();"]
    if to_storage:
        return [*computed, *stored]
    return [*computed, *barrier, *stored, "workgroupBarrier();"]


def _untangled(form: PassForm) -> list[str]:
    """Return the statements that take the transforms of two real lines apart, and store the half of each that is not the other's conjugate."""
    length, slots, threads = form.length, form.lines, form.threads
    half = length // 2 + 1
    this, other = (_shared(form, "w", place) for place in ("j", "mirror"))
    parts = ".yx" if form.inverse else ""
    return [
        f"for (var i = lane; i < {half * slots}u; i += {threads}u) {{",
        *(f"  {s}" for s in _index(half, slots, "i", "", beside=form.beside_out)),
        f"  if ({_there(form, 'w')}) {{",
        f"    let mirror = ({length}u - j) % {length}u;",
        f"    let u = {this}{parts};",
        f"    let v = {other}{parts};",
        *(f"    {s}" for s in _lines_of(form, "w")),
        "    put(a, a_high, j, 0.5 * vec2<f32>(u.x + v.x, u.y - v.y));",
        f"    if ({_both('w')}) {{ put(b, b_high, j, 0.5 * vec2<f32>(u.y + v.y, v.x - u.x)); }}",
        "  }",
        "}",
    ]
