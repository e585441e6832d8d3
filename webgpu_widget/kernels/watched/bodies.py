"""A function's body read for its index expressions: what each chooses from, by the types of what is indexed."""

from __future__ import annotations

from dataclasses import dataclass

from webgpu_widget.kernels.watched.module import SCALAR, Function, Kind, Module, text_of
from webgpu_widget.kernels.watched.tokens import Reader, Token, UnreadableError

__all__ = ["Body", "Site"]

_ASSIGNING = frozenset("+-*/%&|^<>") | {"<<"}
_COMPARING = frozenset({"==", "!=", "<", ">", "<=", ">="})
_SCALAR_CALLS = frozenset({"dot", "length", "distance", "all", "any", "determinant", "arrayLength", "dot4U8Packed", "dot4I8Packed"})  # fmt: skip
_FIRST = frozenset({"0", "0i", "0u"})
_OPENS = frozenset({"loop", "else", "continuing", "default"})


@dataclass(frozen=True)
class Site:
    """An index expression.

    Parameters
    ----------
    variable, text : str
        What is indexed: the variable's name, and all of it as written.
    base, index : (int, int)
        Where in the text the two are.
    kind : Kind
        The type of what is indexed; a texture for coordinates.
    pointer : bool
        Whether it is a pointer.
    level : str
        Of coordinates: the mip level's expression, empty where it is the first or there is none.
    what : str
        ``index``; beside coordinates also ``layer``, ``level`` or ``sample``.
    constant : bool
        Whether the compiler knows the index, so that a negative one needs a type before it becomes unsigned.
    """

    variable: str
    text: str
    base: tuple[int, int]
    index: tuple[int, int]
    kind: Kind
    pointer: bool
    level: str = ""
    what: str = "index"
    constant: bool = False


