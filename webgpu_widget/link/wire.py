"""Whether what a page answered is what `protocol` says, so that a page that answers something else costs an error that says so."""

from __future__ import annotations

import functools
import types
import typing
from typing import Any, Literal, cast

from webgpu_widget import errors
from webgpu_widget.link import protocol

_NUMBERS = frozenset({"f32", "f16", "i32", "u32", "bool"})


@functools.cache
def _fields(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def misfit(value: Any, kind: Any, where: str) -> str | None:
    """Say where a value is not of a type.

    Parameters
    ----------
    value
        As JSON has it.
    kind
        A TypedDict of `protocol`, or what their fields are made of.
    where : str
        What the value is called.

    Returns
    -------
    str or None
        The place that does not fit; None when all does.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return None if isinstance(value, str) and value in args else where
    if origin is types.UnionType:
        return None if any(misfit(value, one, where) is None for one in args) else where
    if origin is list:
        inner = enumerate(value) if isinstance(value, list) else None
        return where if inner is None else _first(misfit(item, args[0], f"{where}[{at}]") for at, item in inner)
    if typing.is_typeddict(kind):
        fields = _fields(kind)
        if not isinstance(value, dict) or not fields.keys() <= value.keys():
            return where
        return _first(misfit(value[name], field, f"{where}.{name}") for name, field in fields.items())
    return None if type(value) is kind else where


def _first(found: typing.Iterable[str | None]) -> str | None:
    return next((place for place in found if place is not None), None)


def compile_result(value: dict[str, Any]) -> protocol.CompileResult:
    """Return the answer to ``compile``, looked at.

    Raises
    ------
    FrontendError
        When it is not one.
    """
    try:
        place = misfit(value, protocol.CompileResult, "it")
        place = _inconsistent(cast("protocol.CompileResult", value)) if place is None else place
    except RecursionError:
        place = "it"
    if place is not None:
        raise errors.FrontendError(
            f"the page's answer to a compilation is malformed ({place}): reload the page, and restart the kernel if that does not help"
        )
    return cast("protocol.CompileResult", value)


def _inconsistent(result: protocol.CompileResult) -> str | None:
    """Name what refers to nothing, or has a size that nothing has."""
    module = result["reflection"]
    count = len(module["bindings"])
    entries = module["entry_points"]
    if result["entry_point"] not in {"", *(entry["name"] for entry in entries)}:
        return "it.entry_point"
    if any(not 0 <= index < count for entry in entries for index in entry["bindings"]):
        return "it.reflection.entry_points"
    kinds = [*(info["type"] for info in module["bindings"]), *module["structs"]]
    return None if all(_sound(kind) for kind in kinds) else "it.reflection"


def _sound(kind: protocol.TypeInfo | protocol.StructType) -> bool:
    """Say whether a type has the sizes and parts that one of its kind may have."""
    if min(kind["size"], kind["align"]) < 0:
        return False
    if kind["type"] == "scalar":
        return kind["name"] in _NUMBERS
    if kind["type"] == "vector":
        return kind["elem"] in _NUMBERS and 2 <= kind["count"] <= 4
    if kind["type"] == "matrix":
        return kind["elem"] in _NUMBERS and 2 <= kind["columns"] <= 4 and 2 <= kind["rows"] <= 4
    if kind["type"] == "array":
        return kind["stride"] > 0 and kind["count"] >= 0 and _sound(kind["elem"])
    if kind["type"] == "struct":
        return all(member["offset"] >= 0 and _sound(member["type"]) for member in kind["members"])
    return True
