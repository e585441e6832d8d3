"""What a view's shader is given by name: numbers that become uniforms, arrays, textures and samplers of the view's GPU."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import traitlets

from webgpu_widget import errors
from webgpu_widget.arrays.array import GPUArray
from webgpu_widget.arrays.lazy import create
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.device.device import Device
from webgpu_widget.device.handles import Buffer, Sampler, Texture
from webgpu_widget.kernels.textures import GPUTexture, TextureInput
from webgpu_widget.link import widgets

__all__ = ["Inputs", "first_device", "uniform_trait"]

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DECLARED = re.compile(r"\bvar\s*<\s*(uniform|storage)\b[^>]*>\s*(\w+)\s*:\s*([^;=]+)")
_COLOR = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
_ELEMENTS = {"float32": "f32", "int32": "i32", "uint32": "u32", "bool": "u32", "float16": "f16", "complex64": "vec2f"}
_SAMPLED = {"uint": "u32", "sint": "i32"}
_WHOLE = {"i32": (-(2**31), 2**31 - 1), "u32": (0, 2**32 - 1)}


def declared_variables(wgsl: str) -> dict[str, tuple[str, str]]:
    """Return address space and type, as written, of the uniforms and storage variables that a module declares itself."""
    return {name: (space, kind.strip()) for space, name, kind in _DECLARED.findall(_COMMENT.sub(" ", wgsl))}


class _Number(traitlets.Float[float, float]):
    """A finite number: JSON, by which it goes to the page, knows no others."""

    def validate(self, obj: Any, value: Any) -> float:
        """As traitlets calls it; NumPy's scalars are taken as well."""
        number: float = super().validate(obj, value.item() if isinstance(value, np.generic) else value)
        if not math.isfinite(number) or abs(number) > np.finfo(np.float32).max:
            raise traitlets.TraitError(f"{self.name} is {value!r}; a uniform is a finite number that float32 can hold")
        return number


class _Numbers(traitlets.TraitType[Any, Any]):
    """Numbers in the shape of a vector, a matrix or an array, kept as nested lists."""

    def __init__(self, default: Any, shape: tuple[int, ...]) -> None:
        self.shape = shape
        super().__init__(default)

    def validate(self, obj: Any, value: Any) -> Any:  # noqa: ARG002
        """As traitlets calls it; takes what NumPy makes an array of."""
        found = np.asarray(value)
        if found.shape != self.shape or found.dtype.kind not in "iufb" or not np.isfinite(found).all():
            raise traitlets.TraitError(
                f"{self.name} is {value!r:.80}; it takes finite numbers in the shape {self.shape}, as at first"
            )
        return found.tolist()


class _Color(traitlets.Unicode[str, str]):
    """A colour as HTML writes it."""

    def validate(self, obj: Any, value: Any) -> str:
        """As traitlets calls it."""
        text = super().validate(obj, value)
        if not _COLOR.fullmatch(text):
            raise traitlets.TraitError(f"{self.name} is {value!r}; a colour is '#rrggbb' or '#rrggbbaa'")
        return text


