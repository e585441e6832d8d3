"""Matching a call's arguments to a shader's variables."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from webgpu_widget import errors, shaders
from webgpu_widget.arrays.array import GPUArray, stored_dtype
from webgpu_widget.arrays.lazy.dtypes import check_dtype
from webgpu_widget.arrays.lazy.origin import Target, check_apart, targets, write_through
from webgpu_widget.arrays.values import leaf, whole, wholes
from webgpu_widget.device.handles import Arg, Buffer
from webgpu_widget.device.limits import SAFE_BINDING_BYTES, SAFE_WORKGROUPS
from webgpu_widget.kernels import layout, relayout
from webgpu_widget.kernels.entry import Entry, Variable
from webgpu_widget.kernels.records import FieldArray, GPURecords
from webgpu_widget.kernels.textures import GPUTexture, bind_opaque
from webgpu_widget.link.protocol import BindingInfo, StructType, TypeInfo
from webgpu_widget.shaders.uniforms import uniform

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device

Output = GPUArray | GPURecords | GPUTexture


@dataclass(frozen=True)
class Out:
    """An output to be made by a call; `out` makes it.

    Attributes
    ----------
    shape : tuple of int or None
        Its shape; None for a single struct.
    dtype : numpy.dtype or None
        Its dtype; None is as the shader declares.
    tail : int or None
        Length of the runtime-sized array at a struct's end.
    """

    shape: tuple[int, ...] | None
    dtype: np.dtype[Any] | None
    tail: int | None


def out(shape: Any = None, dtype: Any = None, *, tail: int | None = None) -> Out:
    """Ask for an output, zero-filled before the kernel runs.

    Parameters
    ----------
    shape : int or tuple of int, optional
        Its shape. May be left out for a single struct.
    dtype : dtype, default float32
        As the shader declares; Python's ``float``, ``int``, ``bool`` and ``complex`` are float32, int32, bool and complex64, as for arrays. A structured dtype (``kernel.dtype("x")``, or one with the same field names) for structs.
    tail : int, optional
        For a struct that ends in a runtime-sized array: that array's length.

    Returns
    -------
    Out
        To be passed as a kernel's argument.

    Examples
    --------
    >>> import webgpu_widget as wg
    >>> wg.out((2, 3)).shape
    (2, 3)
    """
    if shape is not None:
        counts = wholes(shape)
        if counts is None or any(n < 0 for n in counts):
            raise errors.ShapeError(f"wg.out: the shape is {shape!r}; it is one int or a tuple of ints of at least 0")
        shape = counts
    if tail is not None:
        length = whole(tail)
        if length is None or length < 1:
            raise errors.ShapeError(
                f"wg.out: tail is {tail!r}; a runtime-sized array has a whole number of elements, at least 1"
            )
        tail = length
    if dtype is None:
        return Out(shape, None, tail)
    if any(dtype is kind for kind in (bool, int, float, complex)):
        dtype = check_dtype(dtype)
    try:
        dtype, own = layout.split_dtype(np.dtype(dtype))
    except TypeError:
        raise errors.DTypeError(
            f"wg.out: {dtype!r} is no dtype; pass np.float32, np.int32, np.uint32 or another"
        ) from None
    if dtype.names is None and not dtype.isnative:
        dtype = dtype.newbyteorder("=")
    return Out((*(shape or ()), *own) if own else shape, dtype, tail)


@dataclass
class Bound:
    """What a call's arguments became."""

    args: list[Arg] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    """An `Output` each."""
    before: list[Any] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)


