"""Textures and samplers on a wgpu device: the twin of ``js/src/textures.ts``, without mip levels."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from fake_page import Message

from .reflector import CommandError

_CHANNELS = {"r": 1, "rg": 2, "rgba": 4, "bgra": 4}
_FORMAT = re.compile(r"(rgba|bgra|rg|r)(8|16|32)(unorm|snorm|uint|sint|float)(-srgb)?")
_SAMPLER = {
    "filter": ("mag_filter", "min_filter", "mipmap_filter"),
    "mag_filter": ("mag_filter",),
    "min_filter": ("min_filter",),
    "mipmap_filter": ("mipmap_filter",),
    "address": ("address_mode_u", "address_mode_v", "address_mode_w"),
    "address_u": ("address_mode_u",),
    "address_v": ("address_mode_v",),
    "address_w": ("address_mode_w",),
    "compare": ("compare",),
}


class Textures:
    """Textures by Python's handles."""

    def __init__(self, device: Any, limits: dict[str, int]) -> None:
        import wgpu

        self._wgpu = wgpu
        self._device = device
        self._limits = limits
        self._known: dict[int, tuple[Any, Any, Message]] = {}

    def create(self, command: Message) -> None:
        """Make a texture and its view."""
        if command["mip_levels"] > 1:
            raise CommandError("format", "this front end makes no mip levels")
        dimension = command["dimension"]
        limit = "maxTextureDimension3D" if dimension == "3d" else "maxTextureDimension2D"
        widest = max(command["size"] if dimension == "3d" else command["size"][:2])
        if widest > self._limits[limit]:
            details = {"limit": limit, "wanted": widest, "allowed": self._limits[limit]}
            raise CommandError(
                "limit", f"a texture of {command['size']} texels: {limit} is {self._limits[limit]}", details
            )
        use = self._wgpu.TextureUsage
        texture = self._device.create_texture(
            size=command["size"],
            format=command["format"],
            dimension="3d" if dimension == "3d" else "2d",
            usage=use.TEXTURE_BINDING
            | use.COPY_DST
            | use.COPY_SRC
            | (use.STORAGE_BINDING if command["storage"] else 0),
        )
        self._known[command["texture"]] = (texture, texture.create_view(dimension=dimension), command)

    def _get(self, handle: int) -> tuple[Any, Any, Message]:
        if handle not in self._known:
            raise CommandError("unknown-handle", f"there is no texture {handle}", {"handle": handle})
        return self._known[handle]

    def view(self, handle: int) -> Any:
        """Return the whole view."""
        return self._get(handle)[1]

    def free(self, handle: int) -> None:
        """Forget a texture."""
        self._known.pop(handle, None)

    def write(self, command: Message, data: bytes) -> None:
        """Fill a part of a level."""
        self._device.queue.write_texture(
            {
                "texture": self._get(command["texture"])[0],
                "mip_level": command["mip_level"],
                "origin": command["origin"],
            },
            data,
            {"bytes_per_row": command["bytes_per_row"], "rows_per_image": command["size"][1]},
            command["size"],
        )

    def read(self, handle: int) -> bytes:
        """Return mip level 0, rows tight."""
        texture, _, command = self._get(handle)
        form = _FORMAT.fullmatch(command["format"])
        assert form is not None, command["format"]
        width, height, depth = command["size"]
        row = width * _CHANNELS[form[1]] * int(form[2]) // 8
        texels = self._device.queue.read_texture(
            {"texture": texture, "mip_level": 0, "origin": (0, 0, 0)},
            {"bytes_per_row": row, "rows_per_image": height},
            (width, height, depth),
        )
        return np.frombuffer(texels, np.uint8).tobytes()

    def sampler(self, description: dict[str, str]) -> Any:
        """Return the sampler of a description."""
        options = {key: value for name, value in description.items() for key in _SAMPLER[name]}
        return self._device.create_sampler(**options)