class _Fields(traitlets.Dict):
    """The fields of a struct, with numbers and lists in them."""

    def validate(self, obj: Any, value: Any) -> dict[str, Any]:
        """As traitlets calls it."""
        return {key: _plain(field) for key, field in (super().validate(obj, dict(value)) or {}).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(field) for key, field in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def uniform_trait(name: str, value: Any, kind: str | None) -> tuple[str, traitlets.TraitType[Any, Any]] | None:
    """Return how a uniform is declared where the WGSL does not do it, and the trait that holds it.

    Parameters
    ----------
    name : str
        Of the uniform.
    value
        What it begins with.
    kind : str, optional
        Its type in the WGSL, where that declares it as a uniform.

    Returns
    -------
    (str, TraitType) or None
        None for what is no uniform: a longer array.
    """
    if isinstance(value, (bool, np.bool_)):
        return "u32", traitlets.Bool(bool(value))
    if isinstance(value, str):
        if not _COLOR.fullmatch(value):
            raise errors.BindingError(f"{name}={value!r}: text is taken for a colour, '#rrggbb' or '#rrggbbaa'")
        return "vec4f", _Color(value)
    if isinstance(value, Mapping):
        if kind is None:
            raise errors.BindingError(
                f"{name} is a dict: declare the struct that it fills, as in `@group(0) @binding(0) var<uniform> {name}: Params;`"
            )
        return kind, _Fields(_plain(value))
    if np.ndim(value) == 0 and isinstance(value, (int, float, np.integer, np.floating)):
        whole = kind if kind in _WHOLE else "i32" if kind is None and isinstance(value, (int, np.integer)) else None
        if whole is None:
            return "f32", _Number(float(value))
        least, most = _WHOLE[whole]
        return whole, traitlets.Int(int(value), min=least, max=most)
    found = np.asarray(value)
    if found.dtype.kind not in "iufb":
        return None
    vector = found.ndim == 1 and 2 <= found.size <= 4
    matrix = found.ndim == 2 and all(2 <= side <= 4 for side in found.shape)
    if kind is None and not (vector or matrix):
        return None
    rows, columns = (*found.shape, 1)[:2] if found.ndim else (1, 1)
    written = f"vec{found.size}f" if vector else f"mat{columns}x{rows}f"
    return written, _Numbers(found.tolist(), found.shape)


def first_device(values: Iterable[Any]) -> Device | None:
    """Return the device of the first of some values that lives on one."""
    return next((value._device for value in values if isinstance(value, (GPUArray, GPUTexture))), None)


class Inputs:
    """What a view's shader is given by name.

    Parameters
    ----------
    device
        Where arrays and textures live.
    wgsl : str
        What declares some of the names, perhaps.
    given : mapping
        Values by name.

    Attributes
    ----------
    uniforms : dict of str to str
        How each uniform is declared where the WGSL does not.
    traits : dict of str to TraitType
        The trait of each uniform.
    """

    def __init__(self, device: Device, wgsl: str, given: Mapping[str, Any]) -> None:
        self.uniforms: dict[str, str] = {}
        self.traits: dict[str, traitlets.TraitType[Any, Any]] = {}
        self._device = device
        self._arrays: dict[str, GPUArray] = {}
        self._host: dict[str, np.ndarray[Any, Any]] = {}
        self._kept: dict[str, tuple[int, GPUArray]] = {}
        """Host arrays on the GPU, with the generation in which they were uploaded."""
        self._textures: dict[str, TextureInput | GPUTexture] = {}
        self._uploaded: dict[str, Texture] = {}
        self._samplers: dict[str, Sampler] = {}
        declared = declared_variables(wgsl)
        for name, value in given.items():
            self._add(name, value, declared.get(name))

    def _add(self, name: str, value: Any, declared: tuple[str, str] | None) -> None:
        if isinstance(value, GPUArray):
            value._device.check_same(self._device, f"{name!r} of the view")
            self._arrays[name] = value
        elif isinstance(value, (TextureInput, GPUTexture)):
            if isinstance(value, GPUTexture):
                value._device.check_same(self._device, f"{name!r} of the view")
            self._textures[name] = value
        elif isinstance(value, Sampler):
            self._samplers[name] = value
        else:
            kind = declared[1] if declared is not None and declared[0] == "uniform" else None
            is_storage = declared is not None and declared[0] == "storage"
            found = None if is_storage else uniform_trait(name, value, kind)
            if found is not None:
                self.uniforms[name], self.traits[name] = found
            else:
                self._add_host(name, value)

    def _add_host(self, name: str, value: Any) -> None:
        array = np.asarray(value)
        if array.dtype.name not in _ELEMENTS:
            raise errors.BindingError(
                f"{name!r} of the view is {type(value).__name__} of {array.dtype.name}; a view takes numbers, colours, GPUArrays, arrays of "
                f"{', '.join(_ELEMENTS)}, wg.texture(...) and wg.sampler(...)"
            )
        if not array.size:
            raise errors.ShapeError(f"{name!r} of the view has shape {array.shape}: WebGPU cannot bind an empty array")
        self._host[name] = array.copy()

    @property
    def resident(self) -> bool:
        """Whether any of it lives on the GPU alone, and would be lost with it."""
        return bool(self._arrays) or any(isinstance(value, GPUTexture) for value in self._textures.values())

    def wire(self) -> tuple[dict[str, widgets.ViewInput], list[Buffer | Texture]]:
        """Return what the page needs to bind it, with what was gone uploaded again; and what lives there for it."""
        told: dict[str, widgets.ViewInput] = {
            name: {"kind": "uniform", "type": kind} for name, kind in self.uniforms.items()
        }
        uses: list[Buffer | Texture] = []
        for name, array in (*self._arrays.items(), *self._uploads()):
            buffer = runtime_of(self._device).sharing.keep(array)
            uses.append(buffer)
            told[name] = {
                "kind": "array",
                "type": f"array<{_ELEMENTS[array.dtype.name]}>",
                "buffer": buffer.handle,
                "size_bytes": array.nbytes,
            }
        for name, value in self._textures.items():
            texture = self._texture(name, value)
            uses.append(texture)
            told[name] = {"kind": "texture", "type": _sampled(value), "texture": texture.handle}
        for name, sampler in self._samplers.items():
            kind = "sampler_comparison" if "compare" in sampler.description else "sampler"
            told[name] = {"kind": "sampler", "type": kind, "sampler": sampler.description}
        return told, uses

    def _uploads(self) -> Iterable[tuple[str, GPUArray]]:
        generation = self._device.queue.generation
        for name, value in self._host.items():
            held = self._kept.get(name)
            if held is None or held[0] != generation:
                held = self._kept[name] = (generation, create.asarray(self._device, value))
            yield name, held[1]

    def _texture(self, name: str, value: TextureInput | GPUTexture) -> Texture:
        if isinstance(value, GPUTexture):
            return value._memory
        held = self._uploaded.get(name)
        if held is None or held.generation != self._device.queue.generation:
            held = self._uploaded[name] = value.upload(self._device)
        return held


def _sampled(value: TextureInput | GPUTexture) -> str:
    if value.format == "depth32float":
        return "texture_depth_2d"
    kind = next((written for ending, written in _SAMPLED.items() if value.format.endswith(ending)), "f32")
    return f"texture_{value.dimension.replace('-', '_')}<{kind}>"
