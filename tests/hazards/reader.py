"""WGSL's expressions as trees with types: enough of the grammar for rules over expressions, and an error for what it cannot read.

Statements are not kept: each expression that is read is handed to a visitor, in the order of the text. A type is a tuple of its name and its
arguments, as ``("f32",)``, ``("vec", 3, ("f32",))`` or ``("array", element)``; None is a type that this file does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Type = tuple[Any, ...] | None

_TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<number>0[xX][0-9a-fA-F.]+(?:[pP][+-]?\d+)?[iufh]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[iufh]?)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<symbol><<=|>>=|->|&&|\|\||==|!=|<=|>=|<<|>>|\+\+|--|\+=|-=|\*=|/=|%=|&=|\|=|\^=|[-+*/%&|^!~<>=(){}\[\];:,.@])",
    re.DOTALL,
)
_LEVELS = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!=", "<", ">", "<=", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
_ASSIGN = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="})
_SCALARS = {"f32", "f16", "i32", "u32", "bool"}
_SUFFIX = {"f": "f32", "h": "f16", "i": "i32", "u": "u32"}
_GENERIC = {"vec2", "vec3", "vec4", "array", "bitcast", "atomic", "ptr", "subgroup_matrix_left", "subgroup_matrix_right", "subgroup_matrix_result",
            "subgroupMatrixLoad", "subgroupMatrixStore", "subgroupMatrixMultiply", "subgroupMatrixMultiplyAccumulate",
            *(f"mat{c}x{r}" for c in "234" for r in "234")}  # fmt: skip
_RESULTS: dict[str, Type] = {
    **dict.fromkeys(["arrayLength", "pack2x16float", "pack4x8snorm", "pack4x8unorm", "pack4xU8", "pack4xI8", "textureNumLevels", "dot4U8Packed"], ("u32",)),
    "dot4I8Packed": ("i32",),
    "unpack2x16float": ("vec", 2, ("f32",)),
    **dict.fromkeys(["unpack4x8snorm", "unpack4x8unorm"], ("vec", 4, ("f32",))),
    **dict.fromkeys(["unpack4xU8"], ("vec", 4, ("u32",))),
    **dict.fromkeys(["unpack4xI8"], ("vec", 4, ("i32",))),
    **dict.fromkeys(["all", "any", "subgroupAll", "subgroupAny", "subgroupElect"], ("bool",)),
    "subgroupBallot": ("vec", 4, ("u32",)),
    "textureDimensions": ("vec", 2, ("u32",)),
    **dict.fromkeys(["textureLoad", "textureSampleLevel"], ("vec", 4, ("f32",))),
}  # fmt: skip
_ELEMENT = {"dot", "length", "distance", "determinant"}
_POINTED = {
    "atomicLoad",
    "atomicAdd",
    "atomicSub",
    "atomicMax",
    "atomicMin",
    "atomicAnd",
    "atomicOr",
    "atomicXor",
    "atomicExchange",
    "workgroupUniformLoad",
}


class UnreadableError(Exception):
    """Text that this reader does not understand."""


@dataclass
class Node:
    """An expression. ``op`` is a symbol, ``name``, ``number``, ``call``, ``index``, ``member`` or ``unary`` and the symbol."""

    op: str
    text: str
    line: int
    parts: list[Node] = field(default_factory=list)
    type: Type = None
    value: Node | None = None
    """What a name that cannot change was set to."""


def element(kind: Type) -> str | None:
    """The scalar's name of a scalar or vector type."""
    if kind is None:
        return None
    return element(kind[2]) if kind[0] == "vec" else str(kind[0]) if kind[0] in _SCALARS | {"int", "float"} else None


