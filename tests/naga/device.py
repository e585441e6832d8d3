"""llvmpipe through wgpu-py, as a browser would describe it."""

from __future__ import annotations

import os
import pathlib
import re
from typing import Any

from fake_page import Message

_DRIVERS = pathlib.Path("/usr/share/vulkan/icd.d")
_ADVICE = "install Mesa's Vulkan drivers (sh tools/ensure_vulkan.sh; Debian: apt-get install mesa-vulkan-drivers)"
_FEATURES = ("shader-f16", "timestamp-query", "float32-filterable", "bgra8unorm-storage")
"""What both the adapter and naga may have of the features that the engine asks for."""
_NATIVE_LIMIT = re.compile("binding-array|immediate|multiview|non-sampler|plus-vertex|color-attachment-bytes")


def open_device(*, subgroups: bool) -> tuple[Any, Message]:
    """Return the device and what a page answers to get-device.

    Parameters
    ----------
    subgroups : bool
        Whether to have wgpu's own feature under WebGPU's name. Naga knows the functions and refuses the line ``enable subgroups;``.

    Raises
    ------
    RuntimeError
        Without llvmpipe; there is no other adapter that every machine has.
    """
    found = sorted(_DRIVERS.glob("lvp_icd*.json"))
    if found:
        os.environ["VK_DRIVER_FILES"] = os.environ["VK_ICD_FILENAMES"] = str(found[0])
    import wgpu

    try:
        adapter = wgpu.gpu.request_adapter_sync()
    except RuntimeError as error:
        raise RuntimeError(f"wgpu-py finds no adapter ({error}): {_ADVICE}") from error
    info = dict(adapter.info)
    if info["vendor"] != "llvmpipe":
        raise RuntimeError(f"wgpu-py gives {info['vendor']} {info['device']} where llvmpipe is wanted: {_ADVICE}")
    features = [name for name in _FEATURES if name in adapter.features]
    wanted = [*features, "subgroup"] if subgroups else features
    device = adapter.request_device_sync(required_features=wanted, required_limits=adapter.limits)
    limits = {_camel(name): value for name, value in device.limits.items() if not _NATIVE_LIMIT.search(name)}
    return device, {
        "vendor": info["vendor"],
        "architecture": "",
        "device": info["device"],
        "description": info["description"],
        "is_fallback": info["adapter_type"] == "CPU",
        "features": sorted([*features, "subgroups"] if subgroups else features),
        "wgsl_features": [],
        "limits": limits,
        "subgroup_matrix_configs": [],
        "user_agent": f"Firefox/0 (its compiler alone, by wgpu-py {wgpu.__version__})",
    }


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(
        ["1D", "2D", "3D"][int(part[0]) - 1] if part in {"1d", "2d", "3d"} else part.capitalize() for part in rest
    )