def match(entry: Entry, given: Mapping[str, Any], name: str) -> None:
    """Raise when names are missing or unknown; names that another entry point uses are let pass."""
    if entry.wanted <= given.keys() <= entry.declared:
        return
    bindings, declared = entry.used, entry.declared
    wanted = [info["name"] for info in bindings]
    parts = []
    for key in given:
        if key not in declared:
            near = difflib.get_close_matches(key, wanted or sorted(declared), n=1)
            parts.append(f"there is no variable {key!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    parts += [f"{key!r} is missing" for key in wanted if key not in given]
    if parts:
        listed = (
            ", ".join(f"{info['name']}: {info['kind']} {layout.describe(info['type'])}" for info in bindings)
            or "no variables"
        )
        raise errors.BindingError(f"kernel {name!r}: {'; '.join(parts)}. The entry point uses {listed}")


def bind(device: Device, variables: list[Variable], given: Mapping[str, Any], name: str) -> Bound:
    """Make buffers, textures and uniforms of a call's arguments, for variables of which those that are written come first."""
    bound = Bound()
    writable: dict[int, str] = {}
    seen: dict[int, str] = {}
    views = _views(variables, given, name)
    for variable in variables:
        info, key = variable.info, variable.name
        value = given[key]
        where = f"{key!r} of kernel {name!r}"
        if variable.kind == "storage":
            made: Any = _storage(device, variable, value, where, bound)
        elif variable.kind in {"uniform", "immediate"}:
            made = variable.number(value) or bytes(_pad16(layout.pack(variable.type, _plain(value, where), where)))
        else:
            made = bind_opaque(device, info, value, where, bound.outputs)
        if isinstance(made, Buffer):
            # Structs may be bound in several layouts, each in memory of its own.
            memory = -id(value) if isinstance(value, GPURecords) else made.handle
            first = seen.setdefault(memory, key)
            if variable.written:
                writable[memory] = key
            if first != key and memory in writable:
                raise errors.BindingError(
                    f"kernel {name!r}: {first!r} and {key!r} are the same array and one of them is written; WebGPU forbids that: pass a copy, or one read_write variable"
                )
        bound.args.append((info["group"], info["binding"], made))
    if views:
        bound.after += [partial(write_through, parts) for parts in views]
        fields = [target.array for parts in views for target in parts if isinstance(target.array, FieldArray)]
        bound.after += [field.write_back for field in fields]
    return bound


def _views(variables: list[Variable], given: Mapping[str, Any], name: str) -> list[list[Target]]:
    """Return what else is written with each argument that is written and is a view."""
    arrays: list[tuple[str, GPUArray]] = []
    taken = False
    for variable in variables:
        if not variable.written:
            break
        value = given[variable.name]
        if isinstance(value, GPUArray):
            arrays.append((variable.name, value))
            taken = taken or value._origin is not None or type(value) is FieldArray
    if not taken:
        return []
    written = [(key, targets(value, f"{key!r} of kernel {name!r}")) for key, value in arrays]
    fields = [(key, target.array) for key, parts in written for target in parts if isinstance(target.array, FieldArray)]
    whole = {id(given[variable.name]): variable.name for variable in variables if variable.written}
    places: dict[tuple[int, str], str] = {}
    for key, field_array in fields:
        place = field_array.check_written(f"{key!r} of kernel {name!r}")
        other = whole.get(place[0]) or places.setdefault(place, key)
        if other != key:
            raise errors.BindingError(
                f"kernel {name!r}: {other!r} and {key!r} are written and lie in the same records: pass a copy() of one of them"
            )
    views = [parts for _, parts in written if len(parts) > 1 or isinstance(parts[0].array, FieldArray)]
    if views:
        check_apart(written, name)
    return views


def _pad16(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Fill up to 16 bytes: a uniform of a vec3 is bound as a vec4."""
    return np.concatenate([data, np.zeros(-data.size % 16, np.uint8)]) if data.size % 16 else data


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, (GPUArray, GPURecords, Out)):
        raise errors.BindingError(
            f"{where} is a uniform: pass a number, an array or a dict, not {type(value).__name__}"
        )
    return value


def _storage(device: Device, variable: Variable, value: Any, where: str, bound: Bound) -> Buffer:
    if isinstance(value, GPUArray):
        return _resident(device, variable, value, where, bound)
    if isinstance(value, Out):
        if not variable.written:
            raise errors.BindingError(
                f"{where} is declared var<storage, read>, so the shader cannot write it; pass an array, or declare it read_write"
            )
        return _output(device, variable, value, where, bound)
    if isinstance(value, GPURecords):
        return _records(device, variable, value, where, bound)
    kind = variable.type
    if isinstance(value, np.ndarray) and value.size == 0:
        raise errors.ShapeError(
            f"{where} has shape {value.shape}: WebGPU cannot bind an empty array; skip the call when there is nothing to do"
        )
    if kind["type"] == "array" and kind["count"] == 0:
        data, _ = layout.pack_runtime(kind, value, where)
    elif kind["type"] == "struct" and layout.is_runtime(kind):
        data = _pack_tail(kind, value, where)
    else:
        data = layout.pack(kind, value, where)
    if data.size == 0:
        raise errors.ShapeError(
            f"{where} is empty: WebGPU cannot bind an empty array; skip the call when there is nothing to do"
        )
    check_bytes(device, data.size, where)
    queue = device.queue
    buffer = queue.alloc(data.size)
    queue.write(buffer, data)
    if not variable.written or not queue.recording:
        return buffer
    # Each replay begins with the values that were passed.
    scratch = queue.alloc(data.size)
    bound.before.append(lambda: queue.copy(buffer, 0, scratch, 0, buffer.size_bytes))
    return scratch


def _records(device: Device, variable: Variable, value: GPURecords, where: str, bound: Bound) -> Buffer:
    """Bind structs that are in the browser: as they are, or moved to the layout that the shader declares."""
    value._device.check_same(device, where)
    kind = variable.type
    elem = leaf(kind)
    if elem["type"] != "struct":
        raise errors.BindingError(
            f"{where} is declared {layout.describe(kind)}, but the structs passed are {layout.outline(value._info)}: pass a field of them, as in x['name']"
        )
    if value.size == 0:
        raise errors.ShapeError(
            f"{where} has shape {value.shape}: WebGPU cannot bind an empty array; skip the call when there is nothing to do"
        )
    _check_counts(kind, value.shape, where)
    table = _table(value, kind, elem, where)
    size = value.size * relayout.stride_of(elem) if table is not None else value.nbytes
    check_bytes(device, size, where)
    if variable.written:
        value._check_written(where)
        value._version += 1
    if table is None:
        return value._buffer()
    if not value._is_kept_in_place:
        value._adopt(elem, table)
        return value._buffer()
    # Programs know the memory as it is: the kernel gets a copy in its own layout, and what it writes is brought back.
    scratch = device.queue.alloc(size)
    stride = relayout.stride_of(value._info)
    bound.before.append(lambda: relayout.move(device, value._buffer(), stride, scratch, table, value.size))
    if variable.written:
        bound.after.append(lambda: value._write_from(scratch, elem, where))
    return scratch


def _table(value: GPURecords, kind: TypeInfo, elem: StructType, where: str) -> Any:
    """Return how structs are moved to the layout that the shader declares; None where they lie so."""
    said = f"the variable is declared {layout.outline(kind)}, but the structs passed are {layout.outline(value._info)} in the shape {value.shape}"
    if (value._single or layout.is_runtime(elem)) and not layout.same_memory(value._info, elem):
        raise errors.BindingError(
            f"{where}: {said}: a struct that is a shader's whole variable is bound to the same struct alone; read it with numpy() and pass the dict"
        )
    try:
        return value._table_to(elem, where)
    except errors.WebGPUWidgetError as error:
        raise errors.BindingError(f"{error}: {said}. Fields must have the same names, scalars and shapes") from None


def _check_counts(declared: TypeInfo, shape: tuple[int, ...], where: str) -> None:
    """Raise where structs are more or fewer than a variable holds: the last axes are its own, or all is in C order on one."""
    counts: list[int] = []
    kind = declared
    while kind["type"] == "array":
        counts.append(kind["count"])
        kind = kind["elem"]
    size, own = math.prod(shape), tuple(count for count in counts if count)
    inner = math.prod(own)
    fits = size % inner == 0 if 0 in counts else size == inner
    if not fits or (len(shape) > 1 and shape[len(shape) - len(own) :] != own):
        wanted = ", ".join([*["n" for count in counts if not count], *map(str, own)])
        raise errors.ShapeError(
            f"{where} has shape {shape}, but the shader's {layout.describe(declared)} needs ({wanted}{',' * (len(counts) == 1)})"
        )


def _pack_tail(info: Any, value: Any, where: str) -> np.ndarray[Any, Any]:
    """Pack a struct whose last member is runtime-sized: the dict has an array for it."""
    last = info["members"][-1]
    if not isinstance(value, Mapping) or last["name"] not in value:
        raise errors.BindingError(
            f"{where} is the struct {info['name']}: pass a dict with its fields; {last['name']!r} is an array of any length"
        )
    tail, _ = layout.pack_runtime(last["type"], value[last["name"]], f"{where}.{last['name']}")
    head = np.zeros(max(info["size"], last["offset"] + tail.size), np.uint8)
    layout.fill(info, layout.Place(head), value, where)
    head[last["offset"] : last["offset"] + tail.size] = tail
    return head


def check_bytes(device: Device, size_bytes: int, where: str) -> None:
    """Raise when a buffer is over the adapter's limits."""
    if size_bytes <= SAFE_BINDING_BYTES:
        return
    limits = device.info.limits
    largest, bound = limits["maxBufferSize"], limits["maxStorageBufferBindingSize"]
    if size_bytes > largest:
        raise errors.BufferSizeError(where, size_bytes, largest)
    if size_bytes > bound:
        raise errors.LimitError(
            f"{where} needs {size_bytes} bytes in one binding, but this adapter's maxStorageBufferBindingSize is {bound}: work on parts of it"
        )


def _output(device: Device, variable: Variable, value: Out, where: str, bound: Bound) -> Buffer:
    info, kind, name = variable.info, variable.type, variable.name
    queue = device.queue
    if kind["type"] == "struct":
        return _output_struct(device, info, value, where, bound)
    elem = kind["elem"] if kind["type"] == "array" else kind
    if value.shape is None and kind["type"] == "array" and kind["count"] == 0:
        raise errors.ShapeError(
            f"{where}: wg.out needs a shape, since the shader's {layout.describe(kind)} has none of its own"
        )
    shape = value.shape
    if shape is None:
        shape = layout.value_shape(kind)
        if value.dtype == np.complex64 and layout.holds_pairs(kind):
            shape = shape[:-1]
    if 0 in shape:
        raise errors.ShapeError(
            f"{where} has shape {shape}: WebGPU cannot bind an empty array; skip the call when there is nothing to do"
        )
    if variable.scalar is None:
        struct = cast("StructType", leaf(kind))
        _check_counts(kind, shape, where)
        dtype = value.dtype
        if dtype is not None:
            if dtype.names is None:
                raise errors.DTypeError(
                    f"{where} holds structs {layout.describe(elem)}: pass wg.out(shape, dtype=kernel.dtype({name!r})), not {dtype.name}"
                )
            layout.check_record_dtype(struct, dtype, where)
        size = math.prod(shape) * relayout.stride_of(struct)
        check_bytes(device, size, where)
        buffer = queue.alloc(size)

        bound.outputs[name] = GPURecords(device, buffer, struct, shape, dtype or layout.element_dtype(struct))
    else:
        buffer = _output_numbers(device, variable, variable.scalar, value, shape, where, bound)
    if queue.recording:
        bound.before.append(lambda: queue.clear(buffer))
    return buffer


def _as_scalars(shape: tuple[int, ...], dtype: np.dtype[Any], kind: TypeInfo) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype of an array's scalars in the browser: a complex64 is two float32 where the shader has vec2f."""
    if dtype == np.complex64 and layout.holds_pairs(kind):
        return (*shape, 2), np.dtype(np.float32)
    return shape, stored_dtype(dtype)


def _padded(variable: Variable, scalars: tuple[int, ...], shape: tuple[int, ...], where: str) -> tuple[int, int]:
    """Return how many elements an array of a shape has, and the bytes that the shader's layout takes for them."""
    if variable.many:
        count = layout.elements(scalars, variable.elem, where)
        return count, count * variable.stride
    kind = variable.type
    if not layout.has_shape(scalars, kind):
        raise errors.ShapeError(
            f"{where} has shape {shape}, but the shader's {layout.describe(kind)} needs {layout.value_shape(kind)}"
        )
    return 1, kind["size"]


def _output_numbers(
    device: Device,
    variable: Variable,
    scalar: np.dtype[Any],
    value: Out,
    shape: tuple[int, ...],
    where: str,
    bound: Bound,
) -> Buffer:
    kind = variable.type
    dtype = value.dtype if value.dtype is not None else np.dtype(np.float32) if value.shape is not None else scalar
    scalars, stored = _as_scalars(shape, dtype, kind)
    if stored != scalar:
        if value.dtype is None:
            raise errors.DTypeError(
                f"{where} is {layout.describe(kind)}: wg.out makes float32 unless told; pass wg.out({shape}, np.{scalar.name})"
            )
        raise layout.dtype_error(where, dtype, kind)
    count, padded_size = _padded(variable, scalars, shape, where)
    check_bytes(device, padded_size, where)
    buffer = device.queue.alloc(padded_size)
    if variable.tight:
        bound.outputs[variable.name] = GPUArray(device, buffer, shape, dtype)
    else:
        target = device.queue.alloc(math.prod(shape) * 4)
        bound.after.append(lambda: repack(device, kind, buffer, target, count, where, padded_first=True))
        bound.outputs[variable.name] = GPUArray(device, target, shape, dtype)
    return buffer


def _output_struct(device: Device, info: BindingInfo, value: Out, where: str, bound: Bound) -> Buffer:
    kind = cast("Any", info["type"])
    size = kind["size"]
    if layout.is_runtime(kind):
        last = kind["members"][-1]
        if value.tail is None:
            raise errors.ShapeError(
                f"{where}: its last member {last['name']!r} is runtime-sized: pass wg.out(tail=n) with the number of its elements"
            )
        size = max(size, last["offset"] + value.tail * last["type"]["stride"])
    elif value.tail is not None:
        raise errors.BindingError(
            f"{where}: tail was given, but the struct {kind['name']} does not end in a runtime-sized array"
        )
    if value.dtype is not None and value.dtype.names is None:
        raise errors.DTypeError(
            f"{where} is the struct {kind['name']}: pass wg.out(dtype=kernel.dtype({info['name']!r})), not {value.dtype.name}"
        )
    if value.dtype is not None and not layout.is_runtime(kind):
        layout.check_record_dtype(kind, value.dtype, where)
    check_bytes(device, size, where)
    tail = value.tail

    def unpack(data: np.ndarray[Any, Any]) -> Any:
        if tail is None:
            return layout.unpack(kind, data)
        last = kind["members"][-1]
        return layout.unpack(kind, data[: last["offset"] + tail * last["type"]["stride"]])

    buffer = device.queue.alloc(size)
    bound.outputs[info["name"]] = GPURecords(device, buffer, kind, (), value.dtype, unpack)
    if device.queue.recording:
        bound.before.append(lambda: device.queue.clear(buffer))
    return buffer


def _resident(device: Device, variable: Variable, value: GPUArray, where: str, bound: Bound) -> Buffer:
    """Bind a GPUArray: as it is, or repacked where WGSL's element is padded."""
    if value._device is not device:
        value._device.check_same(device, where)
    kind, scalar = variable.type, variable.scalar
    if scalar is None:
        raise errors.BindingError(
            f"{where} is {layout.describe(kind)}: pass a structured array, gpu.array(...) of one, or a dict, not a GPUArray of {value.dtype.name}"
        )
    shape, dtype = value.shape, value.dtype
    scalars, stored = _as_scalars(shape, dtype, kind)
    size = math.prod(scalars)
    if size == 0:
        raise errors.ShapeError(
            f"{where} has shape {shape}: WebGPU cannot bind an empty array; skip the call when there is nothing to do"
        )
    if stored != scalar:
        raise layout.dtype_error(where, dtype, kind)
    check_bytes(device, size * scalar.itemsize, where)
    buffer = value._buffer_for_writing() if variable.written else value._buffer()
    count, padded_size = _padded(variable, scalars, shape, where)
    check_bytes(device, padded_size, where)
    if variable.tight:
        return buffer
    padded = device.queue.alloc(padded_size)
    bound.before.append(lambda: repack(device, kind, buffer, padded, count, where, padded_first=False))
    if variable.written:
        bound.after.append(lambda: repack(device, kind, padded, buffer, count, where, padded_first=True))
    return padded


def grid(count: int, per_workgroup: int) -> tuple[int, int, int]:
    """Return workgroup counts for ``count`` invocations, folded into x and y under every adapter's limit."""
    groups = max(1, math.ceil(count / per_workgroup))
    if groups <= SAFE_WORKGROUPS:
        return groups, 1, 1
    rows = math.ceil(groups / SAFE_WORKGROUPS)
    return math.ceil(groups / rows), rows, 1


def repack(
    device: Device, kind: TypeInfo, source: Buffer, target: Buffer, count: int, where: str, *, padded_first: bool
) -> None:
    """Move scalars between NumPy's tight order and WGSL's padded, column-major one, on the GPU."""
    elem = kind["elem"] if kind["type"] == "array" and kind["count"] == 0 else kind
    stride = kind["stride"] if kind["type"] == "array" and kind["count"] == 0 else elem["size"]
    repeat = 1
    while elem["type"] == "array":
        repeat *= elem["count"]
        stride, elem = elem["stride"], elem["elem"]
    if layout.SCALARS[cast("str", layout.scalar_name(elem))].itemsize != 4:
        raise errors.BindingError(
            f"{where}: a padded {layout.describe(elem)} cannot be bound from a GPUArray; pass a NumPy array"
        )
    rows, columns = (elem["rows"], elem["columns"]) if elem["type"] == "matrix" else (1, layout.value_shape(elem)[0])
    column_words = elem["size"] // 4 // columns if elem["type"] == "matrix" else 1
    tight = (rows * columns, columns, 1)
    padded = (stride // 4, 1 if elem["type"] == "matrix" else 0, column_words)
    first, second = (padded, tight) if padded_first else (tight, padded)
    scalars = count * repeat * rows * columns
    strides = {
        f"{name}_{axis}": value
        for name, values in (("source", first), ("target", second))
        for axis, value in zip(("stride", "row", "column"), values, strict=True)
    }
    params = uniform("array/repack").pack(strides, scalars=scalars, columns=columns, per_element=rows * columns)
    queue = device.queue
    pipeline = queue.pipeline(shaders.load("array/repack"), label="repack")
    queue.dispatch(pipeline, [(0, 0, source), (0, 1, target), (1, 0, params)], grid(scalars, 256))