class Reader:
    """See the module.

    Parameters
    ----------
    source : str
        A module.
    visit : callable
        Called with each whole expression, and with assignments as nodes whose ``op`` is theirs.
    """

    def __init__(self, source: str, visit: Callable[[Node], None]) -> None:
        self._tokens: list[tuple[str, str, int]] = []
        self._at = 0
        self._visit = visit
        self._scopes: list[dict[str, tuple[Type, Node | None]]] = [{}]
        self._aliases: dict[str, Type] = {}
        self._structs: dict[str, dict[str, Type]] = {}
        self._functions: dict[str, Type] = {}
        self._lex(source)
        self._declare_types()

    def _lex(self, source: str) -> None:
        at, line = 0, 1
        while at < len(source):
            found = _TOKEN.match(source, at)
            if found is None:
                raise UnreadableError(f"line {line}: {source[at : at + 20]!r}")
            if found.lastgroup != "space":
                self._tokens.append((str(found.lastgroup), found[0], line))
            line += found[0].count("\n")
            at = found.end()
        self._tokens.append(("end", "", line))

    # ------------------------------------------------------------ tokens

    @property
    def _text(self) -> str:
        return self._tokens[self._at][1]

    @property
    def _line(self) -> int:
        return self._tokens[self._at][2]

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _take(self, text: str) -> bool:
        if self._text == text and self._tokens[self._at][0] != "end":
            self._at += 1
            return True
        return False

    def _need(self, text: str) -> None:
        if self._text in {">>", ">=", ">>="} and text == ">":
            kind, found, line = self._tokens[self._at]
            self._tokens[self._at : self._at + 1] = [("symbol", ">", line), (kind, found[1:], line)]
        if not self._take(text):
            raise UnreadableError(f"line {self._line}: {text!r} is wanted, and {self._text!r} is there")

    def _name(self) -> str:
        if self._tokens[self._at][0] != "name":
            raise UnreadableError(f"line {self._line}: a name is wanted, and {self._text!r} is there")
        return self._next()

    # ------------------------------------------------------------ types and module scope

    def _declare_types(self) -> None:
        """Learn aliases, structs and what functions return, which may be used before they are declared."""
        depth = 0
        for at, (_, text, _line) in enumerate(self._tokens[:-1]):
            depth += (text == "{") - (text == "}")
            if depth or text not in {"alias", "struct", "fn"}:
                continue
            self._at = at + 1
            name = self._name()
            if text == "alias":
                self._need("=")
                self._aliases[name] = self._type()
            elif text == "struct":
                self._structs[name] = dict(self._members("{", "}"))
            else:
                self._members("(", ")")
                self._functions[name] = self._returned()
        self._at = 0

    def _returned(self) -> Type:
        if not self._take("->"):
            return None
        self._attributes()
        return self._type()

    def _members(self, opening: str, closing: str) -> list[tuple[str, Type]]:
        self._need(opening)
        members = []
        while not self._take(closing):
            self._attributes()
            name = self._name()
            self._need(":")
            members.append((name, self._type()))
            if not self._take(",") and self._text != closing:
                raise UnreadableError(f"line {self._line}: {self._text!r} after the member {name}")
        return members

    def _attributes(self) -> None:
        while self._take("@"):
            self._name()
            if self._take("("):
                while not self._take(")"):
                    self._expression()
                    self._take(",")

    def _type(self) -> Type:
        name = self._name()
        args: list[Any] = []
        if self._text == "<":
            self._next()
            while self._text not in {">", ">>", ">="}:
                is_type = (self._tokens[self._at][0] == "name" and name != "array") or not args
                args.append(self._type() if is_type and self._tokens[self._at][0] == "name" else self._level(7))
                if not self._take(","):
                    break
            self._need(">")
        return self._named_type(name, args)

    def _named_type(self, name: str, args: list[Any]) -> Type:
        if name in self._aliases:
            return self._aliases[name]
        if name in _SCALARS or name in self._structs:
            return (name,)
        if found := re.fullmatch(r"vec([234])([fhiu]?)", name):
            return ("vec", int(found[1]), (_SUFFIX[found[2]],) if found[2] else args[0] if args else None)
        if found := re.fullmatch(r"mat([234])x([234])([fh]?)", name):
            return ("mat", int(found[2]), (_SUFFIX[found[3]],) if found[3] else args[0] if args else None)
        if name == "array":
            return ("array", args[0] if args else None)
        if name == "atomic":
            return args[0] if args else None
        if name == "ptr":
            return args[1] if len(args) > 1 else None
        return (name, *(arg.text if isinstance(arg, Node) else arg for arg in args))

    def read(self) -> None:
        """Read the module.

        Raises
        ------
        UnreadableError
            When there is something that this file does not know.
        """
        while self._tokens[self._at][0] != "end":
            self._attributes()
            word = self._next()
            if word in {"enable", "requires", "diagnostic", "alias", "const_assert"}:
                while not self._take(";"):
                    self._next()
            elif word == "struct":
                self._name()
                self._members("{", "}")
                self._take(";")
            elif word == "fn":
                self._function()
            elif word in {"var", "let", "const", "override"}:
                self._declaration(word)
                self._need(";")
            elif word != ";":
                raise UnreadableError(f"line {self._line}: {word!r} at module scope")

    def _function(self) -> None:
        self._name()
        self._scopes.append({name: (kind, None) for name, kind in self._members("(", ")")})
        self._returned()
        self._need("{")
        self._block()
        self._scopes.pop()

    def _declaration(self, word: str) -> None:
        if word == "var" and self._take("<"):
            while not self._take(">"):
                self._next()
        name = self._name()
        kind = self._type() if self._take(":") else None
        value = None
        if self._take("="):
            value = self._whole()
            kind = kind or _concrete(value.type)
        self._scopes[-1][name] = (kind, value if word in {"let", "const"} else None)

    # ------------------------------------------------------------ statements

    def _block(self) -> None:
        self._scopes.append({})
        while not self._take("}"):
            self._statement()
        self._scopes.pop()

    def _statement(self) -> None:
        self._attributes()
        if self._take(";"):
            return
        word = self._text
        if word == "{":
            self._next()
            self._block()
        elif word in {"if", "while", "switch", "for", "loop", "continuing", "else", "case", "default"}:
            self._next()
            self._compound(word)
        elif word in {"return", "break", "continue", "discard"}:
            self._next()
            if (word == "break" and self._take("if")) or self._text != ";":
                self._whole()
            self._need(";")
        else:
            self._simple()
            self._need(";")

    def _compound(self, word: str) -> None:
        if word == "else" and self._text == "if":
            return
        if word == "for":
            self._scopes.append({})
            self._need("(")
            if not self._take(";"):
                self._simple()
                self._need(";")
            if not self._take(";"):
                self._whole()
                self._need(";")
            if not self._take(")"):
                self._simple()
                self._need(")")
            self._need("{")
            self._block()
            self._scopes.pop()
            return
        if word in {"if", "while", "switch"}:
            self._whole()
        if word == "case":
            while self._text not in {":", "{"}:
                if not self._take("default"):
                    self._whole()
                self._take(",")
        self._take(":")
        self._need("{")
        self._block()

    def _simple(self) -> None:
        """A declaration, an assignment, a call or a step."""
        if self._text in {"var", "let", "const"}:
            self._declaration(self._next())
            return
        line = self._line
        if self._take("_"):
            self._need("=")
            self._whole()
            return
        target = self._expression()
        if self._take("++") or self._take("--"):
            return
        if self._text in _ASSIGN:
            op = self._next()
            value = self._expression()
            self._visit(Node(op, "", line, [target, value], target.type))
        else:
            self._visit(target)

    # ------------------------------------------------------------ expressions

    def _whole(self) -> Node:
        node = self._expression()
        self._visit(node)
        return node

    def _expression(self) -> Node:
        return self._level(0)

    def _level(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._level(level + 1)
        while self._text in _LEVELS[level] and self._tokens[self._at][0] == "symbol":
            line, op = self._line, self._next()
            right = self._level(level + 1)
            left = Node(op, f"({left.text} {op} {right.text})", line, [left, right], _binary(op, left.type, right.type))
        return left

    def _unary(self) -> Node:
        line = self._line
        if self._text in {"-", "!", "~", "*", "&"}:
            op = self._next()
            inner = self._unary()
            if op in {"*", "&"}:
                return inner
            return Node(f"unary {op}", f"{op}{inner.text}", line, [inner], inner.type)
        return self._postfix(self._primary())

    def _postfix(self, node: Node) -> Node:
        while True:
            line = self._line
            if self._take("["):
                inner = self._expression()
                self._need("]")
                kind = node.type
                of = (
                    None
                    if kind is None
                    else kind[1]
                    if kind[0] == "array"
                    else ("vec", kind[1], kind[2])
                    if kind[0] == "mat"
                    else kind[-1]
                    if kind[0] == "vec"
                    else None
                )
                node = Node("index", f"{node.text}[{inner.text}]", line, [node, inner], of)
            elif self._take("."):
                name = self._name()
                node = Node("member", f"{node.text}.{name}", line, [node], self._member_type(node.type, name))
            else:
                return node

    def _member_type(self, kind: Type, name: str) -> Type:
        if kind is None:
            return None
        if kind[0] == "vec":
            return kind[2] if len(name) == 1 else ("vec", len(name), kind[2])
        if kind[0] == "result":
            return ("i32",) if name == "exp" else kind[1]
        return self._structs.get(kind[0], {}).get(name)

    def _primary(self) -> Node:
        kind, text, line = self._tokens[self._at]
        if self._take("("):
            inner = self._expression()
            self._need(")")
            return inner
        if kind == "number":
            self._next()
            return Node("number", text, line, type=_number(text))
        if kind != "name":
            raise UnreadableError(f"line {line}: an expression is wanted, and {text!r} is there")
        self._next()
        if text in {"true", "false"}:
            return Node("number", text, line, type=("bool",))
        template: Type = None
        if self._text == "<" and text in _GENERIC:
            self._at -= 1
            template = self._type() if text != "bitcast" else self._bitcast()
        if self._take("("):
            args = []
            while not self._take(")"):
                args.append(self._expression())
                if not self._take(",") and self._text != ")":
                    raise UnreadableError(f"line {self._line}: {self._text!r} among the arguments of {text}")
            joined = ", ".join(arg.text for arg in args)
            return Node("call", f"{text}({joined})", line, args, template or self._call_type(text, args))
        for scope in reversed(self._scopes):
            if text in scope:
                return Node("name", text, line, type=scope[text][0], value=scope[text][1])
        return Node("name", text, line)

    def _bitcast(self) -> Type:
        self._next()
        self._need("<")
        kind = self._type()
        self._need(">")
        return kind

    def _call_type(self, name: str, args: list[Node]) -> Type:
        if name in self._functions:
            return self._functions[name]
        if (
            name in self._aliases
            or name in self._structs
            or name in _SCALARS
            or re.fullmatch(r"(vec|mat)[234].*|array", name)
        ):
            made = self._named_type(name, [])
            first = element(args[0].type) if args else None
            return (
                ("vec", made[1], (first,) if first else None) if made and made[0] == "vec" and made[2] is None else made
            )
        if name in _RESULTS:
            return _RESULTS[name]
        kinds = [_concrete(arg.type) for arg in args if arg.type is not None and arg.type[0] not in {"int", "float"}]
        if name == "textureDimensions" or not args:
            return None
        if name in {"frexp", "modf"}:
            return ("result", kinds[0] if kinds else None)
        if name == "select":
            kinds = [_concrete(arg.type) for arg in args[:2]]
            return next(
                (
                    kind
                    for arg, kind in zip(args, kinds, strict=False)
                    if kind and arg.type and arg.type[0] not in {"int", "float"}
                ),
                kinds[0],
            )
        if name in _ELEMENT:
            first = element(args[0].type)
            return (first,) if first else None
        if name in _POINTED:
            return args[0].type
        return kinds[0] if kinds else _concrete(args[0].type)


def _number(text: str) -> Type:
    is_hex = text.lower().startswith("0x")
    if text[-1] in "iu" or (text[-1] in "fh" and (not is_hex or "p" in text.lower())):
        return (_SUFFIX[text[-1]],)
    return (
        ("float",)
        if "." in text or (not is_hex and "e" in text.lower()) or (is_hex and "p" in text.lower())
        else ("int",)
    )


def _concrete(kind: Type) -> Type:
    """The type that an abstract one becomes."""
    if kind is not None and kind[0] == "vec":
        return ("vec", kind[1], _concrete(kind[2]))
    return {("int",): ("i32",), ("float",): ("f32",)}.get(kind, kind) if kind else kind


def _binary(op: str, left: Type, right: Type) -> Type:
    if op in {"==", "!=", "<", ">", "<=", ">="}:
        wide = next((kind for kind in (left, right) if kind and kind[0] == "vec"), None)
        return ("vec", wide[1], ("bool",)) if wide else ("bool",)
    if op in {"&&", "||"}:
        return ("bool",)
    if op in {"<<", ">>"}:
        return left
    wide = next((kind for kind in (left, right) if kind and kind[0] in {"vec", "mat"}), None)
    if op == "*" and left and right and {left[0], right[0]} == {"mat", "vec"}:
        return left if left[0] == "vec" else right
    if wide:
        return wide
    if left is None or right is None:
        # a literal does not decide: what it meets may be anything
        return next((kind for kind in (left, right) if kind and kind[0] in _SCALARS), None)
    order = [("int",), ("float",)]
    return right if left in order and (right not in order or order.index(right) > order.index(left)) else left
