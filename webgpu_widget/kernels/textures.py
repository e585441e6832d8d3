"""Textures: images that a shader samples, and storage textures that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from webgpu_widget import errors
from webgpu_widget.arrays.values import wholes
from webgpu_widget.device.handles import Sampler, Texture

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device

__all__ = ["GPUTexture", "OutTexture", "TextureInput", "out_texture", "sampler", "texture"]

Array = np.ndarray[Any, Any]
Dimension = Literal["2d", "2d-array", "3d"]

FORMATS: dict[str, tuple[np.dtype[Any], int]] = {
    f"{channels}{bits}{kind}": (np.dtype(dtype), len(channels))
    for channels in ("r", "rg", "rgba")
    for bits, kind, dtype in (
        (8, "unorm", "u1"),
        (8, "snorm", "i1"),
        (8, "uint", "u1"),
        (8, "sint", "i1"),
        (16, "uint", "<u2"),
        (16, "sint", "<i2"),
        (16, "float", "<f2"),
        (32, "uint", "<u4"),
        (32, "sint", "<i4"),
        (32, "float", "<f4"),
    )
} | {"bgra8unorm": (np.dtype("u1"), 4), "rgba8unorm-srgb": (np.dtype("u1"), 4)}
"""dtype and channels of each format that can be bound."""

_BY_DTYPE = {"uint8": "8unorm", "float16": "16float", "float32": "32float"}
_CHANNELS = {1: "r", 2: "rg", 4: "rgba"}


@dataclass(frozen=True)
class TextureInput:
    """An array on its way to become a texture; see `texture`."""

    texels: Array
    """(layers, height, width, channels)."""
    format: str
    dimension: Dimension
    mips: bool

    @property
    def size(self) -> tuple[int, int, int]:
        """Width, height, and layers or depth."""
        layers, height, width, _ = self.texels.shape
        return width, height, layers

    def upload(self, device: Device, timeout: float | None = 30.0) -> Texture:
        """Make the texture in the browser."""
        width, height, layers = self.size
        levels = int(np.log2(max(width, height))) + 1 if self.mips else 1
        made = device.queue.create_texture(self.format, self.dimension, self.size, mip_levels=levels)
        device.queue.write_texture(made, self.texels.reshape(layers, height, -1).view(np.uint8), timeout)
        return made


@dataclass(frozen=True)
class OutTexture:
    """A storage texture to be written; see `out_texture`."""

    shape: tuple[int, ...]
    format: str
    dimension: Dimension


def texture(array: Any, format: str | None = None, dimension: Dimension = "2d", mips: bool = False) -> TextureInput:  # noqa: A002
    """Give an array to a shader as a texture.

    Parameters
    ----------
    array : (height, width, channels) uint8, float16 or float32
        With one more axis in front for ``2d-array`` (layers) and ``3d`` (depth). One channel may be left out; three become four, the fourth being
        one. uint8 is read as 0 to 1.
    format : str, optional
        A WebGPU format of the array's dtype and channels, where the dtype's own (``rgba8unorm``, ``r32float``, ...) will not do.
    dimension : {"2d", "2d-array", "3d"}
        How the shader sees it.
    mips : bool
        Make a full chain of smaller levels (box filter), for 2-D textures of 8-bit and 16-bit formats.

    Returns
    -------
    TextureInput
        To be passed as a kernel's argument.

    Raises
    ------
    ShapeError, DTypeError, BindingError
        When shape, dtype or format do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import webgpu_widget as wg
    >>> wg.texture(np.zeros((4, 6, 3), np.uint8)).format
    'rgba8unorm'
    """
    values = np.asarray(array)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    axes = 3 if dimension == "2d" else 4
    if dimension not in {"2d", "2d-array", "3d"}:
        raise errors.BindingError(f"dimension is {dimension!r}; a texture is '2d', '2d-array' or '3d'")
    if values.ndim == axes - 1:
        values = values[..., None]
    if values.ndim != axes or values.shape[-1] not in {1, 2, 3, 4} or not values.size:
        front = "" if dimension == "2d" else "layers, " if dimension == "2d-array" else "depth, "
        raise errors.ShapeError(
            f"a {dimension} texture is ({front}height, width, channels) with 1 to 4 channels and no empty axis, not {np.shape(array)}"
        )
    if dimension == "2d":
        values = values[None]
    if format is None and values.dtype.name not in _BY_DTYPE:
        raise errors.DTypeError(
            f"a texture of {values.dtype.name} needs a format=; without one, uint8, float16 and float32 are taken"
        )
    if values.shape[-1] == 3:
        one = 255 if values.dtype == np.uint8 else 1
        values = np.concatenate([values, np.full((*values.shape[:-1], 1), one, values.dtype)], axis=-1)
    chosen = format or _CHANNELS[values.shape[-1]] + _BY_DTYPE[values.dtype.name]
    if chosen not in FORMATS:
        raise errors.BindingError(
            f"format {chosen!r} is not one that a texture can have here: {', '.join(sorted(FORMATS))}"
        )
    dtype, channels = FORMATS[chosen]
    if dtype != values.dtype or channels != values.shape[-1]:
        raise errors.DTypeError(
            f"format {chosen} holds {channels} channels of {dtype.name}, the array has {values.shape[-1]} of {values.dtype.name}"
        )
    return TextureInput(np.ascontiguousarray(values), chosen, dimension, mips)


def out_texture(shape: tuple[int, ...], format: str, dimension: Dimension = "2d") -> OutTexture:  # noqa: A002
    """Ask for a storage texture as an output.

    Parameters
    ----------
    shape : (height, width), or (layers or depth, height, width)
        Without channels.
    format : str
        As the shader declares it (``rgba8unorm``).
    dimension : {"2d", "2d-array", "3d"}
        As the shader declares it.

    Returns
    -------
    OutTexture
        To be passed as a kernel's argument; read back as (height, width, channels) in the format's dtype.
    """
    if format not in FORMATS:
        raise errors.BindingError(
            f"format {format!r} is not one that a texture can have here: {', '.join(sorted(FORMATS))}"
        )
    axes, sides = 2 if dimension == "2d" else 3, wholes(shape)
    if sides is None or len(sides) != axes or min(sides) < 1:
        raise errors.ShapeError(
            f"a {dimension} storage texture has {axes} axes of at least 1 (without channels), not {shape!r}"
        )
    return OutTexture(sides, format, dimension)


def sampler(
    filter: Literal["linear", "nearest"] = "linear",  # noqa: A002
    address: Literal["clamp-to-edge", "repeat", "mirror-repeat"] = "clamp-to-edge",
) -> Sampler:
    """Say how a texture is sampled between texels and beyond its edge.

    Parameters
    ----------
    filter : {"linear", "nearest"}
        Between texels.
    address : {"clamp-to-edge", "repeat", "mirror-repeat"}
        Beyond the edge.
    """
    if filter not in {"linear", "nearest"} or address not in {"clamp-to-edge", "repeat", "mirror-repeat"}:
        raise errors.BindingError(
            f"sampler(filter={filter!r}, address={address!r}): filter is 'linear' or 'nearest', address 'clamp-to-edge', 'repeat' or 'mirror-repeat'"
        )
    return Sampler({"filter": filter, "address": address})


class GPUTexture:
    """A storage texture that a kernel wrote; stays in the browser until read."""

    def __init__(self, device: Device, memory: Texture, out: OutTexture) -> None:
        self._device = device
        self._memory = memory
        self.dtype, channels = FORMATS[out.format]
        self.format = out.format
        self.shape = (*out.shape, channels)

    def _start(self) -> tuple[Any, Array]:
        return self._device.queue.start_texture_read(self._memory, int(np.prod(self.shape)) * self.dtype.itemsize)

    def numpy(self, timeout: float | None = 30.0) -> Array:
        """Return the texels, (height, width, channels)."""
        request, data = self._start()
        self._device.wait(request, timeout)
        return data.view(self.dtype).reshape(self.shape)

    async def numpy_async(self, timeout: float | None = 30.0) -> Array:
        """Coroutine twin of `numpy`."""
        request, data = self._start()
        await self._device.wait_async(request, timeout)
        return data.view(self.dtype).reshape(self.shape)

    def free(self) -> None:
        """Give the memory back."""
        self._memory.free()

    def __repr__(self) -> str:
        return f"GPUTexture(shape={self.shape}, format={self.format})"
