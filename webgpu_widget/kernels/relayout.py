"""Structs in one memory layout moved to another on the GPU: NumPy's and WGSL's, those of two shaders, a struct's and that of one field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from webgpu_widget import errors, shaders
from webgpu_widget.arrays.values import SCALARS, Array, describe, leaf, scalar_name
from webgpu_widget.device.limits import SAFE_WORKGROUPS
from webgpu_widget.kernels import layout
from webgpu_widget.link.protocol import Member, StructType, TypeInfo
from webgpu_widget.shaders.uniforms import uniform

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Arg, Buffer

__all__ = ["KEEP", "PLAIN", "field_places", "move", "places", "plain_struct", "stride_of"]

KEEP = 0xFFFFFFFF
PLAIN = "(NumPy's)"
"""The name of the structs of `plain_struct`, which no shader can give."""
_SCALARS = {"f4": "f32", "i4": "i32", "u4": "u32", "f2": "f16", "b1": "bool"}
_INVOCATIONS = 256


def stride_of(info: TypeInfo) -> int:
    """Return how many bytes an element takes in an array."""
    return -(-info["size"] // info["align"]) * info["align"]


def plain_struct(dtype: np.dtype[Any], where: str) -> StructType:
    """Return the layout in which structs of a NumPy dtype lie before a shader has said how it wants them.

    The fields in their order without gaps, each on a word of 4 bytes, with NumPy's order of axes; bool as u32. Fields that only pad and are bytes without
    a meaning (``V4``) are left out.

    Parameters
    ----------
    dtype : numpy.dtype
        Structured.
    where : str
        For messages.

    Raises
    ------
    DTypeError
        For a field that WGSL has no scalar for, with what to convert it to.
    """
    members: list[Member] = []
    end = 0
    for name in dtype.names or ():
        base, shape = layout.split_dtype(dtype[name])
        if base.kind == "V" and base.names is None and layout.may_be_left_out(name):
            continue
        kind = _plain_type(base, shape, f"{where}.{name}")
        members.append({"name": name, "offset": end, "type": kind})
        end += -(-kind["size"] // 4) * 4
    if not members:
        raise errors.DTypeError(
            f"{where} has dtype {dtype}, which has no field with numbers: there is nothing to put on the GPU"
        )
    return {"type": "struct", "name": PLAIN, "members": members, "size": end, "align": 4}


def _plain_type(base: np.dtype[Any], shape: tuple[int, ...], where: str) -> TypeInfo:
    if 0 in shape:
        raise errors.ShapeError(f"{where} has shape {shape}: a struct's field has at least one element")
    if base.names is not None:
        kind: TypeInfo = plain_struct(base, where)
    elif base == np.complex64:
        kind = {"type": "vector", "elem": "f32", "count": 2, "size": 8, "align": 4}
    else:
        name = _SCALARS.get(base.str[1:]) if base.isnative else None
        if name is None:
            known = "float32, int32, uint32, float16, complex64 and bool"
            said = f"dtype {base.name}" if base.isnative else f"dtype {base.name} in the other byte order"
            raise errors.DTypeError(
                f"{where} has {said}, and structs on the GPU hold {known}; nothing is converted silently: pass x.astype(...) of a dtype with one of these"
            )
        size = SCALARS[name].itemsize
        kind = {"type": "scalar", "name": name, "size": size, "align": size, "atomic": False}
    for count in reversed(shape):
        stride = stride_of(kind)
        kind = {
            "type": "array",
            "elem": kind,
            "count": count,
            "stride": stride,
            "size": count * stride,
            "align": kind["align"],
        }
    return kind


def _offsets(info: TypeInfo, place: layout.Place) -> Array:
    """Return where each scalar of a leaf type lies: byte offsets, in NumPy's shape."""
    view = layout.leaf_view(info, place)
    start = view.__array_interface__["data"][0] - place.data.__array_interface__["data"][0]
    result = np.full(view.shape, start, np.int64)
    for axis, stride in enumerate(view.strides):
        result += (np.arange(view.shape[axis]) * stride).reshape(-1, *[1] * (view.ndim - axis - 1))
    return result


