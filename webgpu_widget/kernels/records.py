"""Structs that stay in the browser's GPU memory."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from webgpu_widget import errors
from webgpu_widget.arrays.array import GPUArray
from webgpu_widget.arrays.lazy import create
from webgpu_widget.arrays.lazy.shape import broadcast_to
from webgpu_widget.arrays.values import refuse_masked
from webgpu_widget.kernels import layout, relayout
from webgpu_widget.link.protocol import StructType, TypeInfo
from webgpu_widget.link.steps import Steps, drive, drive_async

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Buffer, Recording, Span
    from webgpu_widget.gpu import GPU

__all__ = ["FieldArray", "GPURecords", "make_records", "zero_records"]


class GPURecords:
    """Structs in the browser's GPU memory: an array of a structured dtype, or a kernel's output of a struct type.

    Made by `GPU.array` of structured values, by `GPU.zeros` and `GPU.empty` with a structured dtype, and by kernels. A kernel that declares a variable of
    structs takes it: fields are matched by name, and their bytes are moved to where WGSL's layout has them, on the GPU, once. What a kernel writes to a
    ``read_write`` variable is in it afterwards. ``numpy()`` gives the values in the caller's dtype.

    ``records["name"]`` is a field, as a `GPUArray` with the values of now (as `GPURecords` where it is a struct itself); a kernel that writes to it writes
    to the records as well. ``records["name"] = values`` and ``records["name"] += 1`` write to the field; ``records[2:5]`` is a copy of a part,
    which kernels read but do not write.

    Parameters
    ----------
    device
        Where it lives.
    buffer : Buffer
        Its memory.
    info : StructType
        How each struct lies there.
    shape : tuple of int
        As in NumPy.
    dtype : numpy.dtype, optional
        The caller's; WGSL's own layout where there is none.
    single : callable, optional
        For the output of a variable that is one struct: what its bytes become.
    """

    __array_ufunc__ = None

    def __init__(
        self,
        device: Device,
        buffer: Buffer,
        info: StructType,
        shape: tuple[int, ...],
        dtype: np.dtype[Any] | None,
        single: Callable[[Any], Any] | None = None,
    ) -> None:
        self._device = device
        self._memory = buffer
        self._info = info
        self._single = single
        self._version = 0
        self._whole: tuple[int, ...] | None = None
        self.shape = shape
        self.dtype = dtype

    # ------------------------------------------------------------ what it is

    @property
    def size(self) -> int:
        """How many structs there are."""
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in the browser."""
        return self._memory.size_bytes if self._single else self.size * relayout.stride_of(self._info)

    @property
    def device(self) -> GPU:
        """The GPU that it lives on."""
        return self._device.gpu

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of one struct")
        return self.shape[0]

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        state = "freed, " if self._memory.freed else ""
        return f"GPURecords({state}shape={self.shape}, dtype={self.dtype})"

    # ------------------------------------------------------------ memory, for kernels

    def _buffer(self) -> Buffer:
        return self._memory

    def _check_written(self, where: str) -> None:
        """Refuse what a kernel would write without a trace: the copy that a part is.

        Raises
        ------
        BindingError
            For a part of records, or a field of them that is a struct.
        """
        if self._whole is not None:
            raise errors.BindingError(
                f"{where} is written, but it is a copy of a part of GPURecords of shape {self._whole}, which would stay as they are: pass the whole "
                "of them, or part = x[1:3].copy(), and write that back afterwards by x[1:3] = part"
            )

    def _spans(self) -> list[Span]:
        return [(self._memory, 0, self.nbytes)] if self.nbytes else []

    def _plain_dtype(self) -> np.dtype[Any] | None:
        """Return the dtype where the memory is still NumPy's, which may hold a shader's padding as numbers."""
        return self.dtype if self._info["name"] == relayout.PLAIN else None

    def _table_to(self, info: StructType, where: str) -> Any:
        """Return the table of `relayout.places` from here to another layout; None where the bytes are the same."""
        if layout.same_memory(self._info, info):
            return None
        return relayout.places(self._info, info, self._plain_dtype(), where)

    def _in_layout(self, info: StructType, table: Any) -> Buffer:
        """Return new memory with the structs in another layout."""
        target = self._device.queue.alloc(self.size * relayout.stride_of(info))
        relayout.move(self._device, self._memory, relayout.stride_of(self._info), target, table, self.size)
        return target

    def _write_from(self, other: Buffer, info: StructType, where: str) -> None:
        """Queue taking structs from memory of another layout."""
        table = relayout.places(info, self._info, self.dtype if info["name"] == relayout.PLAIN else None, where)
        relayout.move(self._device, other, relayout.stride_of(info), self._memory, table, self.size)

    @property
    def _is_kept_in_place(self) -> bool:
        """Whether programs know the memory, so that it stays where and as it is."""
        return self._memory.pinned or self._device.queue.recording or self._single is not None

    def _adopt(self, info: StructType, table: Any) -> None:
        """Lie in a shader's layout from now on."""
        self._memory, self._info = self._in_layout(info, table), info

    # ------------------------------------------------------------ reading

    def _from_bytes(self, parts: Sequence[np.ndarray[Any, Any]]) -> Any:
        if self._single:
            return self._single(parts[0])
        data = parts[0] if parts else np.zeros(0, np.uint8)
        return layout.unpack_records(self._info, relayout.stride_of(self._info), data, self.shape, self.dtype)

    def numpy(self, timeout: float | None = 30.0) -> Any:
        """Return the values: a structured array, or for a single struct of a shader a dict by field name.

        Parameters
        ----------
        timeout : float or None
            Seconds of silence; None waits for ever.
        """
        return drive(self._numpy_steps(), timeout)

    async def numpy_async(self, timeout: float | None = 30.0) -> Any:
        """Coroutine twin of `numpy`."""
        return await drive_async(self._numpy_steps(), timeout)

    def _numpy_steps(self) -> Steps[Any]:
        spans = self._spans()
        return self._from_bytes((yield from self._device.queue.read_steps(spans)) if spans else [])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if copy is False:
            raise ValueError("GPURecords cannot become a NumPy array without a copy: they live in the browser.")
        if self._single:
            raise TypeError(f"{self!r} is one struct of a shader: numpy() gives it as a dict.")
        values: np.ndarray[Any, Any] = self.numpy()
        return values if dtype is None else values.astype(dtype, copy=False)

    # ------------------------------------------------------------ copies and parts

    def copy(self) -> GPURecords:
        """Return structs with the same values that do not change with these."""
        target = self._device.queue.alloc(self._memory.size_bytes)
        self._device.queue.copy(self._memory, 0, target, 0, self._memory.size_bytes)
        return GPURecords(self._device, target, self._info, self.shape, self.dtype, self._single)

    def __copy__(self) -> GPURecords:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> GPURecords:
        memo[id(self)] = made = self.copy()
        return made

    def __reduce__(self) -> Any:
        raise TypeError(
            "GPURecords live in their browser and cannot be pickled. Pickle x.numpy(), and make them anew by gpu.array(...)."
        )

    def _member(self, name: str) -> TypeInfo:
        for item in self._info["members"]:
            if item["name"] == name:
                return item["type"]
        names = ", ".join(item["name"] for item in self._info["members"])
        raise errors.BindingError(f"{self!r} has no field {name!r}; it has {names}")

    def _many(self, what: str) -> np.dtype[Any]:
        if self._single or self.dtype is None:
            raise errors.BindingError(
                f"{self!r} is one struct of a shader, of which {what} is not taken on the GPU: read it with numpy(), which gives a dict"
            )
        return self.dtype

    def __getitem__(self, key: Any) -> Any:
        """Return a field by its name, or a part by ints, slices and arrays of ints, as in NumPy; parts are copies."""
        dtype = self._many("a part")
        if not isinstance(key, str):
            return self._taken(key, dtype)
        if layout.scalar_name(self._member(key)) is None:
            return self._structs_of(key, dtype)
        return FieldArray.take(self, key)

    def _structs_of(self, name: str, dtype: np.dtype[Any]) -> GPURecords:
        """Return a copy of a field that is a struct, or an array of them."""
        inner, own = layout.split_dtype(dtype[name])
        whole = self._in_plain(dtype)
        item = next(item for item in whole._info["members"] if item["name"] == name)
        kind = item["type"]
        per = math.prod(own)
        while kind["type"] == "array":
            kind = kind["elem"]
        info = cast("StructType", kind)
        halves = per * relayout.stride_of(info) // 2
        table = np.arange(halves, dtype=np.uint32) + item["offset"] // 2
        target = self._device.queue.alloc(self.size * halves * 2)
        relayout.move(
            self._device, whole._memory, relayout.stride_of(whole._info), target, table.astype(np.uint32), self.size
        )
        made = GPURecords(self._device, target, info, (*self.shape, *own), inner)
        made._whole = self.shape
        return made

    def _in_plain(self, dtype: np.dtype[Any]) -> GPURecords:
        """Return the structs in NumPy's order of fields, each of whole words: these, or a copy."""
        if self._plain_dtype() is not None:
            return self
        info = relayout.plain_struct(dtype, "the struct")
        buffer = self._in_layout(info, relayout.places(self._info, info, dtype, "the struct"))
        return GPURecords(self._device, buffer, info, self.shape, dtype)

    def _words(self) -> GPUArray:
        """Return the memory as words, one more axis than the structs."""
        width = relayout.stride_of(self._info) // 4
        return GPUArray(self._device, self._memory, (*self.shape, width), np.dtype(np.uint32))

    def _taken(self, key: Any, dtype: np.dtype[Any]) -> GPURecords:
        whole = self._in_plain(dtype)
        words = whole._words()[_with_words(key)]
        made = GPURecords(self._device, self._memory, whole._info, words.shape[:-1], dtype)
        made._memory = self._device.queue.alloc(made.nbytes)
        if words.size:
            self._device.queue.copy(words._buffer(), 0, made._memory, 0, made.nbytes)
        made._whole = self.shape
        return made

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write to a field, or to a part; see `__getitem__`."""
        dtype = self._many("a part")
        if isinstance(key, str):
            self._set_field(key, value, dtype)
            return
        refuse_masked(value, "the records assigned")
        given = value if isinstance(value, GPURecords) else make_records(self._device, np.asarray(value, dtype))
        given._device.check_same(self._device, "the records assigned")
        plain = (self.copy() if self._plain_dtype() is not None else self)._in_plain(dtype)
        words, where = plain._words(), "the records assigned"
        words[_with_words(key)] = given._as(plain._info, dtype, where)._words()
        self._write_from(words._buffer(), plain._info, where)
        self._version += 1

    def _as(self, info: StructType, dtype: np.dtype[Any], where: str) -> GPURecords:
        """Return the structs in the layout of NumPy's of another dtype: these, or a copy."""
        other = self._in_plain(self._many("a part"))
        table = other._table_to(info, where)
        if table is None:
            return other
        return GPURecords(self._device, other._in_layout(info, table), info, self.shape, dtype)

    def _set_field(self, name: str, value: Any, dtype: np.dtype[Any]) -> None:
        kind = self._member(name)
        if layout.scalar_name(kind) is None:
            raise errors.BindingError(
                f"the field {name!r} of {self!r} is a struct: assign its own fields by a kernel, or whole records as in x[...] = records"
            )
        base, own = self._field(name, dtype)
        if base == np.complex64:
            raise errors.BindingError(
                f"the field {name!r} of {self!r} is complex64: write it by a kernel, or assign whole records"
            )
        values = create.asarray(self._device, value, base)
        table, _ = relayout.field_places(self._info, name)
        shape = (*self.shape, *own)
        if values.shape != shape:
            values = broadcast_to(values, shape)
        scatter = np.full(relayout.stride_of(self._info) // 2, relayout.KEEP, np.uint32)
        scatter[table] = np.arange(table.size, dtype=np.uint32)
        relayout.move(self._device, values._buffer(), table.size * 2, self._memory, scatter, self.size)
        self._version += 1

    def _field(self, name: str, dtype: np.dtype[Any]) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """Return a field's scalar and shape; without the padding that a dtype of a shader's own has in arrays of vectors of three."""
        base, own = layout.split_dtype(dtype[name])
        return base, own if self._plain_dtype() is not None or own == () else self._shape(name, own)

    def _shape(self, name: str, own: tuple[int, ...]) -> tuple[int, ...]:
        wanted = layout.value_shape(self._member(name))
        return own if math.prod(own) == math.prod(wanted) else wanted

    def free(self) -> None:
        """Give the memory back."""
        self._memory.free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()


def _with_words(key: Any) -> tuple[Any, ...]:
    """Return a key of structs as one of their words."""
    parts = key if isinstance(key, tuple) else (key,)
    return (*parts, slice(None)) if any(part is Ellipsis for part in parts) else parts


class FieldArray(GPUArray):
    """A field of records: an array with the values of when it was taken, which kernels write through to the records."""

    __slots__ = ("_field_name", "_program", "_records", "_seen")
    _records: weakref.ref[GPURecords]
    _field_name: str
    _seen: int
    _program: Recording | None

    @classmethod
    def take(cls, records: GPURecords, name: str) -> GPUArray:
        """Return a field's values.

        Parameters
        ----------
        records : GPURecords
            With a dtype.
        name : str
            The field's; it is made of numbers.
        """
        dtype = records._many("a field")
        base, own = records._field(name, dtype)
        if base == np.complex64:
            raise errors.DTypeError(
                f"the field {name!r} of {records!r} is complex64, which is not taken out of structs on the GPU: read it with numpy()[{name!r}]"
            )
        table, _ = relayout.field_places(records._info, name)
        device = records._device
        target = device.queue.alloc(records.size * table.size * 2)
        relayout.move(device, records._memory, relayout.stride_of(records._info), target, table, records.size)
        made = cls(device, target, (*records.shape, *own), base)
        made._records, made._field_name, made._seen = weakref.ref(records), name, records._version
        made._program = device.queue.recorder
        return made

    def check_written(self, where: str) -> tuple[int, str]:
        """Raise `BindingError` where a kernel that writes to it could not write to the records; returns which and the field."""
        records = self._records()
        if records is None:
            return id(self), self._field_name
        if records._version != self._seen:
            raise errors.BindingError(
                f"{where} is the field {self._field_name!r} of records that were written since it was taken. Take it anew, as in k(x=records[{self._field_name!r}]), "
                "or pass a copy() of it, which is written alone."
            )
        if self._device.queue.recorder is not self._program:
            raise errors.BindingError(
                f"{where} is the field {self._field_name!r} of records from before gpu.record(), whose replays would not see what is written between them. "
                "Take the field inside the with block; or pass a copy() of it, which is written alone."
            )
        return id(records), self._field_name

    def write_back(self) -> None:
        """Queue writing its values to the records."""
        records = self._records()
        if records is not None:
            records[self._field_name] = self
            self._seen = records._version


def make_records(device: Device, value: Any) -> GPURecords:
    """Upload structured values.

    Parameters
    ----------
    device
        Where to.
    value : numpy.ndarray or numpy.void
        Structured.

    Raises
    ------
    DTypeError
        For fields that the GPU has no type for.
    LimitError
        When they do not fit one buffer.
    """
    array = np.asarray(value)
    info = relayout.plain_struct(array.dtype, "gpu.array")
    data = np.zeros(array.size * info["size"], np.uint8)
    if array.size:
        _check_bytes(device, data.size)
        layout.fill(info, layout.Place(data).along(array.size, info["size"]), array.reshape(-1), "gpu.array")
    queue = device.queue
    buffer = queue.alloc(data.size)
    queue.write(buffer, data)
    if queue.recording and data.size:
        # Each replay begins with the values that were passed.
        uploaded, buffer = buffer, queue.alloc(data.size)
        queue.copy(uploaded, 0, buffer, 0, uploaded.size_bytes)
    return GPURecords(device, buffer, info, array.shape, array.dtype)


def zero_records(device: Device, shape: tuple[int, ...], dtype: np.dtype[Any]) -> GPURecords:
    """Return structs of zeros."""
    info = relayout.plain_struct(dtype, "the dtype")
    size = math.prod(shape) * info["size"]
    if size:
        _check_bytes(device, size)
    buffer = device.queue.alloc(size)
    if device.queue.recording:
        device.queue.clear(buffer)
    return GPURecords(device, buffer, info, shape, dtype)


def _check_bytes(device: Device, size_bytes: int) -> None:
    largest = device.info.limits["maxBufferSize"] if size_bytes > 1 << 27 else size_bytes
    if size_bytes > largest:
        raise errors.BufferSizeError("these structs", size_bytes, largest)
