"""Textures: images that a shader samples, and storage textures that it writes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np

from webgpu_widget import errors
from webgpu_widget.arrays.values import refuse_masked, wholes
from webgpu_widget.device.handles import Sampler, Texture
from webgpu_widget.kernels import layout
from webgpu_widget.link.steps import Steps, drive, drive_async

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device
    from webgpu_widget.link.protocol import BindingInfo

__all__ = ["GPUTexture", "OutTexture", "TextureInput", "out_texture", "sampler", "texture"]

Array = np.ndarray[Any, Any]
Dimension = Literal["1d", "2d", "2d-array", "cube", "cube-array", "3d"]
Comparison = Literal["never", "less", "equal", "less-equal", "greater", "not-equal", "greater-equal", "always"]
_FRONT: dict[Dimension, str] = {
    "1d": "",
    "2d": "height, ",
    "2d-array": "layers, height, ",
    "cube": "6, height, ",
    "cube-array": "6 * cubes, height, ",
    "3d": "depth, height, ",
}
"""The axes before width and channels."""
_DEPTH = "depth32float"

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
} | {"bgra8unorm": (np.dtype("u1"), 4), "rgba8unorm-srgb": (np.dtype("u1"), 4), _DEPTH: (np.dtype("<f4"), 1)}
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

    @property
    def shape(self) -> tuple[int, ...]:
        """Without channels, and without the axes that the dimension has not."""
        drop = {"1d": 2, "2d": 1}.get(self.dimension, 0)
        return self.texels.shape[drop:-1]

    def upload(self, device: Device, timeout: float | None = 30.0, *, storage: bool = False) -> Texture:
        """Make the texture in the browser."""
        width, height, layers = self.size
        levels = int(np.log2(max(width, height))) + 1 if self.mips else 1
        made = device.queue.create_texture(self.format, self.dimension, self.size, mip_levels=levels, storage=storage)
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
        (width, channels) for ``1d``; with one more axis in front for ``2d-array`` (layers), ``cube`` (6 sides: +x, -x, +y, -y, +z, -z),
        ``cube-array`` (6 sides a cube) and ``3d`` (depth). One channel may be left out; three become four, the fourth being one. uint8 is read
        as 0 to 1.
    format : str, optional
        A WebGPU format of the array's dtype and channels, where the dtype's own (``rgba8unorm``, ``r32float``, ...) will not do. A ``texture_depth_*``
        takes one channel of float32 between 0 and 1 (``depth32float``, chosen by itself).
    dimension : {"1d", "2d", "2d-array", "cube", "cube-array", "3d"}
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
    refuse_masked(array, "the texture")
    values = np.asarray(array)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if dimension not in _FRONT:
        raise errors.BindingError(f"dimension is {dimension!r}; a texture is {', '.join(map(repr, _FRONT))}")
    axes = _FRONT[dimension].count(",") + 2
    if values.ndim == axes - 1:
        values = values[..., None]
    if values.ndim != axes or values.shape[-1] not in {1, 2, 3, 4} or not values.size:
        raise errors.ShapeError(
            f"a {dimension} texture is ({_FRONT[dimension]}width, channels) with 1 to 4 channels and no empty axis, not {np.shape(array)}"
        )
    values = values.reshape((1,) * (4 - axes) + values.shape)
    if dimension.startswith("cube"):
        _check_cube(values.shape, dimension)
    if format is None and values.dtype.name not in _BY_DTYPE:
        raise errors.DTypeError(
            f"a texture of {values.dtype.name} needs a format=; without one, uint8, float16 and float32 are taken"
        )
    channels = 4 if values.shape[-1] == 3 else values.shape[-1]
    chosen = format or _CHANNELS[channels] + _BY_DTYPE[values.dtype.name]
    if values.shape[-1] == 3:
        one = np.iinfo(values.dtype).max if "norm" in chosen and values.dtype.kind in "iu" else 1
        values = np.concatenate([values, np.full((*values.shape[:-1], 1), one, values.dtype)], axis=-1)
    if chosen not in FORMATS:
        raise errors.BindingError(
            f"format {chosen!r} is not one that a texture can have here: {', '.join(sorted(FORMATS))}"
        )
    _check_format(chosen, values)
    return TextureInput(np.ascontiguousarray(values), chosen, dimension, mips)


def _check_cube(shape: tuple[int, ...], dimension: Dimension) -> None:
    sides, height, width, _ = shape
    if height != width or sides % 6 or (dimension == "cube" and sides != 6):
        wanted = "6 square sides" if dimension == "cube" else "6 square sides a cube"
        raise errors.ShapeError(f"a {dimension} texture has {wanted}, not {sides} of {height} x {width}")


def _check_format(chosen: str, values: Array) -> None:
    dtype, channels = FORMATS[chosen]
    if dtype != values.dtype or channels != values.shape[-1]:
        raise errors.DTypeError(
            f"format {chosen} holds {channels} channels of {dtype.name}, the array has {values.shape[-1]} of {values.dtype.name}"
        )
    if chosen == _DEPTH and not (values.min() >= 0 and values.max() <= 1):
        raise errors.BindingError(
            f"a depth texture holds numbers from 0 to 1, and the array has {values.min()} to {values.max()}: scale it, or use texture_2d<f32>"
        )


def out_texture(shape: tuple[int, ...], format: str, dimension: Dimension = "2d") -> OutTexture:  # noqa: A002
    """Ask for a storage texture as an output.

    Parameters
    ----------
    shape : (height, width), (width,) for ``1d``, or (layers or depth, height, width)
        Without channels.
    format : str
        As the shader declares it (``rgba8unorm``).
    dimension : {"1d", "2d", "2d-array", "3d"}
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
    if dimension not in _FRONT or dimension.startswith("cube") or format == _DEPTH:
        raise errors.BindingError(
            f"a storage texture is '1d', '2d', '2d-array' or '3d' and no depth texture, not {dimension!r} of {format}"
        )
    axes, sides = _FRONT[dimension].count(",") + 1, wholes(shape)
    if sides is None or len(sides) != axes or min(sides) < 1:
        raise errors.ShapeError(
            f"a {dimension} storage texture has {axes} axes of at least 1 (without channels), not {shape!r}"
        )
    return OutTexture(sides, format, dimension)


