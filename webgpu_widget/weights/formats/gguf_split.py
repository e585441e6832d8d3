"""Models that were cut into several ``.gguf`` files by llama.cpp's ``gguf-split``.

Names count the parts from 1 (``m-00001-of-00003.gguf``), the key ``split.no`` counts them from 0. The first part has the model's metadata, the others
little but ``split.no``, ``split.count`` and ``split.tensors.count``, which is the number of tensors of all parts together. A model that was merged again
has a ``split.count`` of 0. Source: https://github.com/ggml-org/llama.cpp/tree/master/tools/gguf-split.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from webgpu_widget.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.weights.formats import Parsed

__all__ = ["MAX_PARTS", "check_parts", "part_count", "part_names", "place_in_name"]

MAX_PARTS = 65_535
"""``split.count`` is a 16-bit number."""
_NAME = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})(\.[a-z]+)", re.DOTALL)


def place_in_name(name: str) -> tuple[int, int] | None:
    """Say which part of how many a file's name claims to be, both counted from 1.

    Examples
    --------
    >>> place_in_name("m-00001-of-00003.gguf")
    (1, 3)
    >>> place_in_name("m.gguf")
    """
    found = _NAME.fullmatch(name)
    return (int(found[2]), int(found[3])) if found else None


def part_names(name: str) -> list[str]:
    """Name all parts, from the name of one.

    Examples
    --------
    >>> part_names("m-00002-of-00002.gguf")
    ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf']
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return [name]
    stem, _, count, suffix = found.groups()
    return [f"{stem}-{number:05d}-of-{count}{suffix}" for number in range(1, int(count) + 1)]


def part_count(parsed: Parsed, name: str) -> int:
    """Say of how many parts a file is one; 1 for a whole model.

    Parameters
    ----------
    parsed : Parsed
        Its header.
    name : str
        Its name.

    Raises
    ------
    FormatError
        Header and name contradict each other, or the other parts cannot be named.
    """
    claimed = place_in_name(name)
    count = parsed.metadata.get("split.count")
    if count is None:
        if claimed is not None and claimed[1] > 1:
            raise FormatError(
                f"{name}: its name says part {claimed[0]} of {claimed[1]}, but its header has no split.count; if it is a whole model, "
                "give it a name without -00001-of-; if not, fetch it again"
            )
        return 1
    if type(count) is not int or not 0 <= count <= MAX_PARTS:
        raise FormatError(f"{name}: split.count is {_short(count)}, not a number of files from 0 to {MAX_PARTS}")
    if count == 0:
        return 1
    number = _number(parsed, name, count)
    if count == 1:
        check_parts([parsed], [name])
    elif claimed is None:
        raise FormatError(
            f"{name}: is part {number + 1} of {count} (split.no = {number}, split.count = {count}), and the other parts go by its name; call "
            f"it NAME-{number + 1:05d}-of-{count:05d}.gguf and put the others beside it"
        )
    elif claimed != (number + 1, count):
        raise FormatError(
            f"{name}: its name says part {claimed[0]} of {claimed[1]}, its header part {number + 1} of {count} (split.no = {number}, "
            f"split.count = {count}): the parts' names are mixed up; fetch them again"
        )
    return count


def check_parts(parts: Sequence[Parsed], names: Sequence[str]) -> None:
    """Refuse parts that are not those of one model.

    Parameters
    ----------
    parts : sequence of Parsed
        All of them, in order.
    names : sequence of str

    Raises
    ------
    FormatError
        A number or count differs from what it should be, or a tensor stands in two parts.
    """
    seen: dict[str, str] = {}
    for place, (parsed, name) in enumerate(zip(parts, names, strict=True)):
        count = parsed.metadata.get("split.count")
        if count != len(parts) or _number(parsed, name, len(parts)) != place:
            raise FormatError(
                f"{name}: says split.no = {_short(parsed.metadata.get('split.no'))} and split.count = {_short(count)}, where {place} and {len(parts)} belong: it "
                "is a part of another model; fetch it again"
            )
        for tensor in parsed.tensors:
            if tensor.name in seen:
                raise FormatError(
                    f"tensor {tensor.name[:80]!r} stands in {seen[tensor.name]} and in {name}; fetch both again"
                )
            seen[tensor.name] = name
    for parsed, name in zip(parts, names, strict=True):
        total = parsed.metadata.get("split.tensors.count", len(seen))
        if total != len(seen):
            raise FormatError(
                f"{name}: says that the {len(parts)} parts hold {_short(total)} tensors (split.tensors.count), but they hold {len(seen)}; fetch them again"
            )


def _number(parsed: Parsed, name: str, count: int) -> int:
    number = parsed.metadata.get("split.no")
    if type(number) is not int or not 0 <= number < count:
        raise FormatError(f"{name}: split.no is {_short(number)}, not a number from 0 to {count - 1}")
    return number


def _short(value: object) -> str:
    return repr(value)[:40]
