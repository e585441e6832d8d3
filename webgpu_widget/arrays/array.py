"""Arrays that stay in the browser's GPU memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from webgpu_widget.arrays import shown
from webgpu_widget.arrays.lazy import build, create, indexing, search, statistics
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy import shape as shapes
from webgpu_widget.arrays.lazy.value import Value
from webgpu_widget.arrays.matrix import matrix_transpose
from webgpu_widget.arrays.operators import Operators
from webgpu_widget.device.default import as_device, namespace
from webgpu_widget.errors import RangeError
from webgpu_widget.link.steps import Steps, drive, drive_async

if TYPE_CHECKING:
    from types import ModuleType

    from webgpu_widget.gpu import GPU

__all__ = ["GPUArray"]

Axis = int | tuple[int, ...] | None
_CPU = (1, 0)


def stored_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of the bytes in the browser: bool is stored as uint32."""
    return np.dtype(np.uint32) if dtype.kind == "b" else dtype


def check_dtype(dtype: Any, what: str = "dtype") -> np.dtype[Any]:
    """Return a dtype that a GPUArray can have.

    Raises
    ------
    DTypeError
        For 64-bit numbers and others that WebGPU has not; says what to pass instead.
    """
    try:
        return dt.check_dtype(dtype)
    except dt.DTypeError as error:
        raise dt.DTypeError(f"{what}: {error}") from None


def _check_fits(x: GPUArray, asked: np.dtype[Any]) -> None:
    """Raise RangeError where a value does not fit what stands for the integers that are asked for."""
    target = dt.NARROWER[asked]
    if target.kind == "f" or not x.size or x.dtype.kind == "b" or x.dtype == target:
        return
    info = np.iinfo(target)
    low, high = x.min().item(), x.max().item()
    if not (low >= info.min and high <= info.max):
        raise RangeError(
            f"astype: values from {low!r} to {high!r} do not fit {target.name} ({info.min} to {info.max}), which stands for {asked.name} "
            f"inside wg.xp.narrowing. Convert them on the host: x.numpy().astype(np.{asked.name})."
        )


def _check_out(out: object) -> None:
    if out is not None:
        raise TypeError("out= is not supported: assign the result, as in y[...] = x.sum(axis=0).")


def _as(x: GPUArray, dtype: Any) -> GPUArray:
    return x if dtype is None else build.astype(x, dtype)


