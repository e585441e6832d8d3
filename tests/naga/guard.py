"""Guard zones: every buffer is longer than was asked for, and what lies behind it is filled with what no result may show.

A binding covers the zone too, or else the adapter's own bounds would keep reads past the end away from it; so that kernels that ask for an
array's length still get the array's, ``arrayLength(&x)`` is rewritten to leave the zone out.
"""

from __future__ import annotations

import re
import struct

from fake_page import Message

ZONE_BYTES = 16 * 1024
FILLS = {
    # not a number as a float32, as a bfloat16 and as each of two float16
    "nan": struct.pack("<I", 0x7FFF7FFF),
    "1e30": struct.pack("<f", 1e30),
}
_LENGTH = re.compile(r"\barrayLength\s*\(\s*&\s*(\w+)(\s*\.\s*\w+)?\s*\)")


def widen(source: str, bindings: list[Message]) -> tuple[str, frozenset[str]]:
    """Return the source with lengths that leave the zone out, and the names of the variables that may be bound with their zone."""
    if len(re.findall(r"\barrayLength\b", source)) != len(_LENGTH.findall(source)):
        return source, frozenset()
    strides = {binding["name"]: _stride(binding["type"]) for binding in bindings if binding["kind"] == "storage"}
    wide = frozenset(name for name, stride in strides.items() if stride and ZONE_BYTES % stride == 0)

    def shorter(found: re.Match[str]) -> str:
        name = found[1]
        return f"({found[0]} - {ZONE_BYTES // strides[name]}u)" if name in wide else found[0]

    return _LENGTH.sub(shorter, source), wide


def _stride(kind: Message) -> int:
    """Bytes of an element of a runtime-sized array, or of a struct's last member; 0 where the size is fixed."""
    if kind["type"] == "struct":
        return _stride(kind["members"][-1]["type"])
    return kind["stride"] if kind["type"] == "array" and kind["count"] == 0 else 0
