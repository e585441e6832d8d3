"""NumPy's functions that make, join and turn arrays, on the GPU, with NumPy's arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from webgpu_widget.arrays.lazy import create
from webgpu_widget.arrays.lazy import shape as shapes
from webgpu_widget.arrays.lazy.build import coerce
from webgpu_widget.arrays.lazy.indexing import take as _take
from webgpu_widget.arrays.lazy.search import take_along_axis
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.arrays.ufuncs import WAY_OUT, store
from webgpu_widget.errors import UnsupportedError
from webgpu_widget.xp import _dtypes, _extras, _joining, _manipulation, _matrices


def _array(x: Any, like: Any = None) -> Any:
    device = None if like is None else like._device
    return coerce("a function of NumPy", (np.asarray(x) if isinstance(x, (int, float, np.generic)) else x,), device)[1][
        0
    ]


def _all_on_gpu(arrays: Sequence[Any]) -> list[Any]:
    values = tuple(np.asarray(v) if isinstance(v, (int, float, np.generic)) else v for v in arrays)
    return coerce("a function of NumPy", values)[1]


def concatenate(
    arrays: Sequence[Any], axis: int | None = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Join arrays along an axis."""
    result = shapes.concat(list(arrays), axis)
    return _finished(result, out, dtype, casting, "np.concatenate")


