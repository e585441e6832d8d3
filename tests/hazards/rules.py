"""The rules. Each names what was measured to differ between adapters, and what to write instead.

A line that is right all the same says so: ``// safe here, because REASON`` on that line or alone on the line above it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .reader import Node, Reader, element

_EXCUSE = re.compile(r"//\s*safe here\b(?:,?\s*because\b)?[\s:,.]*(.*)")
_FLOATS = {"f32", "f16", "float"}
_INTEGERS = {"i32", "u32", "int"}


@dataclass(frozen=True)
class Finding:
    """A line that is refused."""

    rule: str
    line: int
    text: str
    advice: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}: {self.advice} [{self.rule}]"


def settled(node: Node) -> Node:
    """What stands behind names that cannot change, signs, members and indices."""
    while True:
        if node.op == "name" and node.value is not None:
            node = node.value
        elif node.op in {"member", "index", "unary -"}:
            node = node.parts[0]
        else:
            return node


def is_call(node: Node, *names: str) -> bool:
    """Whether an expression is a call of one of these."""
    return node.op == "call" and node.text.partition("(")[0] in names


def within(node: Node) -> Iterator[Node]:
    """An expression and all it is made of, the values of its names among it."""
    yield node
    for part in node.parts:
        yield from within(part)
    if node.op == "name" and node.value is not None:
        yield from within(node.value)


def _is_size(node: Node) -> bool:
    """Whether it is abs(x), or max(x, -x)."""
    node = settled(node)
    if is_call(node, "abs"):
        return True
    if is_call(node, "max") and len(node.parts) == 2:
        a, b = node.parts
        return a.text == f"-{b.text}" or b.text == f"-{a.text}"
    return False


def _positive(node: Node) -> bool:
    """Whether the text shows that it is above 0."""
    node = node.value if node.op == "name" and node.value is not None else node
    if node.op == "number":
        return not re.fullmatch(r"(0x)?[0.]*(e[+-]?\d+)?[fhiu]?", node.text)
    if is_call(node, "max"):
        return any(_positive(part) for part in node.parts)
    if is_call(node, "min", "clamp", "f32", "sqrt", "abs"):
        return bool(node.parts) and all(_positive(part) for part in node.parts)
    if node.op in {"+", "*", "/"}:
        return all(_positive(part) for part in node.parts) or (
            node.op == "+"
            and any(_positive(part) for part in node.parts)
            and all(_positive(part) or _not_negative(part) for part in node.parts)
        )
    return False


def _not_negative(node: Node) -> bool:
    node = node.value if node.op == "name" and node.value is not None else node
    return (
        _positive(node)
        or node.op == "number"
        or is_call(node, "abs", "exp", "exp2", "length", "sqrt")
        or element(node.type) == "u32"
        or (is_call(node, "f32") and element(node.parts[0].type) == "u32")
    )


def integer_size(node: Node) -> str | None:
    """max, clamp and select over an integer's abs: a driver drops the abs."""
    if not is_call(node, "max", "clamp", "select") or (element(node.type) in _FLOATS):
        return None
    values = node.parts[:2] if is_call(node, "select") else node.parts
    sizes = [part for part in values if _is_size(part)]
    others = [part for part in values if not _is_size(part) and settled(part).op != "number"]
    if not sizes or (len(sizes) == 1 and not others):
        return None
    if is_call(node, "max") and len(values) == 2 and _is_size(node):
        return None
    return "an integer's abs is lost in it on NVIDIA: take u32(abs(x))"


def half_and_back(node: Node) -> str | None:
    """float32 to float16 to float32: a driver drops the pair."""
    if is_call(node, "unpack2x16float"):
        for part in within(node.parts[0]):
            if is_call(part, "pack2x16float") and not is_call(settled(part.parts[0]), "quantizeToF16"):
                return "the rounding to float16 is dropped on NVIDIA: take quantizeToF16(x)"
    elif node.op == "call" and node.parts and element(node.type) == "f32" and element(node.parts[0].type) == "f16":
        for part in within(node.parts[0]):
            narrowing = (
                part.op == "call"
                and element(part.type) == "f16"
                and part.parts
                and element(part.parts[0].type) not in {"f16", *_INTEGERS, "float"}
            )
            if (
                narrowing
                and re.match(r"f16|vec[234]h?\b|vec[234]", part.text)
                and not is_call(settled(part.parts[0]), "quantizeToF16")
            ):
                return "the rounding to float16 is dropped on NVIDIA: take quantizeToF16(x)"
    return None


def itself_compared(node: Node) -> str | None:
    """Comparing a value with itself never sees a NaN."""
    if node.op not in {"==", "!=", "<", "<=", ">", ">="} or node.parts[0].text != node.parts[1].text:
        return None
    if element(node.parts[0].type) not in {*_INTEGERS, "bool"}:
        return "compilers take it as known: look at the bits of the value instead"
    return None


def itself_taken(node: Node) -> str | None:
    """x - x is 0 and x / x is 1 for NaN and infinities too."""
    if node.op not in {"-", "/", "-=", "/="} or node.parts[0].text != node.parts[1].text:
        return None
    return (
        None if element(node.type) in _INTEGERS else "compilers take it as known, and so for a NaN and infinities too"
    )


def sum_taken_apart(node: Node) -> str | None:
    """(x + y) - x is y: sums are reassociated."""
    if node.op != "-" or element(node.type) in _INTEGERS:
        return None
    left, right = node.parts
    whole = left.value if left.op == "name" and left.value is not None else left
    if whole.op in {"+", "-"} and right.text in {part.text for part in whole.parts}:
        return "sums are reassociated on NVIDIA: what was rounded off cannot be had so"
    return None


def float_remainder(node: Node) -> str | None:
    """% of floats is off by 1e12 for large quotients."""
    if node.op in {"%", "%="} and element(node.type if node.op == "%" else node.parts[0].type) not in _INTEGERS:
        return "it is off by whole multiples for large quotients: take the array library's f_fmod, or integers"
    return None


def power(node: Node) -> str | None:
    """Pow of what is negative or 0."""
    if is_call(node, "pow") and not _positive(node.parts[0]):
        return "of a base that may be 0 or negative it is a NaN on NVIDIA and a number elsewhere: show that it is positive, as by max(x, 1e-30)"
    return None


def logarithm(node: Node) -> str | None:
    """Log of 0."""
    if is_call(node, "log", "log2") and not _positive(node.parts[0]):
        return "of 0 it is -inf on one adapter and -88 on another: show that it is positive, as by max(x, 1e-30)"
    return None


RULES: dict[str, Callable[[Node], str | None]] = {
    "integer size": integer_size,
    "half and back": half_and_back,
    "itself compared": itself_compared,
    "itself taken": itself_taken,
    "sum taken apart": sum_taken_apart,
    "float remainder": float_remainder,
    "power": power,
    "logarithm": logarithm,
}


def _direct(node: Node) -> Iterator[Node]:
    yield node
    for part in node.parts:
        yield from _direct(part)


def findings(source: str) -> list[Finding]:
    """Return what is refused in a module, in the order of the text; excuses that are empty or that nothing needs are refused too.

    Raises
    ------
    UnreadableError
        When the module has something that the reader does not know.
    """
    found: list[Finding] = []

    def visit(whole: Node) -> None:
        for node in _direct(whole):
            for name, rule in RULES.items():
                advice = rule(node)
                if advice is not None:
                    text = node.text or f"{node.parts[0].text} {node.op} {node.parts[1].text}"
                    found.append(Finding(name, node.line, text, advice))

    Reader(source, visit).read()
    return _excused(source, list(dict.fromkeys(found)))


def _excused(source: str, found: list[Finding]) -> list[Finding]:
    lines = source.split("\n")
    excuses = {}
    for number, line in enumerate(lines, 1):
        excuse = _EXCUSE.search(line)
        if excuse is not None:
            alone = line.strip().startswith("//")
            excuses[number + 1 if alone else number] = (number, excuse[1].strip())
    left = [item for item in found if item.line not in excuses]
    needed = {item.line for item in found}
    for line, (number, reason) in excuses.items():
        if len(reason.split()) < 3:
            left.append(Finding("excuse", number, lines[number - 1].strip(), "say why: // safe here, because REASON"))
        elif line not in needed:
            left.append(Finding("excuse", number, lines[number - 1].strip(), "nothing here needs an excuse: delete it"))
    return sorted(left, key=lambda item: item.line)
