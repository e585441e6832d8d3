"""NumPy values and WGSL memory: packing and unpacking by WGSL's layout rules.

The rules are WGSL's section "Alignment and Size" (https://www.w3.org/TR/WGSL/#alignment-and-size); the offsets and strides come with the reflection,
so that the browser's compiler and this module cannot disagree. Every leaf (scalar, vector, matrix column, and arrays of them) is one strided view of
the bytes, so a million structs are packed by as many NumPy assignments as they have fields.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np

from webgpu_widget import errors
from webgpu_widget.arrays.values import (
    SCALARS,
    Array,
    convert,
    describe,
    dtype_error,
    holds_pairs,
    leaf,
    refuse_masked,
    scalar_name,
)
from webgpu_widget.link.protocol import ArrayType, StructType, TypeInfo

__all__ = [
    "SCALARS",
    "Place",
    "check_names",
    "check_record_dtype",
    "describe",
    "dtype_error",
    "element_dtype",
    "elements",
    "fill",
    "fits",
    "has_shape",
    "holds_pairs",
    "is_runtime",
    "is_tight",
    "leaf_view",
    "may_be_left_out",
    "outline",
    "pack",
    "pack_runtime",
    "same_memory",
    "scalar_name",
    "split_dtype",
    "unpack",
    "unpack_records",
    "unpack_tail",
    "unpadded",
    "value_shape",
]


def value_shape(info: TypeInfo) -> tuple[int, ...]:
    """Return the shape that a value of a fixed-size leaf type has in NumPy (a matrix is (rows, columns))."""
    if info["type"] == "vector":
        return (info["count"],)
    if info["type"] == "matrix":
        return (info["rows"], info["columns"])
    if info["type"] == "array":
        return (info["count"], *value_shape(info["elem"]))
    return ()


def split_dtype(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return what a subarray's dtype is made of, and its shape: subarrays of subarrays as one."""
    shape: tuple[int, ...] = ()
    while dtype.subdtype is not None:
        dtype, inner = dtype.subdtype
        shape += inner
    return dtype, shape


def has_shape(shape: tuple[int, ...], info: TypeInfo) -> bool:
    """Say whether an array of a shape holds a fixed-size leaf type's elements, in an order that is beyond doubt.

    As many elements will do, in C order; a matrix wants its rows and columns.
    """
    own = value_shape(info)
    return shape == own or (leaf(info)["type"] != "matrix" and math.prod(shape) == math.prod(own))


def is_tight(info: TypeInfo) -> bool:
    """Say whether a leaf type's bytes are exactly its scalars in NumPy's order."""
    if info["type"] == "scalar":
        return True
    if info["type"] == "vector":
        return True
    if info["type"] == "array":
        elem = info["elem"]
        return is_tight(elem) and info["stride"] == elem["size"]
    return False