def stack(
    arrays: Sequence[Any], axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Join arrays along a new axis."""
    return _finished(shapes.stack(_all_on_gpu(arrays), axis), out, dtype, casting, "np.stack")


def _finished(result: Any, out: Any, dtype: Any, casting: str, name: str) -> Any:
    if dtype is not None:
        if not np.can_cast(result.dtype, dtype, casting):  # type: ignore[arg-type] # any string; NumPy checks it
            raise TypeError(
                f"{name}: {result.dtype.name} does not become {np.dtype(dtype).name} by {casting!r} casting."
            )
        result = result.astype(dtype)
    return result if out is None else store(out, result, True, casting, name)


def _at_least(ndim: int) -> Callable[..., Any]:
    def raise_dimension(*arys: Any) -> Any:
        made = tuple(_grown(_array(a), ndim) for a in arys)
        return made[0] if len(made) == 1 else made

    return raise_dimension


def _grown(x: Any, ndim: int) -> Any:
    if x.ndim >= ndim:
        return x
    if ndim == 3 and x.ndim in (1, 2):
        return x[None, :, None] if x.ndim == 1 else x[:, :, None]
    return shapes.reshape(x, (1,) * (ndim - x.ndim) + x.shape)


def _stacked(ndim: int, axis: int) -> Callable[..., Any]:
    def join(tup: Sequence[Any], *, dtype: Any = None, casting: str = "same_kind") -> Any:
        arrays = [_grown(a, ndim) for a in _all_on_gpu(tup)]
        at = 0 if axis == 1 and ndim == 1 and arrays[0].ndim == 1 else axis
        return concatenate(arrays, at, dtype=dtype, casting=casting)

    return join


def column_stack(tup: Sequence[Any]) -> Any:
    """Join columns: 1-D arrays are columns."""
    return shapes.concat([a if a.ndim > 1 else shapes.reshape(a, (a.size, 1)) for a in _all_on_gpu(tup)], 1)


def reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: bool | None = None) -> Any:
    """Return the elements in another shape."""
    _c_order("np.reshape", order)
    if copy is False:
        raise UnsupportedError(f"np.reshape: whether a reshape copies is not known beforehand on the GPU. {WAY_OUT}.")
    made = shapes.reshape(a, newshape if shape is None else shape)
    return made.copy() if copy else made


def _c_order(name: str, order: Any) -> None:
    if order not in ("C", "K", "A", None):
        raise UnsupportedError(
            f"{name}: arrays on the GPU are in C order, not {order!r}. Transpose first, or pass x.numpy()."
        )


def ravel(a: Any, order: str = "C") -> Any:
    """Return the elements along one axis."""
    _c_order("np.ravel", order)
    return a.ravel()


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""
    order = list(range(a.ndim))
    i, k = shapes.check_axis(axis1, a.ndim), shapes.check_axis(axis2, a.ndim)
    order[i], order[k] = k, i
    return shapes.permute(a, order)


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Move axes to other places."""
    as_tuple = [tuple(v) if isinstance(v, (list, tuple)) else v for v in (source, destination)]
    return _manipulation.moveaxis(a, *as_tuple)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Turn by quarters in the plane of two axes."""
    first, second = (shapes.check_axis(a, m.ndim) for a in axes)
    if first == second:
        raise ValueError(f"np.rot90 turns in the plane of two axes, not {axes}.")
    k %= 4
    if k == 2:
        return shapes.flip(m, (first, second))
    if k == 0:
        return m.copy()
    return (
        swapaxes(shapes.flip(m, second), first, second) if k == 1 else shapes.flip(swapaxes(m, first, second), second)
    )


def tile(A: Any, reps: Any) -> Any:  # noqa: N803 - NumPy's name
    """Repeat the array as a whole."""
    return shapes.tile(A, (int(reps),) if isinstance(reps, (int, np.integer)) else tuple(reps))


def _split(*, even: bool) -> Callable[..., Any]:
    def cut(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
        at = shapes.check_axis(axis, ary.ndim)
        side = ary.shape[at]
        if isinstance(indices_or_sections, (int, np.integer)):
            parts = int(indices_or_sections)
            if parts < 1 or (even and side % parts):
                raise ValueError(
                    f"np.split: {side} elements do not make {parts} parts of one length. Use np.array_split."
                )
            sizes = [side // parts + (i < side % parts) for i in range(parts)]
            ends = np.cumsum(sizes)[:-1].tolist()
        else:
            ends = [int(i) for i in indices_or_sections]
        before = (slice(None),) * at
        return [ary[(*before, slice(a, b))] for a, b in zip([0, *ends], [*ends, None], strict=True)]

    return cut


def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    """Return slices along an axis; of the flattened array without one. Indices of the host are checked."""
    if mode != "raise":
        raise UnsupportedError(f"np.take: mode {mode!r} is not there for arrays on the GPU. {WAY_OUT}.")
    x = a.ravel() if axis is None else a
    at = 0 if axis is None else shapes.check_axis(axis, x.ndim)
    if not is_array(indices):
        places = np.asarray(indices)
        if places.dtype.kind not in "biu" and places.size:
            raise TypeError(f"np.take: indices are integers, not {places.dtype.name}.")
        result = x[(slice(None),) * at + (places,)]
    else:
        result = _take(x, indices, at)
    return _finished(result, out, None, "same_kind", "np.take")


def _like(value: int | None) -> Callable[..., Any]:
    def make(
        prototype: Any,
        dtype: Any = None,
        order: str = "K",
        subok: bool = True,  # noqa: ARG001 - there are no subclasses
        shape: Any = None,
        *,
        device: Any = None,
        **named: Any,  # noqa: ARG001 - there are no subclasses
    ) -> Any:
        _c_order("a function of NumPy", order)
        sides, kind = prototype.shape if shape is None else shape, prototype.dtype if dtype is None else dtype
        return create.full(_device(prototype, device), sides, value or 0, kind)

    def by_name(
        a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
    ) -> Any:
        return make(a, dtype, order, subok, shape, device=device)

    return make if value is None else by_name


def _device(x: Any, device: Any) -> Any:
    return x._device if device is None else device._device


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,  # noqa: ARG001 - there are no subclasses
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """Return one value everywhere, in an array's shape."""
    _c_order("np.full_like", order)
    sides = a.shape if shape is None else shape
    return create.full(_device(a, device), sides, fill_value, a.dtype if dtype is None else dtype)


def asarray(a: Any, dtype: Any = None, *, like: Any, copy: bool | None = None) -> Any:
    """Return data on the GPU of `like`."""
    return create.asarray(like._device, a, dtype, copy=copy)


def array(object: Any, dtype: Any = None, *, copy: bool | None = True, like: Any) -> Any:  # noqa: A002 - NumPy's name
    """Return a copy of data on the GPU of `like`."""
    return create.asarray(like._device, object, dtype, copy=copy)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:  # noqa: ARG001 - always copies
    """Return coordinate matrices."""
    if sparse:
        raise UnsupportedError(f"np.meshgrid: sparse=True is not there for arrays on the GPU. {WAY_OUT}.")
    return _matrices.meshgrid(*_all_on_gpu(xi), indexing=indexing)


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """Write to an array on the GPU."""
    store(dst, _array(src, dst if is_array(dst) else None), where, casting, "np.copyto")


def broadcast_arrays(*args: Any, subok: bool = False) -> Any:  # noqa: ARG001 - there are no subclasses
    """Return the arrays repeated to their common shape."""
    return _manipulation.broadcast_arrays(*_all_on_gpu(args))


def pad(array: Any, pad_width: Any, mode: Any = "constant", *, constant_values: Any = 0) -> Any:
    """Return the array with more elements around it."""
    return _extras.pad(array, pad_width, mode, constant_values=constant_values)


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Repeat each element."""
    return _manipulation.repeat(a, int(repeats) if isinstance(repeats, np.integer) else repeats, axis=axis)


def _described(name: str) -> Callable[..., Any]:
    return lambda a, *_, **__: getattr(a, name)()


def _expand_dims(a: Any, axis: Any) -> Any:
    return shapes.expand_dims(a, tuple(axis) if isinstance(axis, list) else axis)


def _size(a: Any, axis: Any = None) -> int:
    if axis is None:
        return int(a.size)
    size = 1
    for i in shapes.check_axes(axis, a.ndim):
        size *= a.shape[i]
    return size


TWINS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("concatenate", "concat"), concatenate),
    "stack": stack,
    "unstack": lambda x, /, *, axis=0: _joining.unstack(x, axis=axis),
    "vstack": _stacked(2, 0),
    "hstack": _stacked(1, 1),
    "dstack": _stacked(3, 2),
    "column_stack": column_stack,
    "atleast_1d": _at_least(1),
    "atleast_2d": _at_least(2),
    "atleast_3d": _at_least(3),
    "reshape": reshape,
    "ravel": ravel,
    "transpose": lambda a, axes=None: _extras.transpose(a, axes),
    "permute_dims": lambda a, axes=None: _extras.transpose(a, axes),
    "matrix_transpose": lambda x, /: x.mT,
    "swapaxes": swapaxes,
    "moveaxis": moveaxis,
    "expand_dims": _expand_dims,
    "squeeze": lambda a, axis=None: shapes.squeeze(a, axis),
    "broadcast_to": lambda array, shape, subok=False: shapes.broadcast_to(array, shape),  # noqa: ARG005 - there are no subclasses
    "broadcast_arrays": broadcast_arrays,
    "flip": lambda m, axis=None: shapes.flip(m, axis),
    "flipud": lambda m: shapes.flip(m, 0),
    "fliplr": lambda m: shapes.flip(m, 1),
    "rot90": rot90,
    "roll": lambda a, shift, axis=None: shapes.roll(a, shift, axis),
    "tile": tile,
    "repeat": repeat,
    "split": _split(even=True),
    "array_split": _split(even=False),
    "pad": pad,
    "take": take,
    "take_along_axis": lambda arr, indices, axis=-1: take_along_axis(
        *((arr, indices, axis) if axis is not None else (arr.ravel(), indices, 0))
    ),
    "zeros_like": _like(0),
    "ones_like": _like(1),
    "empty_like": _like(None),
    "full_like": full_like,
    "copy": lambda a, order="K", subok=False: a.copy(),  # noqa: ARG005 - one order, no subclasses
    "copyto": copyto,
    "asarray": asarray,
    "asanyarray": asarray,
    "array": array,
    "zeros": lambda shape, dtype=None, *, like: create.full(
        like._device, shape, 0, np.float32 if dtype is None else dtype
    ),
    "ones": lambda shape, dtype=None, *, like: create.full(
        like._device, shape, 1, np.float32 if dtype is None else dtype
    ),
    "full": lambda shape, fill_value, dtype=None, *, like: create.full(like._device, shape, fill_value, dtype),
    "empty": lambda shape, dtype=None, *, like: create.empty(like._device, shape, dtype),
    "meshgrid": meshgrid,
    "tril": lambda m, k=0: _matrices.tril(m, k=k),
    "triu": lambda m, k=0: _matrices.triu(m, k=k),
    "ndim": lambda a: a.ndim,
    "shape": lambda a: a.shape,
    "size": _size,
    "iscomplexobj": lambda x: x.dtype.kind == "c",
    "isrealobj": lambda x: x.dtype.kind != "c",
    "result_type": _dtypes.result_type,
    "can_cast": lambda from_, to, casting="safe": np.can_cast(from_.dtype, to, casting),
    "astype": lambda x, dtype, /, *, copy=True, device=None: _dtypes.astype(x, dtype, copy=copy, device=device),
    "array_repr": _described("__repr__"),
    "array_str": _described("__str__"),
    "array2string": _described("__str__"),
}
"""The twins of NumPy's functions, by their names."""

LIKE = frozenset(TWINS[name] for name in ("array", "asarray", "asanyarray", "zeros", "ones", "full", "empty"))
"""Those that NumPy calls for ``like=``, which it takes out of the arguments."""
