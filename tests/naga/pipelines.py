"""WGSL to pipelines by naga: the twin of ``js/src/pipelines.ts``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from fake_page import Message

from . import guard
from .reflector import CommandError, Reflector

_PLACE = re.compile(r"wgsl:(\d+):(\d+)")
_BINDING_LIMITS = {
    "storage": "maxStorageBuffersPerShaderStage",
    "uniform": "maxUniformBuffersPerShaderStage",
    "texture": "maxSampledTexturesPerShaderStage",
    "storage-texture": "maxStorageTexturesPerShaderStage",
}


@dataclass
class Compiled:
    """A pipeline. ``wide`` names the variables that are bound with their guard zone."""

    label: str
    source: str
    pipeline: Any
    layouts: dict[int, Any]
    bindings: list[Message]
    wide: frozenset[str]
    answer: Message


def check_limit(limits: dict[str, int], what: str, limit: str, wanted: int) -> None:
    """Refuse what is beyond a limit, with both numbers."""
    allowed = limits[limit]
    if wanted > allowed:
        text = f"{what}: {wanted} wanted, and this adapter's {limit} is {allowed}"
        raise CommandError("limit", text, {"limit": limit, "wanted": wanted, "allowed": allowed})


class Pipelines:
    """Pipelines by Python's handles, each text compiled once.

    ``compiled`` has every compile command that went well, and ``dispatched`` the sources that ran, for tests to look at.
    """

    def __init__(self, device: Any, info: Message, reflector: Reflector) -> None:
        import wgpu

        self._wgpu = wgpu
        self._device = device
        self._limits: dict[str, int] = info["limits"]
        self._subgroups = "subgroups" in info["features"]
        self._reflector = reflector
        self._known: dict[int, Compiled | CommandError] = {}
        self._made: dict[Any, Compiled] = {}
        self.compiled: list[Message] = []
        self.dispatched: set[str] = set()

    def get(self, handle: int) -> Compiled:
        """Return the pipeline of a handle."""
        found = self._known.get(handle)
        if found is None:
            raise CommandError("unknown-handle", f"there is no pipeline {handle}", {"handle": handle})
        if isinstance(found, CommandError):
            raise found
        if found.pipeline is None:
            raise CommandError("binding", f"{found.label}: the module alone does not say what to run")
        self.dispatched.add(found.source)
        return found

    def free(self, handle: int) -> None:
        """Forget a handle."""
        self._known.pop(handle, None)

    def compile(self, command: Message) -> Message:
        """Compile, and return the answer."""
        key = (command["source"], command["entry_point"], tuple(sorted(command["constants"].items())))
        try:
            made = self._made.get(key) or self._compile(command)
        except CommandError as error:
            self._known[command["pipeline"]] = error
            raise
        self._made[key] = self._known[command["pipeline"]] = made
        self.compiled.append(command)
        return made.answer

    def _compile(self, command: Message) -> Compiled:
        label, source = command["label"], command["source"]
        if self._subgroups:
            source = source.replace("enable subgroups;", "")
        self._naga(label, lambda: self._device.create_shader_module(label=label, code=source))
        found = self._reflector.ask(source, command["entry_point"], command["constants"])
        size, bindings, entry_point = found["workgroup_size"], found["bindings"], found["entry_point"]
        answer = {
            "entry_point": entry_point,
            "workgroup_size": size,
            "reflection": found["reflection"],
            "messages": [],
        }
        if not entry_point:
            return Compiled(label, source, None, {}, [], frozenset(), answer)
        for axis, wanted in zip("XYZ", size, strict=True):
            check_limit(self._limits, f"{label}: @workgroup_size({size})", f"maxComputeWorkgroupSize{axis}", wanted)
        check_limit(
            self._limits, f"{label}: @workgroup_size({size})", "maxComputeInvocationsPerWorkgroup", int(np.prod(size))
        )
        for kind, limit in _BINDING_LIMITS.items():
            wanted = sum(binding["kind"] == kind for binding in bindings)
            check_limit(self._limits, f"{label}: bindings of kind {kind}", limit, wanted)
        guarded, wide = guard.widen(source, bindings)
        layouts = self._layouts(bindings)
        explicit = "auto" if layouts is None else self._device.create_pipeline_layout(bind_group_layouts=layouts)
        pipeline = self._naga(
            label,
            lambda: self._device.create_compute_pipeline(
                label=label,
                layout=explicit,
                compute={
                    "module": self._device.create_shader_module(label=label, code=guarded),
                    "entry_point": entry_point,
                    "constants": found["constants"],
                },
            ),
        )
        groups = {binding["group"] for binding in bindings}
        by_group = {
            group: pipeline.get_bind_group_layout(group) if layouts is None else layouts[group] for group in groups
        }
        return Compiled(label, source, pipeline, by_group, bindings, wide, answer)

    def _naga(self, label: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except self._wgpu.GPUError as error:
            place = _PLACE.search(str(error))
            line, column = (int(place[1]), int(place[2])) if place else (0, 0)
            message = {"severity": "error", "message": str(error), "line": line, "column": column, "length": 0}
            raise CommandError(
                "shader", f"{label}: {error}", {"messages": [message], "line": line, "column": column}
            ) from error

    def _layouts(self, bindings: list[Message]) -> list[Any] | None:
        """Explicit layouts by group, or None where textures leave the choice to WebGPU."""
        if any(binding["kind"] not in {"uniform", "storage"} for binding in bindings):
            return None
        kinds = {"read": "read-only-storage", "read_write": "storage"}
        entries: list[list[Message]] = [
            [] for _ in range(max((binding["group"] for binding in bindings), default=-1) + 1)
        ]
        for binding in bindings:
            kind = "uniform" if binding["kind"] == "uniform" else kinds[binding["access"]]
            entries[binding["group"]].append(
                {
                    "binding": binding["binding"],
                    "visibility": self._wgpu.ShaderStage.COMPUTE,
                    "buffer": {"type": kind, "min_binding_size": binding["min_bytes"]},
                }
            )
        return [self._device.create_bind_group_layout(entries=of_group) for of_group in entries]
