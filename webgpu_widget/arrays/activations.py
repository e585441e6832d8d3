"""What neural networks put between matrix products: activations, softmax and normalisations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy import rows
from webgpu_widget.arrays.lazy.build import apply, coerce, common_dtype
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.arrays.matrix import only
from webgpu_widget.errors import DTypeError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.gpu import GPU

__all__ = ["gelu", "layer_norm", "relu", "rms_norm", "silu", "softmax"]


def _real(name: str, x: Any, gpu: GPU | None) -> GPUArray:
    a = only(name, x, gpu)
    if a.dtype.kind != "f":
        raise DTypeError(f"{name} takes floats, not {a.dtype.name}: convert with astype(np.float32) first.")
    return a


def _wide(x: GPUArray) -> GPUArray:
    """Return float16 as float32: what is made of several operations is rounded once, at its end."""
    return x.astype(dt.FLOAT32, copy=False)


def softmax(x: Any, axis: int = -1, *, gpu: GPU | None = None) -> GPUArray:
    """Return ``exp(x) / sum(exp(x))`` along an axis, shifted by the maximum so that nothing overflows.

    Parameters
    ----------
    x : array_like
        float32 or float16.
    axis : int
        The axis, whose values sum to 1 in the result.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, or `default_gpu`, when left out.

    Raises
    ------
    DTypeError
        For what are no floats.

    Examples
    --------
    >>> wg.softmax(np.float32([0, 0]))
    GPUArray([0.5, 0.5], shape=(2,), dtype=float32)
    """
    given = _real("softmax", x, gpu)
    if rows.fits(runtime := runtime_of(given._device), given, axis, None, None):
        return rows.normalise(runtime, "softmax", given)
    a = _wide(given)
    e = apply("exp", a - a.max(axis=axis, keepdims=True))
    return (e / e.sum(axis=axis, keepdims=True)).astype(given.dtype, copy=False)


def layer_norm(
    x: Any, weight: Any = None, bias: Any = None, *, eps: float = 1e-5, axis: int = -1, gpu: GPU | None = None
) -> GPUArray:
    """Return ``(x - mean) / sqrt(var + eps) * weight + bias``, with mean and variance along an axis.

    Parameters
    ----------
    x : array_like
        float32 or float16.
    weight, bias : array_like, optional
        Factors and summands, which broadcast with `x`; none when left out.
    eps : float
        Keeps what is divided by from 0.
    axis : int
        The axis.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, or `default_gpu`, when left out.

    Raises
    ------
    DTypeError
        For what are no floats.

    Examples
    --------
    >>> wg.layer_norm(np.float32([-1, 1]), eps=0.0)
    GPUArray([-1.,  1.], shape=(2,), dtype=float32)
    """
    given = _real("layer_norm", x, gpu)
    if rows.fits(runtime := runtime_of(given._device), given, axis, weight, bias):
        return rows.normalise(runtime, "layer_norm", given, weight, bias, eps)
    a = _wide(given)
    distance = a - a.mean(axis=axis, keepdims=True)
    variance = apply("square", distance).mean(axis=axis, keepdims=True)
    return _affine(given, distance / apply("sqrt", variance + eps), weight, bias)


def rms_norm(x: Any, weight: Any = None, *, eps: float = 1e-6, axis: int = -1, gpu: GPU | None = None) -> GPUArray:
    """Return ``x / sqrt(mean(x * x) + eps) * weight``, with the mean along an axis.

    Parameters
    ----------
    x : array_like
        float32 or float16.
    weight : array_like, optional
        Factors, which broadcast with `x`; none when left out.
    eps : float
        Keeps what is divided by from 0.
    axis : int
        The axis.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, or `default_gpu`, when left out.

    Raises
    ------
    DTypeError
        For what are no floats.

    Examples
    --------
    >>> wg.rms_norm(np.float32([2, -2]), eps=0.0)
    GPUArray([ 1., -1.], shape=(2,), dtype=float32)
    """
    given = _real("rms_norm", x, gpu)
    if rows.fits(runtime := runtime_of(given._device), given, axis, weight, None):
        return rows.normalise(runtime, "rms_norm", given, weight, None, eps)
    a = _wide(given)
    scaled = a / apply("sqrt", apply("square", a).mean(axis=axis, keepdims=True) + eps)
    return _affine(given, scaled, weight, None)


def _affine(given: GPUArray, x: GPUArray, weight: Any, bias: Any) -> GPUArray:
    """Return ``x * weight + bias``, in the dtype that `given` has with both."""
    parts = coerce("weight and bias", (given, *(p for p in (weight, bias) if p is not None)))[1]
    dtype = common_dtype(parts)
    if weight is not None:
        x = apply("multiply", x, weight)
    if bias is not None:
        x = apply("add", x, bias)
    return x.astype(dtype, copy=False)


def relu(x: Any, *, gpu: GPU | None = None) -> GPUArray:
    """Return the elements where they are positive, and 0 elsewhere; NaN stays.

    Parameters
    ----------
    x : array_like
        Real numbers.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, or `default_gpu`, when left out.

    Examples
    --------
    >>> wg.relu(np.float32([-1, 2]))
    GPUArray([0., 2.], shape=(2,), dtype=float32)
    """
    return apply("maximum", only("relu", x, gpu), 0)


def silu(x: Any, *, gpu: GPU | None = None) -> GPUArray:
    """Return ``x / (1 + exp(-x))``, elementwise.

    Parameters
    ----------
    x : array_like
        float32 or float16.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, or `default_gpu`, when left out.

    Raises
    ------
    DTypeError
        For what are no floats.

    Examples
    --------
    >>> wg.silu(np.float32([0, 1])).round(3)
    GPUArray([0.   , 0.731], shape=(2,), dtype=float32)
    """
    given = _real("silu", x, gpu)
    a = _wide(given)
    return (a / (apply("exp", -a) + 1.0)).astype(given.dtype, copy=False)


def gelu(x: Any, *, approximate: Literal["none", "tanh"] = "none", gpu: GPU | None = None) -> GPUArray:
    """Return each element times the normal distribution function of it.

    Parameters
    ----------
    x : array_like
        float32 or float16.
    approximate : {"none", "tanh"}
        The function itself, by erf, or its usual approximation by tanh.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, or `default_gpu`, when left out.

    Raises
    ------
    DTypeError
        For what are no floats.
    ValueError
        For another approximation.

    Examples
    --------
    >>> wg.gelu(np.float32([0, 1])).round(3)
    GPUArray([0.   , 0.841], shape=(2,), dtype=float32)
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}.")
    given = _real("gelu", x, gpu)
    a = _wide(given)
    if approximate == "tanh":
        inner = (a + a * a * a * 0.044715) * math.sqrt(2.0 / math.pi)
        result = a * 0.5 * (apply("tanh", inner) + 1.0)
    else:
        result = a * 0.5 * (apply("erf", a * math.sqrt(0.5)) + 1.0)
    return result.astype(given.dtype, copy=False)