class Body(Reader):
    """Reads one function; `sites` are its index expressions that the compiler cannot know to be within bounds."""

    def __init__(self, module: Module, function: Function) -> None:
        super().__init__(module.tokens, *function.body)
        self.module = module
        self.sites: list[Site] = []
        self.unread: list[int] = []
        """Where there are statements, or things that are indexed, that this reader does not know."""
        self._scopes: list[dict[str, tuple[Kind | None, bool]]] = [{}]
        for name, kind, _, _ in function.parameters:
            self._scopes[0][name] = kind, False
        self._quiet = False
        self._in_module = False
        self._nested = 0

    def read(self) -> Body:
        """Go through all statements."""
        while self.token.kind != "end":
            start, known, kept = self.at, len(self.sites), len(self._scopes)
            try:
                self._statement()
            except UnreadableError:
                self.unread.append(self.tokens[start].start)
                del self.sites[known:], self._scopes[kept:]
                self._quiet, self._nested = False, 0
                self.at = start + 1
                self._resume()
        return self

    def _resume(self) -> None:
        """Go to the next statement."""
        while self.token.kind != "end" and self.token.text not in {";", "{", "}"}:
            self.at += 1

    # ------------------------------------------------------------ names

    def _lookup(self, name: str) -> tuple[Kind | None, bool]:
        """Return a name's type, and whether it is a constant that the compiler knows."""
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        if name in self.module.variables:
            return self.module.type_at(self.module.variables[name]), False
        if name in self.module.constants:
            typed, value = self.module.constants[name]
            if typed >= 0:
                return self.module.type_at(typed), True
            return self._initial(value), True
        return None, name not in self.module.functions

    def _initial(self, at: int) -> Kind | None:
        """Return the type of a module-scope constant's value."""
        if at < 0 or self._nested > 16:
            return None
        kept = self.at, self.end, self._quiet, self._in_module
        self.at, self.end, self._quiet, self._in_module = at, len(self.tokens) - 1, True, True
        self._nested += 1
        try:
            return self.expression()
        except UnreadableError:
            return None
        finally:
            self.at, self.end, self._quiet, self._in_module = kept
            self._nested -= 1

    def _is_local(self, name: str) -> bool:
        return any(name in scope for scope in self._scopes)

    # ------------------------------------------------------------ statements

    def _statement(self) -> None:
        text = self.token.text
        if text == "{":
            self._scopes.append({})
            self.at += 1
        elif text == "}":
            self.at += 1
            self._close()
        elif text == ";":
            self.at += 1
        elif text == "@":
            self.module.attributes(self)
        elif text == "for":
            self.at += 1
            self._for()
        elif text in _OPENS:
            self.at += 1
            self.accept(":")
        else:
            self._simple(text)

    def _close(self) -> None:
        if len(self._scopes) > 1:
            self._scopes.pop()
        if len(self._scopes) > 1 and "for" in self._scopes[-1]:
            self._scopes.pop()

    def _simple(self, text: str) -> None:
        if text in {"let", "var", "const"}:
            self._declaration(text)
        elif text in {"if", "while", "switch", "return"}:
            self.at += 1
            if self.token.text not in {";", "{"}:
                self.expression()
        elif text == "case":
            self.until(":", "{")
            self.accept(":")
        elif text in {"break", "continue", "discard"}:
            self.at += 1
            if self.accept("if"):
                self.expression()
        elif text == "const_assert":
            self.until(";")
        else:
            self._assignment()

    def _for(self) -> None:
        # The keyword is no name of WGSL's, so that no variable hides it.
        self._scopes.append({"for": (None, True)})
        self.expect("(")
        if self.token.text != ";":
            self._simple(self.token.text)
        self.expect(";")
        if self.token.text != ";":
            self.expression()
        self.expect(";")
        if self.token.text != ")":
            self._simple(self.token.text)
        self.expect(")")

    def _declaration(self, keyword: str) -> None:
        self.at += 1
        if self.token.template:
            self.skip_brackets()
        name = self.name()
        kind = self.module.type_here(self, local=True) if self.accept(":") else None
        self.until(";", "=", ")")
        if self.accept("="):
            quiet, self._quiet = self._quiet, self._quiet or keyword == "const"
            found = self.expression()
            self._quiet = quiet
            kind = kind or found
        self._scopes[-1][name] = kind, keyword == "const"

    def _assignment(self) -> None:
        self.unary()
        if self.accept("++") or self.accept("--"):
            return
        while self.token.text in _ASSIGNING:
            self.at += 1
        if self.accept("="):
            self.expression()

    # ------------------------------------------------------------ expressions

    def expression(self) -> Kind | None:
        """Go past an expression and return its type."""
        self._nested += 1
        if self._nested > 200:
            self._nested = 0
            raise UnreadableError("too deep")
        left = self._product()
        while (op := self._operator()) and op not in {"*", "/", "%"}:
            right = self._product()
            left = right if left == SCALAR or (left is None and right != SCALAR) else left
            if op in {"&&", "||"}:
                left = SCALAR
        self._nested -= 1
        return left

    def _product(self) -> Kind | None:
        left = self.unary()
        while self.token.text in {"*", "/", "%"}:
            op = self.token.text
            self.at += 1
            right = self.unary()
            left = _multiplied(left, right) if op == "*" else (right if left == SCALAR else left)
        return left

    def _operator(self) -> str:
        """Go past a binary operator that is no multiplication, and return it."""
        token = self.token
        text = token.text
        if token.template or token.kind != "symbol":
            return ""
        if text == ">":
            following = self.tokens[self.at + 1] if self.at + 1 < self.end else token
            joined = following.start == token.end and not following.template and following.text in {">", "="}
            self.at += 1 + joined
            return text
        if text in {"||", "&&", "|", "^", "&", "==", "!=", "<", "<=", "<<", "+", "-"} and self.peek() != "=":
            self.at += 1
            return text
        return ""

    def unary(self) -> Kind | None:
        """Go past a term with its prefixes and what follows it."""
        text = self.token.text
        if self.token.kind == "symbol" and text in {"-", "!", "~", "&", "*", "&&", "--"}:
            self.at += 1
            kind = self.unary()
            if text == "&":
                return Kind("ptr", kind)
            if text == "*":
                return kind.elem if kind is not None and kind.name == "ptr" else kind
            return kind
        return self._parts(self.at, self._primary())

    def _parts(self, start: int, kind: Kind | None) -> Kind | None:
        while True:
            if self.token.text == "[" and self.token.kind == "symbol":
                kind = self._indexed(start, kind)
            elif self.token.text == ".":
                self.at += 1
                kind = self.module.member(kind, self.name())
            else:
                return kind

    def _indexed(self, start: int, kind: Kind | None) -> Kind | None:
        base = self.tokens[start].start, self.tokens[self.at - 1].end
        self.at += 1
        first = self.at
        self.expression()
        inner = self.tokens[first : self.at]
        self.expect("]")
        pointer = kind is not None and kind.name == "ptr"
        target = kind.elem if pointer and kind is not None else kind
        if target is None or target.name not in {"array", "vec", "mat"}:
            if not self._quiet:
                self.unread.append(base[0])
            return None
        runtime = target.name == "array" and not target.count
        if not self._quiet and (runtime or not self._is_constant(inner)):
            variable = next(token.text for token in self.tokens[start:] if token.kind == "name")
            span = inner[0].start, inner[-1].end
            text = self.module.source[base[0] : span[1]] + "]"
            self.sites.append(Site(variable, text, base, span, target, pointer))
        return target.elem

    def _is_constant(self, tokens: list[Token]) -> bool:
        """Say whether the compiler knows an expression's value, and so whether it is within bounds."""
        return all(token.kind != "name" or self._lookup(token.text)[1] for token in tokens)

    def _primary(self) -> Kind | None:
        token = self.token
        if self.accept("("):
            kind = self.expression()
            self.expect(")")
            return kind
        if token.kind == "number":
            self.at += 1
            return SCALAR
        if token.kind != "name":
            raise UnreadableError(f"{token.text!r} begins no expression")
        if token.text in {"true", "false"}:
            self.at += 1
            return SCALAR
        start = self.at
        name = self.name()
        if self.token.template:
            self.skip_brackets()
        if self.token.text != "(":
            return self._lookup(name)[0]
        after = self.at
        self.at = start
        written = None
        if name in {"bitcast", "bufferView"}:
            written = self.module.type_at(start + 2, local=not self._in_module)
            written = Kind("ptr", written) if name == "bufferView" else written
        elif not self._is_local(name):
            written = self.module.type_here(self, local=not self._in_module)
        self.at = after
        return self._call(name, written)

    def _call(self, name: str, written: Kind | None) -> Kind | None:
        self.expect("(")
        kinds: list[Kind | None] = []
        spans: list[tuple[int, int]] = []
        while not self.accept(")"):
            begin = self.at
            kinds.append(self.expression())
            spans.append((begin, self.at))
            self.accept(",")
        if name in {"textureLoad", "textureStore"} and not self._quiet:
            self._texel(name, kinds, spans)
        if name in self.module.functions:
            return self.module.functions[name].result
        return written or _returned(name, kinds)

    def _texel(self, name: str, kinds: list[Kind | None], spans: list[tuple[int, int]]) -> None:
        """Note coordinates, and what stands beside them: how many there are of each, only the texture knows."""
        kind = kinds[0] if kinds else None
        if kind is None or kind.name != "texture" or "external" in kind.label or len(spans) < 2:
            return
        parts = ["layer"] if "array" in kind.label else []
        if name == "textureLoad" and "storage" not in kind.label:
            parts.append("sample" if "multisampled" in kind.label else "level")
        beside = dict(zip(parts, spans[2:], strict=False))
        level = self.tokens[slice(*beside.get("level", (0, 0)))]
        if not self._calls(level):
            self._sited(name, kind, spans[0], spans[1], level="" if text_of(level) in _FIRST else text_of(level))
        for what, span in beside.items():
            if text_of(self.tokens[slice(*span)]) not in _FIRST:
                self._sited(name, kind, spans[0], span, what=what)

    def _calls(self, tokens: list[Token]) -> bool:
        """Say whether an expression may do something, and so cannot be written twice."""
        return any(token.text in self.module.functions or token.text.startswith("atomic") for token in tokens)

    def _sited(
        self,
        name: str,
        kind: Kind,
        texture: tuple[int, int],
        index: tuple[int, int],
        *,
        level: str = "",
        what: str = "index",
    ) -> None:
        base = self.tokens[texture[0]].start, self.tokens[texture[1] - 1].end
        span = self.tokens[index[0]].start, self.tokens[index[1] - 1].end
        said = f"{name}({self.module.source[base[0] : span[1]]})"
        constant = self._is_constant(self.tokens[slice(*index)])
        variable = self.tokens[texture[0]].text
        self.sites.append(Site(variable, said, base, span, kind, False, level, what, constant))


