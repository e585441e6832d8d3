"""Fourier transforms of the array API standard: any length, any axes, complex64.

Transforms are in float32, with roots of unity from float64 tables: the relative error of a result is about 1e-7, and at most
``1.5e-7 * log2(n)`` in the L2 norm. Lengths whose prime factors are 13 or less take one dispatch up to some thousand points (as many as
a workgroup holds), and two or three beyond; other lengths go by Bluestein's convolution, at three to six times the work. Real input takes half
the work of complex input. Plans, kernels and tables are kept, and programs of `GPU.record` replay the dispatches alone.

NumPy arrays are uploaded to ``wg.default_gpu()``; float16, integers and bools are transformed as float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.fourier.functions import Norm, along, axes_of, half_along, over_axes, real_along
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy import shape as shapes
from webgpu_widget.arrays.lazy.build import coerce
from webgpu_widget.arrays.lazy.host import from_host
from webgpu_widget.errors import DTypeError, ShapeError
from webgpu_widget.xp._creation import device_of

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.gpu import GPU

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]


def fft(x: GPUArray, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> GPUArray:
    """Return the discrete Fourier transform along one axis: ``X[k] = sum_j x[j] * exp(-2j * pi * j * k / n)``.

    Stockham's algorithm in workgroup memory, and Bluestein's for lengths with a prime factor above 13.

    Parameters
    ----------
    x : GPUArray
        Complex or real.
    n : int, optional
        Points of the transform: the axis is cut, or filled up with zeros, to so many. Its length when left out.
    axis : int
        The axis to transform.
    norm : {"backward", "ortho", "forward"}
        Whether the inverse is divided by ``n``, both are by its root, or this one is by ``n``.

    Returns
    -------
    GPUArray
        complex64, of the shape of `x` with `n` along the axis.

    Raises
    ------
    ShapeError
        For a transform of no points.
    numpy.exceptions.AxisError
        When there is no such axis.
    BufferSizeError, LimitError
        When the result, or one transform, is larger than the adapter's buffers or bindings.

    Examples
    --------
    >>> import numpy as np
    >>> import webgpu_widget as wg
    >>> x = wg.xp.asarray(np.float32([1, 0, 0, 0]))
    >>> wg.xp.fft.fft(x).numpy().tolist()
    [(1+0j), (1+0j), (1+0j), (1+0j)]
    """
    return along("fft", x, n, axis, norm, inverse=False)


def ifft(x: GPUArray, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> GPUArray:
    """Return the inverse of `fft` along one axis: ``x[j] = sum_k X[k] * exp(2j * pi * j * k / n) / n``.

    Parameters
    ----------
    x : GPUArray
        Complex or real.
    n, axis, norm
        As in `fft`.

    Returns
    -------
    GPUArray
        complex64, of the shape of `x` with `n` along the axis.

    Raises
    ------
    ShapeError, numpy.exceptions.AxisError, BufferSizeError, LimitError
        As `fft`.

    Examples
    --------
    >>> xp.fft.ifft(xp.fft.fft(xp.asarray([1.0, 2.0, 3.0, 4.0]))).real.round(3)
    GPUArray([1., 2., 3., 4.], shape=(4,), dtype=float32)
    """
    return along("ifft", x, n, axis, norm, inverse=True)


def fftn(
    x: GPUArray, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> GPUArray:
    """Return the discrete Fourier transform over several axes.

    Parameters
    ----------
    x : GPUArray
        Complex or real.
    s : sequence of int, optional
        Points along each of the axes, as `n` of `fft`; -1 for all of an axis.
    axes : sequence of int, optional
        The axes, each once. All when left out, or as many of the last ones as `s` has sizes.
    norm : {"backward", "ortho", "forward"}
        As in `fft`.

    Returns
    -------
    GPUArray
        complex64, of the shape of `x` with the sizes `s` along the axes.

    Raises
    ------
    ShapeError
        For a transform of no points, an axis that is named twice, and more or fewer sizes than axes.
    numpy.exceptions.AxisError, BufferSizeError, LimitError
        As `fft`.

    Examples
    --------
    >>> xp.fft.fftn(xp.ones((2, 2))).real.round(3)
    GPUArray([[4., 0.],
              [0., 0.]], shape=(2, 2), dtype=float32)
    """
    return over_axes("fftn", x, s, axes, norm, inverse=False)


def ifftn(
    x: GPUArray, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> GPUArray:
    """Return the inverse of `fftn` over several axes.

    Parameters
    ----------
    x : GPUArray
        Complex or real.
    s, axes, norm
        As in `fftn`.

    Returns
    -------
    GPUArray
        complex64, of the shape of `x` with the sizes `s` along the axes.

    Raises
    ------
    ShapeError, numpy.exceptions.AxisError, BufferSizeError, LimitError
        As `fftn`.

    Examples
    --------
    >>> xp.fft.ifftn(xp.fft.fftn(xp.ones((2, 2)))).real.round(3)
    GPUArray([[1., 1.],
              [1., 1.]], shape=(2, 2), dtype=float32)
    """
    return over_axes("ifftn", x, s, axes, norm, inverse=True)


def rfft(x: GPUArray, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> GPUArray:
    """Return the first half of the transform of real numbers along one axis, of which the second half is the conjugate.

    Parameters
    ----------
    x : GPUArray
        Real.
    n, axis, norm
        As in `fft`.

    Returns
    -------
    GPUArray
        complex64, of the shape of `x` with ``n // 2 + 1`` along the axis.

    Raises
    ------
    DTypeError
        For complex numbers.
    ShapeError, numpy.exceptions.AxisError, BufferSizeError, LimitError
        As `fft`.

    Examples
    --------
    >>> import numpy as np
    >>> import webgpu_widget as wg
    >>> wg.xp.fft.rfft(wg.xp.asarray(np.float32([1, 0, 0, 0]))).shape
    (3,)
    """
    return half_along("rfft", x, n, axis, norm, inverse=False)


def irfft(x: GPUArray, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> GPUArray:
    """Return the inverse of `rfft` along one axis.

    Parameters
    ----------
    x : GPUArray
        Half a spectrum. The imaginary part of its first number, and for an even `n` that of number ``n // 2``, count for nothing.
    n : int, optional
        Points of the result; ``2 * (m - 1)`` for `m` numbers when left out. The axis is cut, or filled up with zeros, to ``n // 2 + 1``.
    axis, norm
        As in `fft`.

    Returns
    -------
    GPUArray
        float32, of the shape of `x` with `n` along the axis.

    Raises
    ------
    ShapeError, numpy.exceptions.AxisError, BufferSizeError, LimitError
        As `fft`.

    Examples
    --------
    >>> xp.fft.irfft(xp.fft.rfft(xp.asarray([1.0, 2.0, 3.0, 4.0]))).round(3)
    GPUArray([1., 2., 3., 4.], shape=(4,), dtype=float32)
    """
    return real_along("irfft", x, n, axis, norm, inverse=True)


def rfftn(
    x: GPUArray, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> GPUArray:
    """Return the transform of real numbers over several axes: `rfft` along the last of them, `fft` along the others.

    Parameters
    ----------
    x : GPUArray
        Real.
    s, axes, norm
        As in `fftn`.

    Returns
    -------
    GPUArray
        complex64, with ``s[-1] // 2 + 1`` along the last of the axes.

    Raises
    ------
    DTypeError
        For complex numbers.
    ShapeError, numpy.exceptions.AxisError, BufferSizeError, LimitError
        As `fftn`.

    Examples
    --------
    >>> xp.fft.rfftn(xp.ones((2, 4))).shape
    (2, 3)
    """
    chosen = _some("rfftn", x, s, axes)
    half = half_along("rfftn", x, chosen[-1][1], chosen[-1][0], norm, inverse=False)
    for axis, points in reversed(chosen[:-1]):
        half = along("rfftn", half, points, axis, norm, inverse=False)
    return half


def irfftn(
    x: GPUArray, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> GPUArray:
    """Return the inverse of `rfftn` over several axes.

    Parameters
    ----------
    x : GPUArray
        Half a spectrum; see `irfft`.
    s : sequence of int, optional
        Points of the result along each of the axes; along the last one ``2 * (m - 1)`` for `m` numbers when left out.
    axes, norm
        As in `fftn`.

    Returns
    -------
    GPUArray
        float32, of the shape of `x` with the sizes `s` along the axes.

    Raises
    ------
    ShapeError, numpy.exceptions.AxisError, BufferSizeError, LimitError
        As `fftn`.

    Examples
    --------
    >>> xp.fft.irfftn(xp.fft.rfftn(xp.ones((2, 4)))).shape
    (2, 4)
    """
    chosen = _some("irfftn", x, s, axes)
    part = x
    for axis, points in chosen[:-1]:
        part = along("irfftn", part, points, axis, norm, inverse=True)
    last = None if s is None or s[-1] == -1 else chosen[-1][1]
    return real_along("irfftn", part, last, chosen[-1][0], norm, inverse=True)


def _some(name: str, x: Any, s: Sequence[int] | None, axes: Sequence[int] | None) -> list[tuple[int, int]]:
    """Return axes and points, of which there must be one."""
    array = coerce(name, (x,))[1][0]
    chosen = axes_of(name, array, s, axes)
    if not chosen:
        raise ShapeError(
            f"{name} takes at least one axis, and an array of shape {array.shape} with axes={axes!r} has none."
        )
    return chosen


def hfft(x: GPUArray, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> GPUArray:
    """Return the transform of numbers whose other half, not given, is their conjugate; it is real.

    Parameters
    ----------
    x : GPUArray
        The first half; see `irfft`.
    n : int, optional
        Points of the result; ``2 * (m - 1)`` for `m` numbers when left out.
    axis, norm
        As in `fft`.

    Returns
    -------
    GPUArray
        float32, of the shape of `x` with `n` along the axis.

    Raises
    ------
    ShapeError, numpy.exceptions.AxisError, BufferSizeError, LimitError
        As `fft`.

    Examples
    --------
    >>> xp.fft.hfft(xp.asarray([1.0, 0.0, 0.0])).round(3)
    GPUArray([1., 1., 1., 1.], shape=(4,), dtype=float32)
    """
    return real_along("hfft", x, n, axis, norm, inverse=False)


def ihfft(x: GPUArray, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> GPUArray:
    """Return the inverse of `hfft` along one axis: the first half of the inverse transform of real numbers.

    Parameters
    ----------
    x : GPUArray
        Real.
    n, axis, norm
        As in `fft`.

    Returns
    -------
    GPUArray
        complex64, of the shape of `x` with ``n // 2 + 1`` along the axis.

    Raises
    ------
    DTypeError
        For complex numbers.
    ShapeError, numpy.exceptions.AxisError, BufferSizeError, LimitError
        As `fft`.

    Examples
    --------
    >>> xp.fft.ihfft(xp.asarray([4.0, 0.0, 0.0, 0.0])).real.round(3)
    GPUArray([1., 1., 1.], shape=(3,), dtype=float32)
    """
    return half_along("ihfft", x, n, axis, norm, inverse=True)


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return the frequencies of the results of `fft`: 0, 1, ... and then the negative ones, over ``n * d``.

    Parameters
    ----------
    n : int
        Points of the transform, 1 or more.
    d : float
        Distance of two samples, in any unit; frequencies are in cycles for each such unit.
    dtype : dtype, optional
        A real floating-point one; float32.
    device : GPU, optional
        Where; ``wg.default_gpu()``.

    Returns
    -------
    GPUArray
        (n,)

    Raises
    ------
    ShapeError
        When `n` is less than 1.
    DTypeError
        For another dtype.

    Examples
    --------
    >>> xp.fft.fftfreq(4)
    GPUArray([ 0.  ,  0.25, -0.5 , -0.25], shape=(4,), dtype=float32)
    """
    return _frequencies("fftfreq", np.fft.fftfreq, n, d, dtype, device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return the frequencies of the results of `rfft`: 0, 1, ... ``n // 2`` over ``n * d``.

    Parameters
    ----------
    n, d, dtype, device
        As in `fftfreq`.

    Returns
    -------
    GPUArray
        (n // 2 + 1,)

    Raises
    ------
    ShapeError, DTypeError
        As `fftfreq`.

    Examples
    --------
    >>> xp.fft.rfftfreq(4)
    GPUArray([0.  , 0.25, 0.5 ], shape=(3,), dtype=float32)
    """
    return _frequencies("rfftfreq", np.fft.rfftfreq, n, d, dtype, device)


def _frequencies(name: str, make: Any, n: int, d: float, dtype: Any, device: GPU | None) -> GPUArray:
    wanted = dt.FLOAT32 if dtype is None else dt.check_dtype(dtype)
    if wanted.kind != "f":
        raise DTypeError(f"{name}: frequencies are real floating-point numbers, not {wanted.name}.")
    if n < 1:
        raise ShapeError(f"{name}: a transform of {n} points has no frequencies; there must be 1 or more.")
    return from_host(device_of(device), dt.converted(make(n, d), wanted, numbers=True))


def fftshift(x: GPUArray, /, *, axes: int | Sequence[int] | None = None) -> GPUArray:
    """Return the array with frequency 0 brought into the middle of axes.

    Parameters
    ----------
    x : GPUArray
        Of any dtype.
    axes : int or sequence of int, optional
        Which; all when left out.

    Returns
    -------
    GPUArray
        Of the shape and dtype of `x`.

    Examples
    --------
    >>> xp.fft.fftshift(xp.fft.fftfreq(4))
    GPUArray([-0.5 , -0.25,  0.  ,  0.25], shape=(4,), dtype=float32)
    """
    return _shifted("fftshift", x, axes, 1)


def ifftshift(x: GPUArray, /, *, axes: int | Sequence[int] | None = None) -> GPUArray:
    """Return the array with the middle of axes brought to their beginning, which undoes `fftshift`.

    Parameters
    ----------
    x : GPUArray
        Of any dtype.
    axes : int or sequence of int, optional
        Which; all when left out.

    Returns
    -------
    GPUArray
        Of the shape and dtype of `x`.

    Examples
    --------
    >>> xp.fft.ifftshift(xp.fft.fftshift(xp.fft.fftfreq(4)))
    GPUArray([ 0.  ,  0.25, -0.5 , -0.25], shape=(4,), dtype=float32)
    """
    return _shifted("ifftshift", x, axes, -1)


def _shifted(name: str, x: Any, axes: int | Sequence[int] | None, sign: int) -> GPUArray:
    array = coerce(name, (x,))[1][0]
    places = shapes.check_axes(tuple(axes) if isinstance(axes, Sequence) else axes, array.ndim)
    return shapes.roll(array, [sign * (array.shape[i] // 2) for i in places], places)