class GPUArray(Operators, Value):
    """An n-dimensional array in the browser's GPU memory.

    Made by `GPU.array` and its like, by kernels, and by every operation on arrays. Elementwise operations are recorded, and
    become one kernel when the values are needed: when they are read, bound to a kernel, or used by anything that is not
    elementwise. An array is a value: a slice, a transpose or a copy does not change when the array that it came from is
    written to, and an assignment to a view that is held, or ``view += 1``, changes the view alone. A kernel that writes to a
    view (a slice, reshape, transpose, flip) writes to the arrays that it was taken from as well, as in NumPy; if they were
    written since, it raises `BindingError`. The memory is given back when the object is collected, and at once by `free`.

    An array has one buffer, of ``maxBufferSize`` bytes at most: what needs more raises `BufferSizeError`. Elementwise operations,
    reductions, views, joins and products take arrays of any such size; what must see a whole array in one binding, as sorting,
    running totals and indexing by arrays do, raises `LimitError` above ``maxStorageBufferBindingSize``.

    Parameters
    ----------
    device : Device
        Where it lives.
    buffer : Buffer
        Its memory: the elements in C order, without gaps; bool as uint32.
    shape : tuple of int
        As in NumPy.
    dtype : numpy.dtype
        float32, int32, uint32, bool, complex64 or float16 (computed as float32, and rounded after each operation). Scalars, Python's and
        NumPy's, take it: ``np.float64(0.1) * x`` is float32 for a float32 `x`.
    """

    __array_priority__ = 1000
    __slots__ = ()

    # ------------------------------------------------------------ what it is

    @property
    def nbytes(self) -> int:
        """Bytes in the browser (4 per element for bool)."""
        return self.size * stored_dtype(self.dtype).itemsize

    @property
    def device(self) -> GPU:
        """The GPU that it lives on."""
        return self._device.gpu

    def to_device(self, device: GPU, /, *, stream: None = None) -> GPUArray:
        """Return the array on another GPU: itself when it is there, else a copy through this process.

        The array API standard's `to_device`.

        Parameters
        ----------
        device : GPU
            Where it is wanted.
        stream : None
            Here for the standard's sake: a GPU has one queue.

        Raises
        ------
        ValueError
            For a stream.
        ClosedError
            When one of the GPUs is closed.

        Examples
        --------
        >>> x = gpu.array([1.0, 2.0])
        >>> x.to_device(gpu) is x
        True
        """
        if stream is not None:
            raise ValueError("There are no streams: a GPU has one queue. Leave stream out.")
        return create.asarray(as_device(device), self)

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """Return `webgpu_widget.xp`, the Python array API 2025.12, or what has its edition 2024.12 (and the older ones)."""
        if api_version in (None, "2025.12"):
            return namespace()
        if api_version not in ("2021.12", "2022.12", "2023.12", "2024.12"):
            raise ValueError(f"The array API {api_version} is not there; 2024.12 and 2025.12 are.")
        return namespace()._edition_of_2024()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Run a ufunc of NumPy on the GPU; see `webgpu_widget.arrays.ufuncs`."""
        from webgpu_widget.arrays.ufuncs import array_ufunc

        return array_ufunc(ufunc, method, inputs, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any], options: dict[str, Any]
    ) -> Any:
        """Run a function of NumPy on the GPU, by its twin in `webgpu_widget.xp`."""
        return namespace()._array_function(function, types, args, dict(options), self)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Iterator[GPUArray]:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __copy__(self) -> GPUArray:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> GPUArray:
        memo[id(self)] = made = self.copy()
        return made

    def __reduce__(self) -> Any:
        raise TypeError(
            "A GPUArray lives in its browser and cannot be pickled. Pickle x.numpy(), and make it anew by gpu.array(...)."
        )

    def __repr__(self) -> str:
        return shown.representation(self)

    def __str__(self) -> str:
        return shown.plain(self)

    def __format__(self, spec: str) -> str:
        return shown.formatted(self, spec)

    def __round__(self, ndigits: int | None = None) -> Any:
        """Return the array rounded, on the GPU; without `ndigits` a 0-d array becomes a Python int, as floats do."""
        if ndigits is None:
            return round(self._scalar("round"))
        return self.round(ndigits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()

    # ------------------------------------------------------------ reading

    def numpy(self, timeout: float | None = 30.0) -> np.ndarray[Any, Any]:
        """Return the values, waiting for the work that makes them.

        Parameters
        ----------
        timeout : float or None
            Seconds of silence; None waits for ever.

        Returns
        -------
        ndarray
            Of the array's shape and dtype, in memory of its own.

        Raises
        ------
        ClosedError, FrontendError, DeviceError
            When the array is freed, or the page or device lost.
        WebGPUWidgetError
            While a program is recorded: nothing has run.

        Examples
        --------
        >>> gpu.array([1.0, 2.0]).numpy()
        array([1., 2.], dtype=float32)
        """
        return drive(self._numpy_steps(), timeout)

    async def numpy_async(self, timeout: float | None = 30.0) -> np.ndarray[Any, Any]:
        """Coroutine twin of `numpy`."""
        return await drive_async(self._numpy_steps(), timeout)

    def _numpy_steps(self) -> Steps[np.ndarray[Any, Any]]:
        if self._device.known is None:
            # Kernels are chosen by the adapter; until it is known they are those that run everywhere.
            yield from self._device.ready_steps()
        spans = self._spans()
        return self._from_bytes((yield from self._device.queue.read_steps(spans)) if spans else [])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if copy is False:
            raise ValueError("A GPUArray cannot become a NumPy array without a copy: it lives in the browser.")
        values = self.numpy()
        return values if dtype is None else values.astype(dtype, copy=False)

    def item(self) -> Any:
        """Return the only element as a Python number.

        Raises
        ------
        ValueError
            When there are more elements, or none.

        Examples
        --------
        >>> gpu.array([2.5]).item()
        2.5
        """
        if self.size != 1:
            raise ValueError(
                f"An array of shape {self.shape} has {self.size} elements; only one becomes a Python number."
            )
        return self.numpy().item()

    def tolist(self) -> Any:
        """Return nested lists of Python numbers.

        Examples
        --------
        >>> gpu.array([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
        """
        return self.numpy().tolist()

    def _scalar(self, what: str) -> Any:
        if self.shape:
            raise TypeError(f"{what}() takes a 0-d array, not shape {self.shape}. Use x[0] or x.sum() for one element.")
        return self.item()

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"The truth of an array of shape {self.shape} is ambiguous. Use x.any() or x.all().")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self._scalar("int"))

    def __float__(self) -> float:
        return float(self._scalar("float"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.shape:
            raise TypeError(f"Only 0-d integer arrays are indices, not shape {self.shape}, {self.dtype.name}.")
        return int(self.item())

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return (1, 0): what `__dlpack__` exports is a copy in this process's memory."""
        return _CPU

    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Export a copy in this process's memory; the GPU's own memory belongs to the browser."""
        if copy is False:
            raise BufferError("A GPUArray cannot be exported without a copy: it lives in the browser.")
        if dl_device is not None and tuple(dl_device) != _CPU:
            raise BufferError(f"A GPUArray is exported to the CPU (1, 0), not to {dl_device}.")
        values = self.numpy()
        try:
            return values.__dlpack__(stream=stream, max_version=max_version)
        except TypeError:  # NumPy before 2.1 has no max_version
            return values.__dlpack__(stream=stream)

    # ------------------------------------------------------------ indexing and shape

    def __getitem__(self, key: Any) -> GPUArray:
        """Return a part, as in NumPy: by integers, slices, ``...``, None, and arrays of integers or bools.

        Indices of the host that are out of bounds raise IndexError. Those in a `GPUArray` are not known when the operation is written
        down; one that is out of bounds means the nearer end, -1 the last element.
        """
        return indexing.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write to a part; see `__getitem__` for keys."""
        indexing.setitem(self, key, value)

    def round(self, decimals: int = 0, out: None = None) -> GPUArray:
        """Return the values rounded; halves go to the even neighbour.

        Parameters
        ----------
        decimals : int
            Places behind the point that stay; negative ones round to tens, hundreds and so on.
        out : None
            Here because NumPy's functions pass it; assign the result instead.

        Examples
        --------
        >>> gpu.array([1.25, 2.71875]).round(1)
        GPUArray([1.2, 2.7], shape=(2,), dtype=float32)
        """
        _check_out(out)
        return namespace().around(self, decimals)

    def copy(self) -> GPUArray:
        """Return an array with the same values that does not change with this one.

        Examples
        --------
        >>> x = gpu.array([1, 2])
        >>> y = x.copy()
        >>> x[0] = 9
        >>> y
        GPUArray([1, 2], shape=(2,), dtype=int32)
        """
        return shapes.copy_of(self)

    def astype(self, dtype: Any, *, copy: bool = True) -> GPUArray:
        """Return the array converted: floats go to integers toward zero (NaN to 0, out of range to the nearest).

        Parameters
        ----------
        dtype : dtype
            float32, int32, uint32, bool, complex64 or float16. Complex numbers become no real ones: take `real`, or ``abs(x)``.
        copy : bool
            Whether an array that has the dtype already is copied.

        Raises
        ------
        DTypeError
            For a dtype that WebGPU has not, and for complex numbers to real ones.
        RangeError
            Inside `xp.narrowing`: when a value does not fit.

        Examples
        --------
        >>> gpu.array([1.7, -1.7]).astype(np.int32)
        GPUArray([ 1, -1], shape=(2,), dtype=int32)
        """
        if not copy and dt.check_dtype(dtype) == self.dtype:
            return self
        for asked in dt.narrowed.get():
            if asked == dtype:
                _check_fits(self, asked)
        return build.astype(self, dtype)

    def reshape(self, *shape: Any) -> GPUArray:
        """Return the elements in another shape, in C order.

        Parameters
        ----------
        *shape : int or tuple of int
            Lengths of the axes, of as many elements; one may be -1, which is what is left for it.

        Raises
        ------
        ShapeError
            When the numbers of elements differ.

        Examples
        --------
        >>> gpu.arange(6).reshape(2, -1)
        GPUArray([[0, 1, 2],
                  [3, 4, 5]], shape=(2, 3), dtype=int32)
        """
        return shapes.reshape(self, shape[0] if len(shape) == 1 else shape)

    def ravel(self) -> GPUArray:
        """Return the elements along one axis, in C order.

        Examples
        --------
        >>> gpu.array([[1, 2], [3, 4]]).ravel()
        GPUArray([1, 2, 3, 4], shape=(4,), dtype=int32)
        """
        return shapes.reshape(self, (self.size,))

    def transpose(self, *axes: Any) -> GPUArray:
        """Return the array with its axes in another order; nothing is moved.

        Parameters
        ----------
        *axes : int or tuple of int
            Which axis each axis of the result is; reversed when left out.

        Raises
        ------
        numpy.exceptions.AxisError, ShapeError
            When these are not all axes, each once.

        Examples
        --------
        >>> gpu.array([[1, 2], [3, 4]]).transpose()
        GPUArray([[1, 3],
                  [2, 4]], shape=(2, 2), dtype=int32)
        """
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return shapes.permute(self, order or range(self.ndim)[::-1])

    @property
    def T(self) -> GPUArray:  # noqa: N802 - NumPy's name
        """The array with its axes reversed."""
        return self.transpose()

    @property
    def mT(self) -> GPUArray:  # noqa: N802 - the array API's name
        """The array with its last two axes exchanged."""
        return matrix_transpose(self)

    @property
    def real(self) -> GPUArray:
        """The real part: of real numbers these themselves."""
        return build.apply("real", self)

    @property
    def imag(self) -> GPUArray:
        """The imaginary part: of real numbers zeros."""
        return build.apply("imag", self)

    def conj(self) -> GPUArray:
        """Return the complex conjugates; real numbers are their own.

        Examples
        --------
        >>> gpu.array([1 + 2j]).conj()
        GPUArray([1.-2.j], shape=(1,), dtype=complex64)
        """
        return build.apply("conj", self)

    # ------------------------------------------------------------ reductions; np.sum(x) and its like call these, with out=None

    def sum(self, axis: Axis = None, dtype: Any = None, out: None = None, *, keepdims: bool = False) -> GPUArray:
        """Return the sum; integers modulo 2**32.

        Parameters
        ----------
        axis : int, tuple of int or None
            Axes that are reduced, counted from the end where negative; all of them for None.
        dtype : dtype, optional
            In which it is summed; that of the array, and int32 for bools, when left out.
        out : None
            Here because NumPy's functions pass it; assign the result instead.
        keepdims : bool
            Whether reduced axes stay, of length 1.

        Examples
        --------
        >>> gpu.array([[1.0, 5.0], [4.0, 2.0]]).sum(axis=0)
        GPUArray([5., 7.], shape=(2,), dtype=float32)
        """
        _check_out(out)
        return statistics.total(self, "sum", axis, dtype, keepdims=keepdims)

    def prod(self, axis: Axis = None, dtype: Any = None, out: None = None, *, keepdims: bool = False) -> GPUArray:
        """Return the product; integers modulo 2**32.

        Parameters
        ----------
        axis : int, tuple of int or None
            Axes that are reduced, counted from the end where negative; all of them for None.
        dtype : dtype, optional
            In which it is multiplied; that of the array, and int32 for bools, when left out.
        out : None
            Here because NumPy's functions pass it; assign the result instead.
        keepdims : bool
            Whether reduced axes stay, of length 1.

        Examples
        --------
        >>> gpu.array([[1.0, 5.0], [4.0, 2.0]]).prod(axis=0)
        GPUArray([ 4., 10.], shape=(2,), dtype=float32)
        """
        _check_out(out)
        return statistics.total(self, "prod", axis, dtype, keepdims=keepdims)

    def max(self, axis: Axis = None, out: None = None, *, keepdims: bool = False) -> GPUArray:
        """Return the largest value; NaN where there is one.

        Parameters
        ----------
        axis : int, tuple of int or None
            Axes that are reduced, counted from the end where negative; all of them for None.
        out : None
            Here because NumPy's functions pass it; assign the result instead.
        keepdims : bool
            Whether reduced axes stay, of length 1.

        Raises
        ------
        ValueError
            Of no elements.

        Examples
        --------
        >>> gpu.array([[1.0, 5.0], [4.0, 2.0]]).max(axis=0)
        GPUArray([4., 5.], shape=(2,), dtype=float32)
        """
        _check_out(out)
        return statistics.extreme(self, "max", axis, keepdims=keepdims)

    def min(self, axis: Axis = None, out: None = None, *, keepdims: bool = False) -> GPUArray:
        """Return the smallest value; NaN where there is one.

        Parameters
        ----------
        axis : int, tuple of int or None
            Axes that are reduced, counted from the end where negative; all of them for None.
        out : None
            Here because NumPy's functions pass it; assign the result instead.
        keepdims : bool
            Whether reduced axes stay, of length 1.

        Raises
        ------
        ValueError
            Of no elements.

        Examples
        --------
        >>> gpu.array([[1.0, 5.0], [4.0, 2.0]]).min(axis=0)
        GPUArray([1., 2.], shape=(2,), dtype=float32)
        """
        _check_out(out)
        return statistics.extreme(self, "min", axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, dtype: Any = None, out: None = None, *, keepdims: bool = False) -> GPUArray:
        """Return the mean.

        Parameters
        ----------
        axis : int, tuple of int or None
            Axes that are reduced, counted from the end where negative; all of them for None.
        dtype : dtype, optional
            What the values are converted to first; integers are averaged as float32.
        out : None
            Here because NumPy's functions pass it; assign the result instead.
        keepdims : bool
            Whether reduced axes stay, of length 1.

        Examples
        --------
        >>> gpu.array([[1.0, 5.0], [4.0, 2.0]]).mean(axis=0)
        GPUArray([2.5, 3.5], shape=(2,), dtype=float32)
        """
        _check_out(out)
        return statistics.mean(_as(self, dtype), axis, keepdims=keepdims)

    def var(
        self, axis: Axis = None, ddof: float = 0, *, dtype: Any = None, out: None = None, keepdims: bool = False
    ) -> GPUArray:
        """Return the variance.

        Parameters
        ----------
        axis : int, tuple of int or None
            Axes that are reduced, counted from the end where negative; all of them for None.
        ddof : float
            What is subtracted from the number of elements in the denominator; 1 for that of a sample.
        dtype : dtype, optional
            What the values are converted to first; integers are taken as float32.
        out : None
            Here because NumPy's functions pass it; assign the result instead.
        keepdims : bool
            Whether reduced axes stay, of length 1.

        Examples
        --------
        >>> gpu.array([1.0, 3.0]).var()
        GPUArray(1., shape=(), dtype=float32)
        """
        _check_out(out)
        return statistics.variance(_as(self, dtype), axis, ddof, keepdims=keepdims)

    def std(
        self, axis: Axis = None, ddof: float = 0, *, dtype: Any = None, out: None = None, keepdims: bool = False
    ) -> GPUArray:
        """Return the standard deviation.

        Parameters
        ----------
        axis : int, tuple of int or None
            Axes that are reduced, counted from the end where negative; all of them for None.
        ddof : float
            What is subtracted from the number of elements in the denominator; 1 for that of a sample.
        dtype : dtype, optional
            What the values are converted to first; integers are taken as float32.
        out : None
            Here because NumPy's functions pass it; assign the result instead.
        keepdims : bool
            Whether reduced axes stay, of length 1.

        Examples
        --------
        >>> gpu.array([1.0, 3.0]).std()
        GPUArray(1., shape=(), dtype=float32)
        """
        return build.apply("sqrt", self.var(axis, ddof, dtype=dtype, out=out, keepdims=keepdims))

    def any(self, axis: Axis = None, out: None = None, *, keepdims: bool = False) -> GPUArray:
        """Return whether any element is true: not zero, or NaN.

        Parameters
        ----------
        axis : int, tuple of int or None
            Axes that are reduced, counted from the end where negative; all of them for None.
        out : None
            Here because NumPy's functions pass it; assign the result instead.
        keepdims : bool
            Whether reduced axes stay, of length 1.

        Examples
        --------
        >>> gpu.array([0, 3]).any()
        GPUArray(True, shape=(), dtype=bool)
        """
        _check_out(out)
        return statistics.logical(self, "any", axis, keepdims=keepdims)

    def all(self, axis: Axis = None, out: None = None, *, keepdims: bool = False) -> GPUArray:
        """Return whether all elements are true: not zero, or NaN.

        Parameters
        ----------
        axis : int, tuple of int or None
            Axes that are reduced, counted from the end where negative; all of them for None.
        out : None
            Here because NumPy's functions pass it; assign the result instead.
        keepdims : bool
            Whether reduced axes stay, of length 1.

        Examples
        --------
        >>> gpu.array([0, 3]).all()
        GPUArray(False, shape=(), dtype=bool)
        """
        _check_out(out)
        return statistics.logical(self, "all", axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, out: None = None, *, keepdims: bool = False) -> GPUArray:
        """Return where the first largest element is, int32; the first NaN where there is one.

        Parameters
        ----------
        axis : int or None
            Axis that is searched, counted from the end where negative; the flattened array for None.
        out : None
            Here because NumPy's functions pass it; assign the result instead.
        keepdims : bool
            Whether reduced axes stay, of length 1.

        Raises
        ------
        ValueError
            Of no elements.

        Examples
        --------
        >>> gpu.array([[1.0, 5.0], [4.0, 2.0]]).argmax(axis=0)
        GPUArray([1, 0], shape=(2,), dtype=int32)
        """
        _check_out(out)
        return statistics.place(self, "max", axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, out: None = None, *, keepdims: bool = False) -> GPUArray:
        """Return where the first smallest element is, int32; the first NaN where there is one.

        Parameters
        ----------
        axis : int or None
            Axis that is searched, counted from the end where negative; the flattened array for None.
        out : None
            Here because NumPy's functions pass it; assign the result instead.
        keepdims : bool
            Whether reduced axes stay, of length 1.

        Raises
        ------
        ValueError
            Of no elements.

        Examples
        --------
        >>> gpu.array([[1.0, 5.0], [4.0, 2.0]]).argmin(axis=0)
        GPUArray([0, 1], shape=(2,), dtype=int32)
        """
        _check_out(out)
        return statistics.place(self, "min", axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None, dtype: Any = None, out: None = None) -> GPUArray:
        """Return running sums along an axis; integers modulo 2**32.

        Parameters
        ----------
        axis : int or None
            Axis along which they run; the flattened array for None.
        dtype : dtype, optional
            In which they are computed; that of the array, and int32 for bools, when left out.
        out : None
            Here because NumPy's functions pass it; assign the result instead.

        Examples
        --------
        >>> gpu.array([1, 2, 3]).cumsum()
        GPUArray([1, 3, 6], shape=(3,), dtype=int32)
        """
        _check_out(out)
        return statistics.cumulative(self.ravel() if axis is None else self, "sum", 0 if axis is None else axis, dtype)

    def sort(self, axis: int = -1) -> GPUArray:
        """Return the elements in order, NaN last: a new array, unlike NumPy's method.

        Parameters
        ----------
        axis : int
            Axis along which they are ordered.

        Examples
        --------
        >>> gpu.array([3, 1, 2]).sort()
        GPUArray([1, 2, 3], shape=(3,), dtype=int32)
        """
        return search.sort(self, axis)

    def argsort(self, axis: int = -1) -> GPUArray:
        """Return the places of the elements in order, int32; equal elements keep their order, NaN is last.

        Parameters
        ----------
        axis : int
            Axis along which they are ordered.

        Examples
        --------
        >>> gpu.array([3, 1, 2]).argsort()
        GPUArray([1, 2, 0], shape=(3,), dtype=int32)
        """
        return search.argsort(self, axis)