def element_dtype(info: TypeInfo) -> np.dtype[Any]:
    """Return the NumPy dtype with WGSL's size and offsets.

    A vector is a subarray, and a vec3 in an array one with its padding as a fourth scalar. A matrix is a subarray of (rows, columns), as everywhere in
    NumPy, at the beginning of its place: memory has its columns one after another, which no dtype can say, so packing and unpacking transpose it.
    """
    if info["type"] == "scalar":
        return SCALARS[info["name"]]
    if info["type"] == "vector":
        return np.dtype((SCALARS[info["elem"]], (info["count"],)))
    if info["type"] == "matrix":
        return np.dtype((SCALARS[info["elem"]], (info["rows"], info["columns"])))
    if info["type"] == "array":
        elem = info["elem"]
        base = element_dtype(elem)
        if elem["type"] == "vector" and info["stride"] != elem["size"]:
            scalar = SCALARS[elem["elem"]]
            base = np.dtype((scalar, (info["stride"] // scalar.itemsize,)))
        return np.dtype((base, (info["count"],)))
    if info["type"] == "struct":
        members = [item for item in info["members"] if not is_runtime(item["type"])]
        return np.dtype(
            {
                "names": [item["name"] for item in members],
                "formats": [element_dtype(item["type"]) for item in members],
                "offsets": [item["offset"] for item in members],
                "itemsize": info["size"],
            },
        )
    raise errors.BindingError(f"{info['name']} has no memory layout")


def is_runtime(info: TypeInfo) -> bool:
    """Say whether a type is a runtime-sized array, or a struct that ends with one."""
    if info["type"] == "array":
        return info["count"] == 0
    return info["type"] == "struct" and bool(info["members"]) and is_runtime(info["members"][-1]["type"])


def holds_matrix(info: TypeInfo) -> bool:
    """Say whether there is a matrix in a type, so that the bytes of `element_dtype` are not those of WGSL."""
    inner = leaf(info)
    if inner["type"] == "struct":
        return any(holds_matrix(item["type"]) for item in inner["members"])
    return inner["type"] == "matrix"


def may_be_left_out(name: str) -> bool:
    """Say whether a field only pads."""
    return name.startswith("_") or name.lower().startswith("pad")


class Place:
    """Where values lie in bytes: an offset with any number of strided axes in front."""

    def __init__(
        self, data: Array, offset: int = 0, shape: tuple[int, ...] = (), strides: tuple[int, ...] = ()
    ) -> None:
        self.data = data
        self.offset = offset
        self.shape = shape
        self.strides = strides

    def at(self, offset: int) -> Place:
        """Move on by bytes."""
        return Place(self.data, self.offset + offset, self.shape, self.strides)

    def along(self, count: int, stride: int) -> Place:
        """Add an axis."""
        return Place(self.data, self.offset, (*self.shape, count), (*self.strides, stride))

    def view(self, dtype: np.dtype[Any], shape: tuple[int, ...] = (), strides: tuple[int, ...] = ()) -> Array:
        """Return the strided view."""
        return np.ndarray((*self.shape, *shape), dtype, self.data.data, self.offset, (*self.strides, *strides))


def leaf_view(info: TypeInfo, place: Place) -> Array:
    """Return a leaf type's values, of shape ``place.shape + value_shape(info)``, as a view of the bytes."""
    if info["type"] == "scalar":
        return place.view(SCALARS[info["name"]])
    if info["type"] == "vector":
        scalar = SCALARS[info["elem"]]
        return place.view(scalar, (info["count"],), (scalar.itemsize,))
    if info["type"] == "matrix":
        scalar = SCALARS[info["elem"]]
        column = info["size"] // info["columns"]
        return place.view(scalar, (info["rows"], info["columns"]), (scalar.itemsize, column))
    if info["type"] == "array":
        return leaf_view(info["elem"], place.along(info["count"], info["stride"]))
    raise errors.BindingError(f"{describe(info)} is not made of numbers")


def fits(shape: tuple[int, ...], info: TypeInfo) -> bool:
    """Say whether a value's own shape means a leaf type without doubt: the type's shape, or its elements in C order where that is one axis."""
    own = value_shape(info)
    if shape == own:
        return True
    return min(len(shape), len(own)) <= 1 and has_shape(shape, info)


def _assign(view: Array, value: Array, info: TypeInfo, where: str) -> None:
    """Copy into a view, allowing only what means the same."""
    axes = view.ndim - len(value_shape(info))
    if value.shape != view.shape and (value.shape[:axes] != view.shape[:axes] or not fits(value.shape[axes:], info)):
        raise errors.ShapeError(
            f"{where} has shape {value.shape}, but the shader's {describe(info)} needs {view.shape}"
        )
    view[...] = value if value.shape == view.shape else value.reshape(view.shape)


def fill(info: TypeInfo, place: Place, value: Any, where: str) -> None:
    """Write a value at a place.

    ``value`` is a dict or a structured array for a struct, else numbers of shape ``place.shape + value_shape(info)``.
    """
    if info["type"] == "struct":
        _fill_struct(info, place, value, where)
    elif info["type"] == "array" and scalar_name(info) is None:
        _fill_structs(info, place, value, where)
    else:
        _assign(leaf_view(info, place), convert(value, info, where), info, where)


def _items(value: Any, info: ArrayType, where: str) -> list[Any]:
    """Return what a list of structs holds; one struct alone is a list of one."""
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return list(value)
    raise errors.BindingError(
        f"{where} is {describe(info)}: pass a structured array or a list of dicts, not {type(value).__name__}"
    )


def _fill_structs(info: ArrayType, place: Place, value: Any, where: str) -> None:
    inner = place.along(info["count"], info["stride"])
    if isinstance(value, np.ndarray):
        fill(info["elem"], inner, value, where)
        return
    items = _items(value, info, where)
    if len(items) != info["count"]:
        raise errors.ShapeError(
            f"{where} has {len(items)} elements, but the shader's {describe(info)} has {info['count']}"
        )
    for index, item in enumerate(items):
        fill(
            info["elem"],
            Place(place.data, place.offset + index * info["stride"], place.shape, place.strides),
            item,
            f"{where}[{index}]",
        )


def _fill_struct(info: StructType, place: Place, value: Any, where: str) -> None:
    names = [item["name"] for item in info["members"]]
    exact = False
    if isinstance(value, (np.ndarray, np.void)) and value.dtype.names is not None:
        refuse_masked(value, where)
        records = np.asarray(value)
        if not place.shape and records.size == 1:
            records = records.reshape(())
        if records.shape != place.shape:
            raise errors.ShapeError(
                f"{where} holds structs {info['name']} in the shape {records.shape}, but the shader needs {place.shape}"
            )
        exact = records.dtype == element_dtype(info)
        if exact and not holds_matrix(info):
            place.view(records.dtype)[...] = records
            return
        given = {name: records[name] for name in records.dtype.names or ()}
    elif isinstance(value, Mapping):
        given = dict(value)
    else:
        raise errors.BindingError(
            f"{where} is the struct {info['name']}: pass a dict or a structured array with the fields {', '.join(names)}, not {type(value).__name__}"
        )
    check_names(info, given, where)
    for item in info["members"]:
        if item["name"] in given and not is_runtime(item["type"]):
            field = given[item["name"]]
            field = unpadded(field, item["type"]) if exact else field
            fill(item["type"], place.at(item["offset"]), field, f"{where}.{item['name']}")


def check_names(info: StructType, given: Iterable[str], where: str) -> None:
    """Raise `BindingError` for fields that a struct has not, and for those of it that are missing; what only pads may be either."""
    names = [item["name"] for item in info["members"]]
    unknown = [name for name in given if name not in names and not may_be_left_out(str(name))]
    missing = [name for name in names if name not in given and not may_be_left_out(name)]
    if unknown or missing:
        parts = [f"unknown field {name!r}" for name in unknown] + [f"missing field {name!r}" for name in missing]
        raise errors.BindingError(f"{where}: {', '.join(parts)}; the struct {info['name']} has {', '.join(names)}")


def unpadded(field: Array, info: TypeInfo) -> Array:
    """Return a field of `element_dtype` without the fourth scalars of its vec3."""
    inner = leaf(info)
    return field[..., :3] if info["type"] == "array" and inner["type"] == "vector" and inner["count"] == 3 else field


def pack(info: TypeInfo, value: Any, where: str) -> Array:
    """Return the bytes (uint8) of a value of a type without a runtime-sized tail.

    Parameters
    ----------
    info : TypeInfo
        From the reflection.
    value
        Number, array, dict or structured array.
    where : str
        For messages.

    Raises
    ------
    DTypeError, ShapeError, BindingError
        Named by ``where`` and field.
    """
    data = np.zeros(info["size"], np.uint8)
    fill(info, Place(data), value, where)
    return data


def pack_runtime(info: ArrayType, value: Any, where: str) -> tuple[Array, tuple[int, ...]]:
    """Return the bytes of a runtime-sized array and the shape of its elements in NumPy.

    The leading axes of ``value`` count elements, in C order.
    """
    elem = info["elem"]
    if scalar_name(elem) is None:
        refuse_masked(value, where)
        records = np.asarray(value) if isinstance(value, (np.ndarray, np.void)) else None
        if records is None or records.dtype.names is None:
            items = _items(value, info, where)
            data = np.zeros(len(items) * info["stride"], np.uint8)
            for index, item in enumerate(items):
                fill(elem, Place(data, index * info["stride"]), item, f"{where}[{index}]")
            return data, (len(items),)
        data = np.zeros(records.size * info["stride"], np.uint8)
        fill(elem, Place(data).along(records.size, info["stride"]), records.reshape(-1), where)
        return data, records.shape
    array = convert(value, elem, where)
    inner = value_shape(elem)
    count = elements(array.shape, elem, where)
    if is_tight(elem) and info["stride"] == elem["size"]:
        flat = np.ascontiguousarray(array, SCALARS[cast("str", scalar_name(elem))])
        return flat.reshape(-1).view(np.uint8), array.shape
    data = np.zeros(count * info["stride"], np.uint8)
    leaf_view(elem, Place(data).along(count, info["stride"]))[...] = array.reshape(count, *inner)
    return data, array.shape


def elements(shape: tuple[int, ...], elem: TypeInfo, where: str) -> int:
    """Return how many elements an array of a shape makes.

    The trailing axes are the element's own; a flat array will do where the element is tight.
    """
    size = math.prod(shape)
    inner = value_shape(elem)
    if not inner:
        return size
    per = math.prod(inner)
    if len(shape) >= len(inner) and shape[len(shape) - len(inner) :] == inner:
        return size // per
    if is_tight(elem) and elem["type"] == "vector" and elem["count"] != 3 and size % per == 0 and shape[-1:] != (3,):
        return size // per
    raise errors.ShapeError(
        f"{where} has shape {shape}, but the shader's elements are {describe(elem)}: the shape must end in {', '.join(map(str, inner))}"
    )


def unpack(info: TypeInfo, data: Array) -> Any:
    """Return the value in bytes: a dict for a struct, else numbers (copied, of shape ``value_shape``)."""
    if info["type"] == "struct":
        return {
            item["name"]: unpack_tail(item["type"], data[item["offset"] :])
            if is_runtime(item["type"])
            else unpack(item["type"], data[item["offset"] :])
            for item in info["members"]
            if not may_be_left_out(item["name"])
        }
    if info["type"] == "array" and scalar_name(info) is None:
        return unpack_records(info["elem"], info["stride"], data, (info["count"],))
    view = leaf_view(info, Place(data))
    return view.copy() if view.ndim else view[()]


def unpack_tail(info: TypeInfo, data: Array) -> Array:
    """Return a runtime-sized array from all whole elements in bytes, of shape (count, element's own...)."""
    array = cast("ArrayType", info)
    elem, count = array["elem"], data.size // array["stride"]
    if scalar_name(elem) is None:
        return unpack_records(elem, array["stride"], data, (count,))
    return leaf_view(elem, Place(data).along(count, array["stride"])).copy()


def unpack_records(
    elem: TypeInfo, stride: int, data: Array, shape: tuple[int, ...], dtype: np.dtype[Any] | None = None
) -> Array:
    """Return structs as a structured array, of `element_dtype` or of the caller's dtype, matched by field name."""
    exact = element_dtype(elem)
    count = int(np.prod(shape, dtype=np.int64))
    if (dtype is None or dtype == exact) and not holds_matrix(elem):
        return np.ndarray((count,), exact, data.data, 0, (stride,)).copy().reshape(shape)
    result = np.zeros(count, dtype or exact)
    _copy_fields(result, cast("StructType", elem), Place(data).along(count, stride))
    return result.reshape(shape)


def _copy_fields(target: Array, info: StructType, place: Place) -> None:
    exact = target.dtype == element_dtype(info)
    for item in info["members"]:
        if item["name"] in (target.dtype.names or ()):
            field = target[item["name"]]
            _copy_field(unpadded(field, item["type"]) if exact else field, item["type"], place.at(item["offset"]))


def _copy_field(target: Array, info: TypeInfo, place: Place) -> None:
    if info["type"] == "struct":
        _copy_fields(target, info, place)
    elif info["type"] == "array" and scalar_name(info) is None:
        _copy_field(target, info["elem"], place.along(info["count"], info["stride"]))
    else:
        values = leaf_view(info, place)
        if target.dtype == np.complex64:
            values = np.ascontiguousarray(values).view(np.complex64)[..., 0]
        target[...] = values if values.shape == target.shape else values.reshape(target.shape)


def check_record_dtype(info: StructType, dtype: np.dtype[Any], where: str) -> None:
    """Check that a structured dtype asked for as an output fits a struct.

    Parameters
    ----------
    info : StructType
        The shader's.
    dtype : numpy.dtype
        The caller's: fields by name, in any order and with any offsets.
    where : str
        For messages.

    Raises
    ------
    BindingError
        For missing and unknown fields.
    DTypeError, ShapeError
        For a field of another scalar or shape than the shader's.
    """
    if dtype == element_dtype(info):
        return
    check_names(info, dtype.names or (), where)
    for item in info["members"]:
        if item["name"] in (dtype.names or ()):
            _check_field(item["type"], dtype[item["name"]], f"{where}.{item['name']}")


def _check_field(info: TypeInfo, dtype: np.dtype[Any], where: str) -> None:
    base, shape = split_dtype(dtype)
    name = scalar_name(info)
    if name is not None:
        if base != SCALARS[name].newbyteorder("="):
            raise dtype_error(where, base, info)
        if not fits(shape, info):
            raise errors.ShapeError(
                f"{where} has shape {shape}, but the shader's {describe(info)} needs {value_shape(info)}"
            )
        return
    counts: tuple[int, ...] = ()
    while info["type"] == "array":
        counts, info = (*counts, info["count"]), info["elem"]
    if shape != counts:
        raise errors.ShapeError(f"{where} has shape {shape}, but the shader holds structs {describe(info)} in {counts}")
    if base.names is None:
        raise errors.DTypeError(
            f"{where} has dtype {base.name}, but the shader declares the struct {describe(info)}: give a structured dtype"
        )
    check_record_dtype(cast("StructType", info), base, where)


def same_memory(one: TypeInfo, other: TypeInfo) -> bool:
    """Say whether two types mean the same bytes: scalars, shapes, offsets and the names of fields; atomics are as what they hold.

    The names of structs and of fields that only pad may differ.
    """
    if one["type"] == "struct" and other["type"] == "struct":
        mine, theirs = (
            {item["name"]: item for item in kind["members"] if not may_be_left_out(item["name"])}
            for kind in (one, other)
        )
        return (
            one["size"] == other["size"]
            and mine.keys() == theirs.keys()
            and all(
                item["offset"] == theirs[name]["offset"] and same_memory(item["type"], theirs[name]["type"])
                for name, item in mine.items()
            )
        )
    if one["type"] == "array" and other["type"] == "array":
        return (one["count"], one["stride"]) == (other["count"], other["stride"]) and same_memory(
            one["elem"], other["elem"]
        )
    if one["type"] == "scalar" or other["type"] == "scalar":
        return one["type"] == other["type"] and scalar_name(one) == scalar_name(other)
    return one == other


def outline(info: TypeInfo) -> str:
    """Return a type as WGSL writes it, with the fields of its structs."""
    inner = leaf(info)
    if inner["type"] != "struct":
        return describe(info)
    fields = ", ".join(f"{item['name']}: {describe(item['type'])}" for item in inner["members"])
    written = f"{describe(inner)} {{ {fields} }}"
    return written if inner is info else f"{describe(info)} of {written}"