def sampler(
    filter: Literal["linear", "nearest"] = "linear",  # noqa: A002
    address: Literal["clamp-to-edge", "repeat", "mirror-repeat"] = "clamp-to-edge",
    compare: Comparison | None = None,
) -> Sampler:
    """Say how a texture is sampled between texels and beyond its edge.

    Parameters
    ----------
    filter : {"linear", "nearest"}
        Between texels.
    address : {"clamp-to-edge", "repeat", "mirror-repeat"}
        Beyond the edge.
    compare : {"never", "less", "equal", "less-equal", "greater", "not-equal", "greater-equal", "always"}, optional
        Makes a ``sampler_comparison``, for depth textures.

    Raises
    ------
    BindingError
        When a word is none of these.
    """
    if filter not in {"linear", "nearest"} or address not in {"clamp-to-edge", "repeat", "mirror-repeat"}:
        raise errors.BindingError(
            f"sampler(filter={filter!r}, address={address!r}): filter is 'linear' or 'nearest', address 'clamp-to-edge', 'repeat' or 'mirror-repeat'"
        )
    if compare is not None and compare not in get_args(Comparison):
        raise errors.BindingError(f"sampler(compare={compare!r}): compare is one of {', '.join(get_args(Comparison))}")
    return Sampler({"filter": filter, "address": address} | ({"compare": compare} if compare else {}))


class GPUTexture:
    """A storage texture that a kernel wrote; stays in the browser until read."""

    def __init__(self, device: Device, memory: Texture, out: OutTexture) -> None:
        self._device = device
        self._memory = memory
        self.dtype, channels = FORMATS[out.format]
        self.format = out.format
        self.dimension = out.dimension
        self.shape = (*out.shape, channels)

    def numpy(self, timeout: float | None = 30.0) -> Array:
        """Return the texels, (height, width, channels)."""
        return drive(self._numpy_steps(), timeout)

    async def numpy_async(self, timeout: float | None = 30.0) -> Array:
        """Coroutine twin of `numpy`."""
        return await drive_async(self._numpy_steps(), timeout)

    def _numpy_steps(self) -> Steps[Array]:
        size_bytes = int(np.prod(self.shape)) * self.dtype.itemsize
        request, data = self._device.queue.start_texture_read(self._memory, size_bytes)
        yield from self._device.wait_steps(request)
        return data.view(self.dtype).reshape(self.shape)

    def free(self) -> None:
        """Give the memory back."""
        self._memory.free()

    def __repr__(self) -> str:
        return f"GPUTexture(shape={self.shape}, format={self.format})"