def _multiplied(left: Kind | None, right: Kind | None) -> Kind | None:
    if left is None or right is None:
        return None
    if left.name == "mat" and right.name in {"mat", "vec"}:
        column = left.elem
        return column if right.name == "vec" else Kind("mat", column, right.count)
    if left.name == "vec" and right.name == "mat":
        return Kind("vec", SCALAR, right.count)
    return right if left.name == "scalar" else left


def _returned(name: str, kinds: list[Kind | None]) -> Kind | None:
    """Return what a builtin function gives, where that is a vector, a matrix or an array."""
    first = kinds[0] if kinds else None
    if name == "array":
        return Kind("array", first, str(len(kinds)))
    if name.startswith("texture"):
        return Kind("vec", SCALAR, "4") if first is not None and "depth" not in first.label else None
    if name == "transpose" and first is not None and first.elem is not None:
        return Kind("mat", Kind("vec", SCALAR, first.count), first.elem.count)
    if name.startswith("unpack"):
        return Kind("vec", SCALAR, "4" if "4" in name else "2")
    if name in _SCALAR_CALLS or name.startswith(("atomic", "pack")):
        return SCALAR
    if name == "workgroupUniformLoad":
        return first.elem if first is not None else None
    if first is not None and first.name in {"vec", "mat", "scalar"}:
        return first
    return None