class _Match:
    """Where the halves of a target struct are in the source's."""

    def __init__(self, source: StructType, target: StructType) -> None:
        self.table = np.full(stride_of(target) // 2, KEEP, np.uint32)
        self.plain_target = target["name"] == PLAIN
        self.source = layout.Place(np.zeros(source["size"], np.uint8))
        self.target = layout.Place(np.zeros(target["size"], np.uint8))

    def structs(
        self,
        source: StructType,
        target: StructType,
        at: tuple[layout.Place, layout.Place],
        dtype: np.dtype[Any] | None,
        where: str,
    ) -> None:
        layout.check_names(target, [item["name"] for item in source["members"]], where)
        theirs = {item["name"]: item for item in source["members"]}
        exact = dtype is not None and dtype == layout.element_dtype(source if self.plain_target else target)
        for item in target["members"]:
            found = theirs.get(item["name"])
            if found is None:
                continue
            places = at[0].at(found["offset"]), at[1].at(item["offset"])
            inner = None if dtype is None else layout.split_dtype(dtype[item["name"]])[0]
            self.fields(found["type"], item["type"], places, inner, f"{where}.{item['name']}", exact=exact)

    def fields(
        self,
        source: TypeInfo,
        target: TypeInfo,
        at: tuple[layout.Place, layout.Place],
        dtype: np.dtype[Any] | None,
        where: str,
        *,
        exact: bool,
    ) -> None:
        mine, wanted = scalar_name(source), scalar_name(target)
        if mine is None and wanted is None:
            one, other = at
            (source, one), (target, other) = _walked(source, one), _walked(target, other)
            if one.shape != other.shape:
                raise errors.ShapeError(
                    f"{where} holds structs in the shape {one.shape}, but the shader holds them in {other.shape}"
                )
            self.structs(cast("StructType", source), cast("StructType", target), (one, other), dtype, where)
            return
        if not _same_scalar(mine, wanted):
            raise errors.DTypeError(
                f"{where} is {describe(source) if mine != 'bool' else 'bool'}, but the shader declares {describe(target)}; nothing is converted silently"
            )
        bytes_from, bytes_to = _offsets(source, at[0]), _offsets(target, at[1])
        if exact and self.plain_target:
            bytes_to = layout.unpadded(bytes_to, source)
        elif exact:
            bytes_from = layout.unpadded(bytes_from, target)
        axes = len(at[0].shape)
        if bytes_from.shape != bytes_to.shape:
            shape, kind = (bytes_to.shape, source) if self.plain_target else (bytes_from.shape, target)
            if not layout.fits(shape[axes:], kind):
                raise errors.ShapeError(
                    f"{where} has shape {shape[axes:]}, but the shader's {describe(kind)} needs {layout.value_shape(kind)}"
                )
            bytes_from = bytes_from.reshape(bytes_to.shape)
        for half in range(SCALARS[cast("str", wanted)].itemsize // 2):
            self.table[bytes_to.reshape(-1) // 2 + half] = bytes_from.reshape(-1) // 2 + half


def _walked(info: TypeInfo, place: layout.Place) -> tuple[TypeInfo, layout.Place]:
    """Go along all axes of an array."""
    while info["type"] == "array":
        array = info
        info, place = array["elem"], place.along(array["count"], array["stride"])
    return info, place


def _same_scalar(mine: str | None, wanted: str | None) -> bool:
    """Say whether a scalar's bits mean the same; bools are 0 and 1."""
    return mine == wanted or (mine == "bool" and wanted in {"u32", "i32"})


def places(source: StructType, target: StructType, dtype: np.dtype[Any] | None, where: str) -> Array:
    """Return for each half word of a target struct which one of the source's it is, or `KEEP`.

    Parameters
    ----------
    source, target : StructType
        Two layouts of one struct; fields are matched by name.
    dtype : numpy.dtype, optional
        Where one is that of `plain_struct`: what it was made from, which may have the padding of the other's vectors of three as numbers.
    where : str
        For messages.

    Raises
    ------
    BindingError
        For missing and unknown fields.
    DTypeError, ShapeError
        For a field of another scalar or shape.
    """
    match = _Match(source, target)
    match.structs(source, target, (match.source, match.target), dtype, where)
    return match.table


def field_places(info: StructType, name: str) -> tuple[Array, TypeInfo]:
    """Return which half words of a struct are one field, in NumPy's order without gaps, and the field's type."""
    item = next(item for item in info["members"] if item["name"] == name)
    kind = item["type"]
    place = layout.Place(np.zeros(info["size"], np.uint8)).at(item["offset"])
    halves = SCALARS[cast("str", scalar_name(kind))].itemsize // 2
    starts = _offsets(kind, place).reshape(-1, 1) // 2
    return (starts + np.arange(halves)).reshape(-1).astype(np.uint32), leaf(kind)


def move(device: Device, source: Buffer, source_bytes: int, target: Buffer, table: Array, count: int) -> None:
    """Queue moving ``count`` records, of ``source_bytes`` each, to where a table of `places` says."""
    if not count:
        return
    queue = device.queue
    halves = count * table.size
    params = uniform("array/relayout").pack(halves=halves, source_halves=source_bytes // 2, target_halves=table.size)
    where = queue.alloc(table.nbytes)
    queue.write(where, np.ascontiguousarray(table))
    groups = -(-halves // (2 * _INVOCATIONS))
    rows = -(-groups // SAFE_WORKGROUPS)
    pipeline = queue.pipeline(shaders.load("array/relayout"), label="relayout")
    args: list[Arg] = [(0, 0, source), (0, 1, where), (0, 2, target), (1, 0, params)]
    queue.dispatch(pipeline, args, (-(-groups // rows), rows, 1))
