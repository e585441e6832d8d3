"""WGSL rewritten so that each index that is out of bounds is noted in a buffer; what it computes stays the same."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webgpu_widget.kernels.watched.bodies import Body, Site
from webgpu_widget.kernels.watched.module import Function, Kind, Module

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webgpu_widget.kernels.watched.tokens import Token

__all__ = ["WORDS", "Watched", "instrument"]

WORDS = 10
"""Of 4 bytes, for each index expression: how often it was out of bounds, then of the first time: three coordinates, three lengths, the invocation."""
_COUNTS = {"layer": "textureNumLayers", "level": "textureNumLevels", "sample": "textureNumSamples"}
_AXES = {"1d": 1, "2d": 2, "cube": 2, "3d": 3}


@dataclass(frozen=True)
class Place:
    """An index expression, as a message speaks of it; ``line`` and ``column`` count from 1."""

    variable: str
    text: str
    line: int
    column: int
    axes: int
    what: str


@dataclass(frozen=True)
class Watched:
    """The text that watches, its index expressions, and where its notes are bound."""

    source: str
    places: Sequence[Place]
    group: int
    binding: int
    unread: int
    """How many statements could not be read and are not watched."""


@functools.lru_cache(maxsize=64)
def instrument(source: str, slots: tuple[tuple[int, int], ...], *, texels: bool = True) -> Watched:
    """Rewrite WGSL that compiles.

    Parameters
    ----------
    source : str
        The module.
    slots : tuple of (int, int)
        Groups and bindings that its variables have.
    texels : bool
        Whether coordinates of textures are watched as well.

    Raises
    ------
    UnreadableError
        For a module that this reader does not know.
    """
    return _Writer(source, slots, texels=texels).written()


class _Writer:
    def __init__(self, source: str, slots: tuple[tuple[int, int], ...], *, texels: bool) -> None:
        self.module = Module(source)
        self.texels = texels
        self.prefix = next(name for name in (f"watched{i or ''}_" for i in range(10**6)) if name not in source)
        self.group = max((group for group, _ in slots), default=0)
        self.binding = 1 + max((binding for group, binding in slots if group == self.group), default=-1)
        self.edits: list[tuple[int, int, str]] = []
        """Place, order at that place, text."""
        self.functions: dict[str, str] = {}
        self.places: list[Place] = []
        self.unread = 0

    def written(self) -> Watched:
        module = self.module
        for function in module.functions.values():
            if function.attributes.keys() & {"vertex", "fragment"}:
                continue
            body = Body(module, function)
            self._within(body)
            self.unread += len(body.unread)
            if "compute" in function.attributes:
                self._begin(function)
        return Watched(self._edited(), tuple(self.places), self.group, self.binding, self.unread)

    def _within(self, body: Body) -> None:
        body.read()
        for site in body.sites:
            if site.kind.name == "texture":
                if self.texels:
                    self._texel(site)
            else:
                self._index(site)

    def _number(self, site: Site, axes: int) -> int:
        source, start = self.module.source, site.base[0]
        line = source.count("\n", 0, start) + 1
        column = start - source.rfind("\n", 0, start)
        self.places.append(Place(site.variable, site.text, line, column, axes, site.what))
        return len(self.places) - 1

    def _wrap(self, span: tuple[int, int], before: str, after: str) -> None:
        # Of what begins at one place the outer comes first, of what ends at one the inner.
        self.edits.append((span[0], span[0] - span[1], before))
        self.edits.append((span[1], -(1 << 40) + span[1] - span[0], after))

    def _index(self, site: Site) -> None:
        number = self._number(site, 1)
        base = self.module.source[slice(*site.base)]
        kind = site.kind
        if kind.name == "array" and not kind.count:
            length = f"arrayLength({base if site.pointer else f'&({base})'})"
        elif kind.name == "array" and not kind.local:
            length = self._length(kind)
        else:
            length = f"u32({kind.count})"
        self._wrap(site.index, f"{self.prefix}index(u32(", f"), {length}, {number}u)")

    def _length(self, kind: Kind) -> str:
        """Return a call of a function in the module's scope, where no local name hides what the count is made of."""
        if kind.count.rstrip("u").isdigit():
            return f"u32({kind.count})"
        name = self.functions.setdefault(kind.count, f"{self.prefix}count{len(self.functions)}")
        return f"{name}()"

    def _texel(self, site: Site) -> None:
        base = self.module.source[slice(*site.base)]
        if site.what != "index":
            number = self._number(site, 1)
            before, after = ("u32(i32(", "))") if site.constant else ("u32(", ")")
            self._wrap(site.index, f"{self.prefix}index({before}", f"{after}, {_COUNTS[site.what]}({base}), {number}u)")
            return
        axes = next(count for part, count in _AXES.items() if f"_{part}" in site.kind.label)
        number = self._number(site, axes)
        plain, signed = ("u32", "i32") if axes == 1 else (f"vec{axes}u", f"vec{axes}i")
        before, after = (f"{plain}({signed}(", "))") if site.constant else (f"{plain}(", ")")
        # A level that is not there is noted where it stands, and has the size of the last.
        level = f", min(u32(i32({site.level})), textureNumLevels({base}) - 1u)" if site.level else ""
        self._wrap(
            site.index,
            f"{self.prefix}texel{axes}({before}",
            f"{after}, textureDimensions({base}{level}), {number}u)",
        )

    def _begin(self, entry: Function) -> None:
        """Have an entry point keep the number of its invocation."""
        found = ""
        for name, kind, attributes, _ in entry.parameters:
            members = self.module.structs.get(kind.label, {}) if kind is not None else {}
            inside = [f"{name}.{key}" for key, (_, own) in members.items() if _is_id(own)]
            found = found or (name if _is_id(attributes) else inside[0] if inside else "")
        if not found:
            found = f"{self.prefix}given"
            comma = ", " if entry.parameters else ""
            self.edits.append((entry.opened, 0, f"@builtin(global_invocation_id) {found}: vec3u{comma}"))
        body = self.module.tokens[entry.body[0] - 1].end
        self.edits.append((body, -(1 << 41), f" {self.prefix}invocation = vec3u({found}); "))

    def _edited(self) -> str:
        source, parts, at = self.module.source, [], 0
        for place, _, text in sorted(self.edits, key=lambda edit: edit[:2]):
            parts += [source[at:place], text]
            at = place
        return "".join([*parts, source[at:], "\n", self._helpers()])

    def _helpers(self) -> str:
        p = self.prefix
        lines = [
            f"@group({self.group}) @binding({self.binding}) var<storage, read_write> {p}notes: array<atomic<u32>, {WORDS * max(1, len(self.places))}>;",
            f"var<private> {p}invocation: vec3u;",
            f"fn {p}note(at: vec3u, size: vec3u, place: u32) {{",
            f"  let first = {WORDS}u * place;",
            f"  if (atomicAdd(&{p}notes[first], 1u) == 0u) {{",
            *[
                f"    atomicStore(&{p}notes[first + {1 + 3 * i + axis}u], {value}.{'xyz'[axis]});"
                for i, value in enumerate(("at", "size", f"{p}invocation"))
                for axis in range(3)
            ],
            "  }",
            "}",
            f"fn {p}index(at: u32, size: u32, place: u32) -> u32 {{",
            f"  if (at >= size) {{ {p}note(vec3u(at), vec3u(size), place); }}",
            "  return at;",
            "}",
            f"fn {p}texel1(at: u32, size: u32, place: u32) -> u32 {{",
            f"  if (at >= size) {{ {p}note(vec3u(at), vec3u(size), place); }}",
            "  return at;",
            "}",
            f"fn {p}texel2(at: vec2u, size: vec2u, place: u32) -> vec2u {{",
            f"  if (any(at >= size)) {{ {p}note(vec3u(at, 0u), vec3u(size, 0u), place); }}",
            "  return at;",
            "}",
            f"fn {p}texel3(at: vec3u, size: vec3u, place: u32) -> vec3u {{",
            f"  if (any(at >= size)) {{ {p}note(at, size, place); }}",
            "  return at;",
            "}",
            *[f"fn {name}() -> u32 {{ return u32({count}); }}" for count, name in self.functions.items()],
        ]
        return "\n".join(lines) + "\n"


def _is_id(attributes: Mapping[str, Sequence[Token]]) -> bool:
    return [token.text for token in attributes.get("builtin", ())] == ["global_invocation_id"]
