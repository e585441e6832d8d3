"""NumPy values and WGSL memory: packing and unpacking by WGSL's layout rules.

The rules are WGSL's section "Alignment and Size" (https://www.w3.org/TR/WGSL/#alignment-and-size); the offsets and strides come with the reflection,
so that the browser's compiler and this module cannot disagree. Every leaf (scalar, vector, matrix column, and arrays of them) is one strided view of
the bytes, so a million structs are packed by as many NumPy assignments as they have fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from webgpu_widget import errors
from webgpu_widget.protocol import ArrayType, StructType, TypeInfo

Array = np.ndarray[Any, Any]

SCALARS: dict[str, np.dtype[Any]] = {
    "f32": np.dtype("<f4"),
    "f16": np.dtype("<f2"),
    "i32": np.dtype("<i4"),
    "u32": np.dtype("<u4"),
    "bool": np.dtype("<u4"),
}
_INSTEAD = {
    "float64": "x.astype(np.float32)",
    "int64": "x.astype(np.int32)",
    "uint64": "x.astype(np.uint32)",
    "complex128": "x.astype(np.complex64)",
    "complex64": "np.stack([x.real, x.imag], -1), or bind it to an array<vec2f>",
    "int8": "x.astype(np.int32)",
    "int16": "x.astype(np.int32)",
    "uint8": "x.astype(np.uint32), or four to a word with x.view(np.uint32)",
    "uint16": "x.astype(np.uint32), or two to a word with x.view(np.uint32)",
}


def describe(info: TypeInfo) -> str:
    """Return a type as WGSL writes it."""
    if info["type"] == "scalar":
        return f"atomic<{info['name']}>" if info["atomic"] else info["name"]
    if info["type"] == "vector":
        return f"vec{info['count']}<{info['elem']}>"
    if info["type"] == "matrix":
        return f"mat{info['columns']}x{info['rows']}<{info['elem']}>"
    if info["type"] == "array":
        return f"array<{describe(info['elem'])}{', ' + str(info['count']) if info['count'] else ''}>"
    return info["name"]


def dtype_error(where: str, got: np.dtype[Any], info: TypeInfo) -> errors.DTypeError:
    """Make the error for a dtype that would have to be rounded or reinterpreted."""
    name = scalar_name(info)
    wanted = SCALARS[name].newbyteorder("=").name if name is not None else "the shader's type"
    hint = f"x.astype(np.{wanted})" if got.kind in "iufb" and name is not None else _INSTEAD.get(got.name)
    words = {
        "uint8": ", or four to a word with x.view(np.uint32)",
        "uint16": ", or two to a word with x.view(np.uint32)",
    }
    more = words.get(got.name, "") if wanted == "uint32" else ""
    order = "" if got.isnative else " in the other byte order"
    return errors.DTypeError(
        f"{where} has dtype {got.name}{order}, but the shader declares {describe(info)}; nothing is converted silently: "
        + (f"pass {hint}{more}" if hint else f"pass an array of {wanted}")
    )


def scalar_name(info: TypeInfo) -> str | None:
    """Return the scalar that a type is made of, or None for a struct."""
    if info["type"] == "scalar":
        return info["name"]
    if info["type"] in {"vector", "matrix"}:
        return info["elem"]
    if info["type"] == "array":
        return scalar_name(info["elem"])
    return None


def value_shape(info: TypeInfo) -> tuple[int, ...]:
    """Return the shape that a value of a fixed-size leaf type has in NumPy (a matrix is (rows, columns))."""
    if info["type"] == "vector":
        return (info["count"],)
    if info["type"] == "matrix":
        return (info["rows"], info["columns"])
    if info["type"] == "array":
        return (info["count"], *value_shape(info["elem"]))
    return ()


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
    """Return the NumPy dtype of WGSL's exact layout.

    A vector is a subarray; a padded element (a vec3 in an array, a matrix's column of 3) is a subarray with its padding as one more scalar.
    """
    if info["type"] == "scalar":
        return SCALARS[info["name"]]
    if info["type"] == "vector":
        return np.dtype((SCALARS[info["elem"]], (info["count"],)))
    if info["type"] == "matrix":
        scalar = SCALARS[info["elem"]]
        rows = 4 if info["rows"] == 3 else info["rows"]
        return np.dtype((scalar, (info["columns"], rows)))
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


def convert(value: Any, info: TypeInfo, where: str) -> Array:
    """Turn a value into an array of a leaf type's scalar, without rounding silently.

    Python numbers and lists are converted; arrays must have the dtype already (bool goes into u32, complex64 into vec2f).
    """
    name = scalar_name(info)
    if name is None:
        raise errors.BindingError(f"{where} is {describe(info)}: pass a dict by field name, or a structured array")
    scalar = SCALARS[name]
    wanted = describe(info)
    if isinstance(value, np.ndarray) and value.ndim > 0:
        if value.dtype == scalar.newbyteorder("="):
            return value
        if value.dtype == np.bool_ and name in {"u32", "i32", "bool"}:
            return value.astype(scalar)
        if value.dtype == np.complex64 and name == "f32":
            return np.ascontiguousarray(value).view(np.float32).reshape(*value.shape, 2)
        raise dtype_error(where, value.dtype, info)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise errors.ShapeError(f"{where}: {error}") from error
    if array.dtype == np.object_ or array.dtype.kind not in "biufc":
        raise errors.DTypeError(
            f"{where} is {value!r:.80}, which is not a number or an array of numbers; the shader declares {wanted}"
        )
    if name in {"u32", "i32", "bool"}:
        if array.dtype.kind not in "biu":
            raise errors.DTypeError(f"{where} is {value!r:.80}, but the shader declares {wanted}: pass an int")
        limits = np.iinfo(scalar)
        if array.size and (int(array.min()) < limits.min or int(array.max()) > limits.max):
            raise errors.DTypeError(f"{where} is {value!r:.80}, outside of {name}'s range {limits.min} to {limits.max}")
    elif array.dtype.kind == "c":
        raise errors.DTypeError(f"{where} is complex, but the shader declares {wanted}")
    with np.errstate(over="ignore"):
        return array.astype(scalar)


def _assign(view: Array, value: Array, info: TypeInfo, where: str) -> None:
    """Copy into a view, allowing only what means the same: equal shapes, or as many elements in C order for flat input."""
    if value.shape == view.shape:
        view[...] = value
        return
    if view.ndim == 0 and value.size == 1:
        view[...] = value.reshape(())
        return
    if value.size == view.size and (value.ndim <= 1 or view.ndim <= 1) and info["type"] != "matrix":
        view[...] = value.reshape(view.shape)
        return
    raise errors.ShapeError(f"{where} has shape {value.shape}, but the shader's {describe(info)} needs {view.shape}")


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


def _fill_structs(info: ArrayType, place: Place, value: Any, where: str) -> None:
    inner = place.along(info["count"], info["stride"])
    if isinstance(value, np.ndarray):
        fill(info["elem"], inner, value, where)
        return
    if len(value) != info["count"]:
        raise errors.ShapeError(
            f"{where} has {len(value)} elements, but the shader's {describe(info)} has {info['count']}"
        )
    for index, item in enumerate(value):
        fill(
            info["elem"],
            Place(place.data, place.offset + index * info["stride"], place.shape, place.strides),
            item,
            f"{where}[{index}]",
        )


def _fill_struct(info: StructType, place: Place, value: Any, where: str) -> None:
    names = [item["name"] for item in info["members"]]
    if isinstance(value, np.ndarray) and value.dtype == element_dtype(info):
        # WGSL's exact layout already (`Kernel.dtype`): columns of matrices and all.
        place.view(value.dtype)[...] = value
        return
    if isinstance(value, np.ndarray) and value.dtype.names is not None:
        given = {name: value[name] for name in value.dtype.names}
    elif isinstance(value, Mapping):
        given = dict(value)
    elif isinstance(value, np.void) and value.dtype.names is not None:
        given = {name: np.asarray(value[name]) for name in value.dtype.names}
    else:
        raise errors.BindingError(
            f"{where} is the struct {info['name']}: pass a dict or a structured array with the fields {', '.join(names)}, not {type(value).__name__}"
        )
    unknown = [name for name in given if name not in names and not may_be_left_out(str(name))]
    missing = [name for name in names if name not in given and not may_be_left_out(name)]
    if unknown or missing:
        parts = [f"unknown field {name!r}" for name in unknown] + [f"missing field {name!r}" for name in missing]
        raise errors.BindingError(f"{where}: {', '.join(parts)}; the struct {info['name']} has {', '.join(names)}")
    for item in info["members"]:
        if item["name"] in given and not is_runtime(item["type"]):
            fill(item["type"], place.at(item["offset"]), given[item["name"]], f"{where}.{item['name']}")


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
        records = value if isinstance(value, np.ndarray) else None
        if records is None or records.dtype.names is None:
            items = list(value) if not isinstance(value, Mapping) else [value]
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
    inner = value_shape(elem)
    size = int(np.prod(shape, dtype=np.int64))
    per = int(np.prod(inner, dtype=np.int64))
    if not inner:
        return size
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
    """Return a runtime-sized array from all whole elements in bytes."""
    array = cast("ArrayType", info)
    return unpack_elements(array, data, data.size // array["stride"])


def unpack_elements(info: ArrayType, data: Array, count: int) -> Array:
    """Return ``count`` elements of an array type, of shape (count, element's own...)."""
    elem = info["elem"]
    if scalar_name(elem) is None:
        return unpack_records(elem, info["stride"], data, (count,))
    return leaf_view(elem, Place(data).along(count, info["stride"])).copy()


def unpack_records(
    elem: TypeInfo, stride: int, data: Array, shape: tuple[int, ...], dtype: np.dtype[Any] | None = None
) -> Array:
    """Return structs as a structured array, in WGSL's exact layout or in the caller's dtype, matched by field name."""
    exact = element_dtype(elem)
    count = int(np.prod(shape, dtype=np.int64))
    records = np.ndarray((count,), exact, data.data, 0, (stride,)).copy()
    if dtype is None or dtype == exact:
        return records.reshape(shape)
    result = np.zeros(count, dtype)
    place = Place(data).along(count, stride)
    for item in cast("StructType", elem)["members"]:
        if item["name"] in (dtype.names or ()):
            _copy_field(result[item["name"]], item["type"], place.at(item["offset"]))
    return result.reshape(shape)


def _copy_field(target: Array, info: TypeInfo, place: Place) -> None:
    if info["type"] == "struct":
        for item in info["members"]:
            if item["name"] in (target.dtype.names or ()):
                _copy_field(target[item["name"]], item["type"], place.at(item["offset"]))
    elif info["type"] == "array" and scalar_name(info) is None:
        _copy_field(target, info["elem"], place.along(info["count"], info["stride"]))
    else:
        values = leaf_view(info, place)
        target[...] = values if values.shape == target.shape else values.reshape(target.shape)


def check_record_dtype(info: StructType, dtype: np.dtype[Any], where: str) -> None:
    """Raise when a structured dtype asked for as an output does not fit a struct."""
    names = [item["name"] for item in info["members"]]
    unknown = [name for name in dtype.names or () if name not in names and not may_be_left_out(name)]
    missing = [name for name in names if name not in (dtype.names or ()) and not may_be_left_out(name)]
    if unknown or missing:
        parts = [f"unknown field {name!r}" for name in unknown] + [f"missing field {name!r}" for name in missing]
        raise errors.BindingError(f"{where}: {', '.join(parts)}; the struct {info['name']} has {', '.join(names)}")
