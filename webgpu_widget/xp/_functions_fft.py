"""NumPy's Fourier transforms on the GPU, with NumPy's arguments, and the parts of complex numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from webgpu_widget.arrays.lazy.build import apply
from webgpu_widget.arrays.ufuncs import store
from webgpu_widget.xp import fft


def _into(out: Any, result: Any, name: str) -> Any:
    return result if out is None else store(out, result, True, "same_kind", f"np.fft.{name}")


def _along(name: str) -> Callable[..., Any]:
    function = getattr(fft, name)

    def transform(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
        return _into(out, function(a, n=n, axis=axis, norm=norm or "backward"), name)

    return transform


def _over(name: str, axes: Sequence[int] | None) -> Callable[..., Any]:
    function, own = getattr(fft, name), axes

    def transform(
        a: Any,
        s: Sequence[int] | None = None,
        axes: Sequence[int] | None = own,
        norm: str | None = None,
        out: Any = None,
    ) -> Any:
        return _into(out, function(a, s=s, axes=axes, norm=norm or "backward"), name)

    return transform


def _angle(z: Any, deg: bool = False) -> Any:
    angle = apply("angle", z)
    return apply("multiply", angle, 57.29577951308232) if deg else angle


TWINS: dict[str, Callable[..., Any]] = {
    **{f"fft.{name}": _along(name) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")},
    **{f"fft.{name}": _over(name, None) for name in ("fftn", "ifftn", "rfftn", "irfftn")},
    **{f"fft.{name}2": _over(f"{name}n", (-2, -1)) for name in ("fft", "ifft", "rfft", "irfft")},
    "fft.fftshift": lambda x, axes=None: fft.fftshift(x, axes=axes),
    "fft.ifftshift": lambda x, axes=None: fft.ifftshift(x, axes=axes),
    "real": lambda val: apply("real", val),
    "imag": lambda val: apply("imag", val),
    "angle": _angle,
}
"""The twins of NumPy's functions, by their names."""
