"""WGSL as tokens with their places, and the steps that all readers of them take."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Reader", "Token", "UnreadableError", "tokenize"]

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n\v\f\r\x85\u2028\u2029]*)
    |(?P<comment>/\*)
    |(?P<name>[^\W\d]\w*)
    |(?P<number>0[xX][0-9a-fA-F]*(?:\.[0-9a-fA-F]*)?(?:[pP][+-]?\d+)?[iufh]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[iufh]?)
    |(?P<symbol><<|<=|==|!=|&&|\|\||->|\+\+|--|.)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSERS = {"(": ")", "[": "]", "{": "}"}


class UnreadableError(Exception):
    """Text that this reader does not know; the compiler's message, if there is one, is better."""


class Token(NamedTuple):
    """A token; ``template`` says whether a ``<`` or ``>`` begins or ends a template list."""

    kind: str
    text: str
    start: int
    template: bool = False

    @property
    def end(self) -> int:
        """Where the text after it begins."""
        return self.start + len(self.text)


def _comment_end(source: str, start: int) -> int:
    """Return where a block comment ends; they nest."""
    depth, at = 1, start + 2
    while depth and at < len(source):
        pair = source[at : at + 2]
        depth += (pair == "/*") - (pair == "*/")
        at += 2 if pair in {"/*", "*/"} else 1
    return at


def tokenize(source: str) -> list[Token]:
    """Cut WGSL into tokens without comments and white space; the last is of kind ``end``."""
    tokens: list[Token] = []
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            raise UnreadableError(f"nothing is known to begin with {source[at]!r}")
        kind = str(found.lastgroup)
        if kind == "comment":
            at = _comment_end(source, at)
            continue
        if kind != "space":
            tokens.append(Token(kind, found.group(), at))
        at = found.end()
    tokens.append(Token("end", "", len(source)))
    return _with_templates(tokens)


def _with_templates(tokens: list[Token]) -> list[Token]:
    """Tell template lists from comparisons and shifts (WGSL, "Template Lists", the discovery algorithm)."""
    opened: list[tuple[int, int]] = []
    depth = 0
    for at, token in enumerate(tokens):
        text = token.text
        if text == "<" and at and tokens[at - 1].kind == "name":
            opened.append((at, depth))
        elif text == ">" and opened and opened[-1][1] == depth:
            begin, _ = opened.pop()
            tokens[begin] = tokens[begin]._replace(template=True)
            tokens[at] = token._replace(template=True)
        elif text in {"(", "["}:
            depth += 1
        elif text in {")", "]"}:
            opened = [item for item in opened if item[1] < depth]
            depth = max(0, depth - 1)
        elif text in {"&&", "||"}:
            opened = [item for item in opened if item[1] < depth]
        elif text in {";", "{", ":"} or (text == "=" and not _ends_comparison(tokens, at)):
            opened, depth = [], 0
    return tokens


def _ends_comparison(tokens: list[Token], at: int) -> bool:
    before = tokens[at - 1]
    return before.text == ">" and not before.template and before.end == tokens[at].start


class Reader:
    """A place in a list of tokens."""

    def __init__(self, tokens: list[Token], at: int = 0, end: int | None = None) -> None:
        self.tokens = tokens
        self.at = at
        self.end = len(tokens) - 1 if end is None else end

    @property
    def token(self) -> Token:
        """The token here."""
        return self.tokens[self.at] if self.at < self.end else self.tokens[-1]._replace(text="", kind="end")

    def peek(self, ahead: int = 1) -> str:
        """Return the text of a token further on."""
        return self.tokens[self.at + ahead].text if self.at + ahead < self.end else ""

    def accept(self, text: str) -> bool:
        """Go past a token, if it is that one."""
        if self.token.kind == "end" or self.token.text != text:
            return False
        self.at += 1
        return True

    def expect(self, text: str) -> None:
        """Go past that token."""
        if not self.accept(text):
            raise UnreadableError(f"expected {text!r}, found {self.token.text!r}")

    def name(self) -> str:
        """Go past a name and return it."""
        token = self.token
        if token.kind != "name":
            raise UnreadableError(f"expected a name, found {token.text!r}")
        self.at += 1
        return token.text

    def skip_brackets(self) -> None:
        """Go past the bracket that closes the one here."""
        closers: list[str] = []
        while self.token.kind != "end":
            token = self.token
            if token.text in _CLOSERS:
                closers.append(_CLOSERS[token.text])
            elif token.text == "<" and token.template:
                closers.append(">")
            elif closers and token.text == closers[-1] and (token.text != ">" or token.template):
                closers.pop()
            self.at += 1
            if not closers:
                return
        raise UnreadableError("a bracket is not closed")

    def until(self, *stops: str) -> list[Token]:
        """Go to the first of some tokens that is outside of brackets, and return what lies before it."""
        start = self.at
        while self.token.kind != "end" and self.token.text not in stops:
            if self.token.text in _CLOSERS or (self.token.text == "<" and self.token.template):
                self.skip_brackets()
            else:
                self.at += 1
        return self.tokens[start : self.at]
