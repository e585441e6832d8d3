"""Whether what a page answered is what `protocol` says, so that a page that answers something else costs an error that says so."""

from __future__ import annotations

import functools
import itertools
import types
import typing
from collections.abc import Iterable
from typing import Any, Generic, Literal, TypeGuard, TypeVar, cast

from webgpu_widget import errors
from webgpu_widget.link import protocol

T = TypeVar("T")

_NUMBERS = frozenset({"f32", "f16", "i32", "u32", "bool"})


@functools.cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Return the fields of a TypedDict: the type of each, and whether it must be there."""
    found = {}
    for name, field in typing.get_type_hints(kind, include_extras=True).items():
        optional = typing.get_origin(field) is typing.NotRequired
        found[name] = (typing.get_args(field)[0] if optional else field, not optional)
    return found


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
    if typing.is_typeddict(kind):
        if not isinstance(value, dict):
            return where
        return _first(
            misfit(value[name], field, f"{where}.{name}") if name in value else where if required else None
            for name, (field, required) in _fields(kind).items()
        )
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return None if isinstance(value, str) and value in args else where
    if origin is types.UnionType:
        return None if any(misfit(value, one, where) is None for one in args) else where
    if origin is list:
        return _first_item(value, itertools.repeat(args[0]), where)
    if origin is tuple:
        return _first_item(value, args, where) if isinstance(value, list) and len(value) == len(args) else where
    if origin is dict:
        inner = value.items() if isinstance(value, dict) else None
        return where if inner is None else _first(misfit(item, args[1], f"{where}.{name}") for name, item in inner)
    if kind is float:
        return None if type(value) in (float, int) else where
    return None if kind is Any or type(value) is kind else where


def _first_item(value: Any, kinds: Iterable[Any], where: str) -> str | None:
    if not isinstance(value, list):
        return where
    return _first(
        misfit(item, kind, f"{where}[{at}]") for at, (item, kind) in enumerate(zip(value, kinds, strict=False))
    )


def _first(found: Iterable[str | None]) -> str | None:
    return next((place for place in found if place is not None), None)


class Schema(Generic[T]):
    """A type of messages that values are held against when they come.

    Parameters
    ----------
    kind
        A TypedDict of `protocol`, `services` or `widgets`, or a union of them.
    """

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def matches(self, value: object) -> TypeGuard[T]:
        """Say whether a value is of this type."""
        return self._misfit(value) is None

    def check(self, value: object, what: str) -> T:
        """Return a value that is of this type; ``what`` is said of another one.

        Raises
        ------
        FrontendError
            When it is not.
        """
        place = self._misfit(value)
        if place is None:
            return cast("T", value)
        raise _malformed(what, place)

    def _misfit(self, value: object) -> str | None:
        try:
            return misfit(value, self.kind, "it")
        except RecursionError:
            return "it"


def _malformed(what: str, place: str) -> errors.FrontendError:
    return errors.FrontendError(
        f"{what} is malformed ({place}): reload the page, and restart the kernel if that does not help"
    )


COMPILE_RESULT: Schema[protocol.CompileResult] = Schema(protocol.CompileResult)


def compile_result(value: dict[str, Any]) -> protocol.CompileResult:
    """Return the answer to ``compile``, looked at.

    Raises
    ------
    FrontendError
        When it is not one.
    """
    what = "the page's answer to a compilation"
    result = COMPILE_RESULT.check(value, what)
    try:
        place = _inconsistent(result)
    except RecursionError:
        place = "it"
    if place is not None:
        raise _malformed(what, place)
    return result


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
