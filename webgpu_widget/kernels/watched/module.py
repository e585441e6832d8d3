"""What a WGSL module declares, as far as it says how many elements an index chooses from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from webgpu_widget.kernels.watched.tokens import Reader, Token, UnreadableError, tokenize

__all__ = ["Function", "Kind", "Module"]

_VECTOR = re.compile(r"vec([234])[iufh]?$")
_MATRIX = re.compile(r"mat([234])x([234])[fh]?$")


@dataclass(frozen=True)
class Kind:
    """A type: what it is called, what it holds, how many.

    ``name`` is ``array``, ``vec``, ``mat``, ``ptr``, ``struct``, ``texture`` or ``scalar``. ``count`` is WGSL text, empty for a runtime-sized array;
    ``local`` says that names in it may be a function's own.
    """

    name: str
    elem: Kind | None = None
    count: str = ""
    label: str = ""
    local: bool = False


SCALAR = Kind("scalar")


@dataclass
class Function:
    """A function: its parameters, what it returns, and where its body's tokens are."""

    name: str
    attributes: dict[str, list[Token]]
    parameters: list[tuple[str, Kind | None, dict[str, list[Token]], str]] = field(default_factory=list)
    """Name, type, attributes, and the type's name as written."""
    result: Kind | None = None
    opened: int = 0
    """Where its parameters' list begins, as a place in the text."""
    body: tuple[int, int] = (0, 0)
    """Its tokens, without the braces."""


def text_of(tokens: list[Token]) -> str:
    """Return tokens as text."""
    return " ".join(token.text for token in tokens)


class Module:
    """A module's declarations.

    Parameters
    ----------
    source : str
        WGSL that compiles.

    Raises
    ------
    UnreadableError
        For a declaration that this reader does not know.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = tokenize(source)
        self.structs: dict[str, dict[str, tuple[int, dict[str, list[Token]]]]] = {}
        """By name: by member, where its type is written, and its attributes."""
        self.aliases: dict[str, int] = {}
        self.variables: dict[str, int] = {}
        self.constants: dict[str, tuple[int, int]] = {}
        """Module-scope ``const`` and ``override``: where the type and the value are written."""
        self.functions: dict[str, Function] = {}
        self._depth = 0
        self._read()

    # ------------------------------------------------------------ declarations

    def _read(self) -> None:
        reader = Reader(self.tokens)
        while reader.token.kind != "end":
            if reader.accept(";"):
                continue
            attributes = self.attributes(reader)
            keyword = reader.name()
            if keyword == "struct":
                self._struct(reader)
            elif keyword == "fn":
                self._function(reader, attributes)
            elif keyword == "alias":
                name = reader.name()
                reader.expect("=")
                self.aliases[name] = reader.at
                reader.until(";")
            elif keyword in {"var", "const", "override"}:
                self._variable(reader, keyword)
            elif keyword in {"enable", "requires", "diagnostic", "const_assert"}:
                reader.until(";")
            else:
                raise UnreadableError(f"{keyword!r} begins no declaration")

    @staticmethod
    def attributes(reader: Reader) -> dict[str, list[Token]]:
        """Go past attributes, and return their arguments by name."""
        found: dict[str, list[Token]] = {}
        while reader.accept("@"):
            name = reader.name()
            found[name] = []
            if reader.token.text == "(":
                start = reader.at + 1
                reader.skip_brackets()
                found[name] = reader.tokens[start : reader.at - 1]
        return found

    def _struct(self, reader: Reader) -> None:
        members = self.structs[reader.name()] = {}
        reader.expect("{")
        while not reader.accept("}"):
            attributes = self.attributes(reader)
            name = reader.name()
            reader.expect(":")
            members[name] = reader.at, attributes
            reader.until(",", "}")
            reader.accept(",")

    def _variable(self, reader: Reader, keyword: str) -> None:
        if reader.token.template:
            reader.skip_brackets()
        name = reader.name()
        at = reader.at + 1 if reader.accept(":") else -1
        typed = reader.at if at >= 0 else -1
        reader.until(";", "=")
        value = reader.at if reader.accept("=") else -1
        reader.until(";")
        if keyword == "var":
            self.variables[name] = typed
        else:
            self.constants[name] = (typed, value)

    def _function(self, reader: Reader, attributes: dict[str, list[Token]]) -> None:
        made = Function(reader.name(), attributes)
        made.opened = reader.token.end
        reader.expect("(")
        while not reader.accept(")"):
            own = self.attributes(reader)
            name = reader.name()
            reader.expect(":")
            written = reader.token.text
            kind = self.type_at(reader.at)
            reader.until(",", ")")
            made.parameters.append((name, kind, own, written))
            reader.accept(",")
        if reader.accept("->"):
            self.attributes(reader)
            made.result = self.type_at(reader.at)
        reader.until("{")
        start = reader.at + 1
        reader.skip_brackets()
        made.body = start, reader.at - 1
        self.functions[made.name] = made

    # ------------------------------------------------------------ types

    def type_at(self, at: int, *, local: bool = False) -> Kind | None:
        """Return the type that is written at a token; None for one that this reader does not know."""
        return self.type_here(Reader(self.tokens, at), local=local) if at >= 0 else None

    def type_here(self, reader: Reader, *, local: bool = False) -> Kind | None:
        """As `type_at`, going past it."""
        if reader.token.kind != "name":
            return None
        name = reader.name()
        parts = self._arguments(reader) if reader.token.template else []
        return self._typed(name, parts, local=local)

    def _arguments(self, reader: Reader) -> list[tuple[int, int]]:
        """Go past a template list, and return where each argument is."""
        start = reader.at
        reader.skip_brackets()
        inner = Reader(reader.tokens, start + 1, reader.at - 1)
        parts: list[tuple[int, int]] = []
        while inner.token.kind != "end":
            begin = inner.at
            inner.until(",")
            parts.append((begin, inner.at))
            inner.accept(",")
        return parts

    def _typed(self, name: str, parts: list[tuple[int, int]], *, local: bool) -> Kind | None:
        self._depth += 1
        try:
            if self._depth > 64:
                return None
            return self._named(name, parts, local=local)
        finally:
            self._depth -= 1

    def _named(self, name: str, parts: list[tuple[int, int]], *, local: bool) -> Kind | None:
        if name in self.aliases:
            return self.type_at(self.aliases[name])
        if name in self.structs:
            return Kind("struct", label=name)
        if found := _VECTOR.match(name):
            return Kind("vec", SCALAR, found[1])
        if found := _MATRIX.match(name):
            return Kind("mat", Kind("vec", SCALAR, found[2]), found[1])
        if name == "array" and parts:
            elem = self.type_at(parts[0][0], local=local)
            count = text_of(self.tokens[slice(*parts[1])]) if len(parts) > 1 else ""
            return Kind("array", elem, count, local=local)
        if name == "ptr" and len(parts) > 1:
            return Kind("ptr", self.type_at(parts[1][0], local=local))
        if name.startswith("texture_"):
            return Kind("texture", label=name)
        return SCALAR if name in {"f32", "i32", "u32", "f16", "bool", "atomic"} else None

    def member(self, kind: Kind | None, name: str) -> Kind | None:
        """Return the type of a struct's member or a vector's components."""
        if kind is not None and kind.name == "ptr":
            kind = kind.elem
        if kind is None:
            return None
        if kind.name == "vec":
            return SCALAR if len(name) == 1 else Kind("vec", SCALAR, str(len(name)))
        found = self.structs.get(kind.label, {}).get(name) if kind.name == "struct" else None
        return None if found is None else self.type_at(found[0])
