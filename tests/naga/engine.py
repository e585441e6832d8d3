"""Commands of the protocol on a wgpu device: the twin of ``js/src/engine.ts``, without its speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fake_page import Message

from . import guard
from .pipelines import Compiled, Pipelines, check_limit
from .reflector import CommandError
from .textures import Textures

_DISPATCHES_A_SUBMIT = 256


@dataclass(eq=False)
class Held:
    """A buffer; ``writer`` is the kernel that may have written to it since its zone was looked at."""

    buffer: Any
    size: int
    label: str
    writer: str = ""


class Engine:
    """See the module.

    Parameters
    ----------
    device, info
        As `webgpu_widget`'s tests get them from `open_device`.
    pipelines : Pipelines
        Shared by the engines of a page.
    fill : bytes
        Four bytes; what fills the guard zone behind each buffer.
    """

    def __init__(self, device: Any, info: Message, pipelines: Pipelines, fill: bytes) -> None:
        import wgpu

        self.wgpu = wgpu
        self.device = device
        self.limits: dict[str, int] = info["limits"]
        self.textures = Textures(device, self.limits)
        self._zone = fill * (guard.ZONE_BYTES // 4)
        self._buffers: dict[int, Held] = {}
        self._pipelines = pipelines
        self._programs: dict[int, tuple[list[Message], Sequence[bytes]]] = {}
        self._encoder: Any = None
        self._pass: Any = None
        self._dispatches = 0
        self._written: dict[int, Held] = {}
        self._ran: Counter[str] = Counter()
        use = wgpu.BufferUsage
        self._fence = device.create_buffer(size=4, usage=use.COPY_SRC)
        self._usage = use.STORAGE | use.UNIFORM | use.COPY_SRC | use.COPY_DST | use.INDIRECT
        self._operations: dict[str, Callable[[Message, Sequence[bytes]], None]] = {
            "create-buffer": self._create_buffer,
            "write-buffer": self._write_buffer,
            "clear-buffer": self._clear_buffer,
            "copy-buffer": self._copy_buffer,
            "free-buffer": self._free_buffer,
            "create-texture": lambda command, _: self.textures.create(command),
            "write-texture": self._write_texture,
            "free-texture": lambda command, _: self.textures.free(command["texture"]),
            "dispatch": self._dispatch,
            "create-program": self._create_program,
            "run-program": self._run_program,
            "free-program": lambda command, _: self._free_program(command["program"]),
            "profile-start": lambda _command, _: self._ran.clear(),
            "free-pipeline": lambda command, _: self._pipelines.free(command["pipeline"]),
        }

    def command(self, command: Message, data: Sequence[bytes]) -> None:
        """Run a command that has no reply."""
        operation = self._operations.get(command["op"])
        if operation is None:
            raise CommandError("internal", f"this front end has no {command['op']}")
        operation(command, data)

    @property
    def memory(self) -> Message:
        """The answer to get-memory."""
        size = sum(held.size for held in self._buffers.values())
        return {"buffers": len(self._buffers), "bytes": size, "peak_bytes": size}

    def profile(self) -> list[Message]:
        """Return the rows of profile-stop, without times."""
        return [
            {"name": name, "dispatches": count, "gpu_ms": None, "wall_ms": 0.0} for name, count in self._ran.items()
        ]

    # ------------------------------------------------------------ submitting

    def _commands(self) -> Any:
        """Return an encoder outside of any pass."""
        if self._pass is not None:
            self._pass.end()
            self._pass = None
        if self._encoder is None:
            self._encoder = self.device.create_command_encoder()
        return self._encoder

    def flush(self) -> None:
        """Submit what is recorded."""
        if self._encoder is not None:
            commands = self._commands().finish()
            self._encoder = None
            self._dispatches = 0
            self.device.queue.submit([commands])

    def finish(self) -> None:
        """Wait for all that was submitted."""
        self.flush()
        # wgpu-py 0.32.0 cannot call on_submitted_work_done_sync: its callback has another signature than the library's.
        self.device.queue.read_buffer(self._fence)

    # ------------------------------------------------------------ buffers

    def _held(self, handle: int) -> Held:
        held = self._buffers.get(handle)
        if held is None:
            raise CommandError("unknown-handle", f"there is no buffer {handle}", {"handle": handle})
        return held

    def _range(self, held: Held, offset: int, size: int, what: str) -> None:
        if offset < 0 or size < 0 or offset % 4 or size % 4 or offset + size > held.size:
            raise CommandError(
                "validation",
                f"{what}: bytes {offset} to {offset + size} are not in {held.label} of {held.size} bytes, or no multiples of 4",
            )

    def _make(self, size: int, label: str) -> Held:
        buffer = self.device.create_buffer(label=label, size=size + len(self._zone), usage=self._usage)
        self.device.queue.write_buffer(buffer, size, self._zone)
        return Held(buffer, size, label)

    def _create_buffer(self, command: Message, _: Sequence[bytes]) -> None:
        size = max(4, -(-command["size_bytes"] // 4) * 4)
        label = command.get("label", f"buffer {command['buffer']}")
        check_limit(self.limits, f"{label} needs {size} bytes", "maxBufferSize", size + len(self._zone))
        self._buffers[command["buffer"]] = self._make(size, label)

    def _write_buffer(self, command: Message, data: Sequence[bytes]) -> None:
        index, start, size = command["data"]
        held = self._held(command["buffer"])
        self._range(held, command["offset"], size, "write")
        if size:
            self.flush()
            self.device.queue.write_buffer(held.buffer, command["offset"], data[index][start : start + size])

    def _clear_buffer(self, command: Message, _: Sequence[bytes]) -> None:
        held = self._held(command["buffer"])
        self._range(held, command["offset"], command["size_bytes"], "clear")
        if command["size_bytes"]:
            self._commands().clear_buffer(held.buffer, command["offset"], command["size_bytes"])

    def _copy_buffer(self, command: Message, _: Sequence[bytes]) -> None:
        source, target, size = self._held(command["source"]), self._held(command["target"]), command["size_bytes"]
        self._range(source, command["source_offset"], size, "copy from")
        self._range(target, command["target_offset"], size, "copy to")
        if size == 0:
            return
        origin, offset = source.buffer, command["source_offset"]
        if source is target:
            origin, offset = self.device.create_buffer(size=size, usage=self._usage), 0
            self._commands().copy_buffer_to_buffer(source.buffer, command["source_offset"], origin, 0, size)
        self._commands().copy_buffer_to_buffer(origin, offset, target.buffer, command["target_offset"], size)

    def _free_buffer(self, command: Message, _: Sequence[bytes]) -> None:
        held = self._buffers.pop(command["buffer"], None)
        if held is not None and held.writer:
            self._written[id(held)] = held

    def read(self, reads: Sequence[Message]) -> list[bytes]:
        """Return the bytes of the spans."""
        spans = [(self._held(read["buffer"]), read["offset"], read["size_bytes"]) for read in reads]
        for held, offset, size in spans:
            self._range(held, offset, size, "read")
        self.flush()
        return [
            bytes(self.device.queue.read_buffer(held.buffer, offset, size)) if size else b""
            for held, offset, size in spans
        ]

    def read_texture(self, handle: int) -> bytes:
        """Return the texels of mip level 0, rows tight."""
        self.flush()
        return self.textures.read(handle)

    def inspect_zones(self) -> list[str]:
        """Say which kernels may have written past the end of which buffers, and mend those zones."""
        self.flush()
        trespasses = []
        written = [*self._written.values(), *(held for held in self._buffers.values() if held.writer)]
        self._written.clear()
        for held in written:
            found = np.frombuffer(self.device.queue.read_buffer(held.buffer, held.size, len(self._zone)), np.uint32)
            wrong = np.flatnonzero(found != np.frombuffer(self._zone, np.uint32))
            if wrong.size:
                trespasses.append(
                    f"{held.writer} wrote {4 * wrong[0]} bytes past the end of {held.label}, {held.size} bytes"
                )
                self.device.queue.write_buffer(held.buffer, held.size, self._zone)
            held.writer = ""
        return trespasses

    def _write_texture(self, command: Message, data: Sequence[bytes]) -> None:
        index, start, size = command["data"]
        self.flush()
        self.textures.write(command, data[index][start : start + size])

    # ------------------------------------------------------------ dispatches

    def _dispatch(self, command: Message, data: Sequence[bytes]) -> None:
        compiled = self._pipelines.get(command["pipeline"])
        workgroups = [*command["workgroups"], 1, 1][:3]
        check_limit(
            self.limits,
            f"{compiled.label} was called with {workgroups} workgroups",
            "maxComputeWorkgroupsPerDimension",
            max(workgroups),
        )
        if "indirect" not in command and 0 in workgroups:
            return
        back: list[Callable[[], None]] = []
        groups = self._bind(compiled, command["args"], data, back)
        if self._pass is None:
            self._pass = self._commands().begin_compute_pass()
        self._pass.set_pipeline(compiled.pipeline)
        for index, group in groups.items():
            self._pass.set_bind_group(index, group)
        if "indirect" in command:
            handle, offset = command["indirect"]
            self._pass.dispatch_workgroups_indirect(self._held(handle).buffer, offset)
        else:
            self._pass.dispatch_workgroups(*workgroups)
        for copy in back:
            copy()
        self._ran[compiled.label] += 1
        self._dispatches += 1
        if self._dispatches >= _DISPATCHES_A_SUBMIT:
            self.flush()

    def _bind(
        self, compiled: Compiled, args: Sequence[Message], data: Sequence[bytes], back: list[Callable[[], None]]
    ) -> dict[int, Any]:
        given = {(arg["group"], arg["binding"]): arg for arg in args}
        entries: dict[int, list[Message]] = {group: [] for group in compiled.layouts}
        for binding in compiled.bindings:
            arg = given.get((binding["group"], binding["binding"]))
            if arg is None:
                name = f"{binding['name']} (@group({binding['group']}) @binding({binding['binding']}))"
                raise CommandError("binding", f"{compiled.label}: nothing is bound to {name}")
            resource = self._resource(compiled, binding, arg, data, back)
            entries[binding["group"]].append({"binding": binding["binding"], "resource": resource})
        return {
            group: self.device.create_bind_group(layout=compiled.layouts[group], entries=of_group)
            for group, of_group in entries.items()
        }

    def _resource(
        self, compiled: Compiled, binding: Message, arg: Message, data: Sequence[bytes], back: list[Callable[[], None]]
    ) -> Any:
        if "uniform" in arg:
            index, start, size = arg["uniform"]
            bytes_ = data[index][start : start + size] + bytes(-size % 16)
            buffer = self.device.create_buffer_with_data(data=bytes_, usage=self.wgpu.BufferUsage.UNIFORM)
            return {"buffer": buffer, "offset": 0, "size": len(bytes_)}
        if "texture" in arg:
            return self.textures.view(arg["texture"])
        if "sampler" in arg:
            return self.textures.sampler(arg["sampler"])
        held = self._held(arg["buffer"])
        offset = arg.get("offset", 0)
        size = arg.get("size_bytes", 0) or held.size - offset
        what = f"{compiled.label}: {binding['name']}"
        self._range(held, offset, size, what)
        limit = "maxUniformBufferBindingSize" if binding["kind"] == "uniform" else "maxStorageBufferBindingSize"
        check_limit(self.limits, f"{what} binds {size} bytes", limit, size)
        writes = binding["kind"] == "storage" and binding["access"] != "read"
        if offset + size < held.size:
            held, offset = self._apart(held, offset, size, back if writes else None), 0
        if writes:
            held.writer = compiled.label
        wide = binding["name"] in compiled.wide and size + len(self._zone) <= self.limits[limit]
        return {"buffer": held.buffer, "offset": offset, "size": size + len(self._zone) if wide else size}

    def _apart(self, held: Held, offset: int, size: int, back: list[Callable[[], None]] | None) -> Held:
        """Copy a part of a buffer into one of its own, with a zone behind it, and back after the dispatch."""
        part = self._make(size, f"a part of {held.label}")
        self._commands().copy_buffer_to_buffer(held.buffer, offset, part.buffer, 0, size)
        if back is not None:
            self._written[id(part)] = part
            back.append(lambda: self._commands().copy_buffer_to_buffer(part.buffer, 0, held.buffer, offset, size))
        return part

    # ------------------------------------------------------------ programs

    def _create_program(self, command: Message, data: Sequence[bytes]) -> None:
        self._programs[command["program"]] = (command["commands"], data)

    def _run_program(self, command: Message, _: Sequence[bytes]) -> None:
        program = self._programs.get(command["program"])
        if program is None:
            raise CommandError("unknown-handle", f"there is no program {command['program']}")
        commands, data = program
        for _ in range(command["times"]):
            for step in commands:
                self.command(step, data)

    def _free_program(self, handle: int) -> None:
        self._programs.pop(handle, None)