def bind_opaque(
    device: Device, info: BindingInfo, value: Any, where: str, outputs: dict[str, Any]
) -> Texture | Sampler:
    """Return what a texture's or sampler's variable is bound to; a storage texture that is written is added to the outputs."""
    declared = layout.describe(info["type"])
    if info["kind"] == "sampler":
        if not isinstance(value, Sampler):
            raise errors.BindingError(f"{where} is a {declared}: pass wg.sampler(...), not {type(value).__name__}")
        return _compared(value, declared, where)
    if info["kind"] == "texture":
        return _bind_sampled(device, value, declared, where)
    return _bind_storage(device, info, value, where, outputs)


def _compared(value: Sampler, declared: str, where: str) -> Sampler:
    if ("compare" in value.description) != (declared == "sampler_comparison"):
        raise errors.BindingError(
            f"{where} is a {declared}: a sampler_comparison takes wg.sampler(compare='less' or another comparison), a sampler one without compare"
        )
    return value


def _dimension(declared: str) -> str:
    """Return the dimension that a texture's type says: of ``texture_depth_2d_array`` it is ``2d-array``."""
    bare = declared.partition("<")[0].removeprefix("texture_").removeprefix("storage_").removeprefix("depth_")
    return bare.replace("_", "-")


def _bind_sampled(device: Device, value: Any, declared: str, where: str) -> Texture:
    if declared.startswith("texel_buffer"):
        raise errors.BindingError(
            f"{where} is a {declared}, which WebGPU has no binding for yet: declare it as var<storage, read> of array<u32>, or as a texture"
        )
    dimension = _dimension(declared)
    if dimension not in _FRONT:
        raise errors.BindingError(
            f"{where} is a {declared}, which holds frames of a video or samples of a drawing: a compute kernel takes texture_2d<f32> and wg.texture(array)"
        )
    if isinstance(value, np.ndarray):
        value = texture(value, dimension=dimension)
    if not isinstance(value, (TextureInput, GPUTexture)):
        raise errors.BindingError(f"{where} is a {declared}: pass wg.texture(array), not {type(value).__name__}")
    if value.dimension != dimension:
        raise errors.BindingError(
            f"{where} is a {declared}, but a texture with dimension={value.dimension!r} was passed"
        )
    if isinstance(value, GPUTexture):
        return value._memory
    depth = declared.startswith("texture_depth")
    if depth and value.format != _DEPTH:
        if value.format != "r32float":
            raise errors.BindingError(
                f"{where} is a {declared}: pass wg.texture of float32 with one channel, not of format {value.format}"
            )
        _check_format(_DEPTH, value.texels)
        value = replace(value, format=_DEPTH)
    return value.upload(device)


def _bind_storage(device: Device, info: BindingInfo, value: Any, where: str, outputs: dict[str, Any]) -> Texture:
    kind, access = info["type"], info["access"]
    declared = layout.describe(kind)
    wanted = (kind["format"] if kind["type"] == "opaque" else None) or ""
    dimension = cast("Dimension", _dimension(declared))
    if isinstance(value, np.ndarray):
        value = texture(value, wanted, dimension)
    if not isinstance(value, (GPUTexture, OutTexture, TextureInput)):
        raise errors.BindingError(
            f"{where} is a {declared}: pass wg.out_texture(shape, {wanted!r}) or wg.texture(array, {wanted!r}), not {type(value).__name__}"
        )
    if value.format != wanted or value.dimension != dimension:
        raise errors.BindingError(
            f"{where} is a {declared}, but the texture passed has format {value.format} and dimension={value.dimension!r}"
        )
    if isinstance(value, GPUTexture):
        return value._memory
    if access == "read":
        if isinstance(value, OutTexture):
            raise errors.BindingError(
                f"{where} is a {declared}, which the shader cannot write: pass wg.texture(array, {wanted!r})"
            )
        return value.upload(device, storage=True)
    if isinstance(value, TextureInput):
        if device.queue.recording:
            raise errors.BindingError(
                f"{where} is written, and in a recording each replay would go on from the last one's texels: make the texture before the recording, "
                "by a kernel that writes wg.out_texture(...), and pass that"
            )
        out = OutTexture(value.shape, value.format, value.dimension)
        made = value.upload(device, storage=True)
    else:
        out = value
        layers, height, width = (1, 1, *value.shape)[-3:]
        made = device.queue.create_texture(value.format, value.dimension, (width, height, layers), storage=True)
    outputs[info["name"]] = GPUTexture(device, made, out)
    return made
