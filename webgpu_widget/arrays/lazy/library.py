"""The functions of the elementwise library that a kernel needs."""

from __future__ import annotations

import re
from functools import lru_cache

from webgpu_widget import shaders

_LIBRARY = ("elementwise", "transcendental", "complex_numbers")
_FUNCTION = re.compile(r"^fn (\w+)\([^\n]*\}$|^fn (\w+)\(.*?^\}$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"^var<private> (\w+).*?;$", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"\b\w+\b")


@lru_cache(maxsize=1)
def definitions() -> dict[str, str]:
    """Return the text of each function and private variable of the library, by name."""
    found: dict[str, str] = {}
    for name in _LIBRARY:
        source = shaders.load(f"array/{name}")
        for match in _VARIABLE.finditer(source):
            found.setdefault(match[1], match[0])
        for match in _FUNCTION.finditer(source):
            found.setdefault(match[1] or match[2], match[0])
    return found


def needed(code: str) -> str:
    """Return the definitions that `code` uses, directly or through others, in the library's order."""
    known = definitions()
    wanted: set[str] = set()
    queue = [w for w in set(_WORD.findall(code)) if w in known]
    while queue:
        name = queue.pop()
        if name in wanted:
            continue
        wanted.add(name)
        queue += [w for w in set(_WORD.findall(known[name])) if w in known and w not in wanted]
    return "\n".join(text for name, text in known.items() if name in wanted)
