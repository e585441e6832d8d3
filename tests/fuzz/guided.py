"""Fuzzing that is guided by coverage: what reaches new lines of a parser is kept, and changed further."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

Lines = set[tuple[str, int]]
MAX_BYTES = 4096
SLOW_S = 2.0  # per input of MAX_BYTES at most, on a machine that has other things to do
_INTERESTING = (
    0,
    1,
    7,
    8,
    31,
    32,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**53,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
_WORDS = (
    b'"',
    b"{",
    b"}",
    b"[" * 40,
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"NaN",
    b"-1",
    b"1e999",
    b"1.5",
    b"9" * 400,
    b"\xff",
    b"\\u0000",
    b'""',
    b"=",
    b";",
    b"\xc2\xb2",
)


@dataclass
class Target:
    """A parser, what it may refuse with, seeds, and where its lines are."""

    parse: Callable[[bytes], object]
    seeds: list[bytes]
    files: tuple[str, ...]
    refuses: tuple[type[BaseException], ...]


@dataclass
class Outcome:
    inputs: int = 0
    refused: int = 0
    lines: Lines = field(default_factory=set)
    corpus: list[bytes] = field(default_factory=list)
    slowest_s: float = 0.0


def change(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One to four changes of an input."""
    made = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(made) + 1)
        kind = rng.randrange(8)
        if kind == 0 and made:
            made[at % len(made)] ^= 1 << rng.randrange(8)
        elif kind == 1 and made:
            made[at % len(made)] = rng.randrange(256)
        elif kind == 2:
            made[at:at] = rng.choice(_WORDS)
        elif kind == 3:
            del made[at : at + rng.randint(1, 16)]
        elif kind == 4:
            size = rng.choice((1, 2, 4, 8))
            made[at : at + size] = (rng.choice(_INTERESTING) % 256**size).to_bytes(size, "little")
        elif kind == 5:
            made[at:at] = made[at : at + rng.randint(1, 64)] * rng.randint(1, 4)
        elif kind == 6:
            made = made[:at]
        else:
            other = rng.choice(others)
            begin = rng.randrange(len(other) + 1)
            made[at:] = other[begin:]
    return bytes(made[:MAX_BYTES])


@contextmanager
def traced(files: tuple[str, ...], into: Lines) -> Iterator[None]:
    """Note the lines of some files that this thread runs."""

    def local(frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            into.add((frame.f_code.co_filename, frame.f_lineno))
        return local

    def enter(frame: FrameType, _event: str, _arg: Any) -> Any:
        return local if frame.f_code.co_filename.endswith(files) else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)


def attempt(target: Target, data: bytes, outcome: Outcome) -> None:
    """Try one input; whatever it raises beside its refusals goes on to the caller, and the input with it."""
    begin = time.thread_time()
    try:
        target.parse(data)
    except target.refuses:
        outcome.refused += 1
    except BaseException as error:
        error.add_note(f"the input was {data!r}")
        raise
    spent = time.thread_time() - begin
    outcome.inputs += 1
    outcome.slowest_s = max(outcome.slowest_s, spent)
    if spent > SLOW_S:
        raise AssertionError(f"{spent:.1f} s for {len(data)} bytes: {data!r}")


def fuzz(target: Target, seed: int, *, seconds: float = 1e9, inputs: int = 1 << 60) -> Outcome:
    """Try inputs until time or count is used up."""
    rng = random.Random(seed)  # noqa: S311  reproducible, not secret
    outcome = Outcome(corpus=list(target.seeds))
    for data in target.seeds:
        with traced(target.files, outcome.lines):
            attempt(target, data, outcome)
    until = time.monotonic() + seconds
    while outcome.inputs < inputs and time.monotonic() < until:
        data = change(rng.choice(outcome.corpus), outcome.corpus, rng)
        seen: Lines = set()
        with traced(target.files, seen):
            attempt(target, data, outcome)
        if not seen <= outcome.lines:
            outcome.lines |= seen
            outcome.corpus.append(data)
    return outcome


def corpus_of(name: str) -> list[bytes]:
    """Inputs that are kept in the tree."""
    folder = Path(__file__).parent / "corpus" / name
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []
