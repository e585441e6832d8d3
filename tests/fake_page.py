"""A page in Python: the protocol's browser side with two kernels in NumPy instead of a GPU.

It is the twin of ``js/src/session.ts`` and the engine's outer behaviour, without I/O and without a clock: links hand it messages, and what it wants
to do later goes through ``after``. Knobs make it slow, frozen (the page answers, its GPU does not) or dead.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from webgpu_widget.link import protocol

Message = dict[str, Any]
After = Callable[[float, Callable[[], None]], None]

SQUARE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * x[id.x]; }
}"""
COUNT = """
@group(0) @binding(0) var<storage, read_write> n: array<u32>;
@compute @workgroup_size(1) fn main() { n[0] += 1u; }"""
GAP_S = 1.0
ACK_DELAY_S = 0.2


def _array(name: str, binding: int, elem: str, access: str) -> Message:
    scalar = {"type": "scalar", "name": elem, "size": 4, "align": 4, "atomic": False}
    kind = {"type": "array", "elem": scalar, "count": 0, "stride": 4, "size": 0, "align": 4}
    return {"name": name, "group": 0, "binding": binding, "kind": "storage", "access": access, "type": kind}


def _compiled(size: int, bindings: list[Message]) -> Message:
    entry = {
        "name": "main",
        "workgroup_size": [str(size), "1", "1"],
        "bindings": list(range(len(bindings))),
        "overrides": [],
    }
    reflection = {"entry_points": [entry], "bindings": bindings, "structs": [], "overrides": []}
    return {"entry_point": "main", "workgroup_size": [size, 1, 1], "reflection": reflection, "messages": []}


COMPILED = {
    SQUARE: _compiled(64, [_array("x", 0, "f32", "read"), _array("y", 1, "f32", "read_write")]),
    COUNT: _compiled(1, [_array("n", 0, "u32", "read_write")]),
}


class Link(Protocol):
    """One way to Python."""

    kind: str

    def send(self, message: Message, buffers: Sequence[bytes]) -> None: ...


class FakePage:
    """See the module.

    Parameters
    ----------
    after : callable
        Called with seconds and an action.
    """

    _numbers = itertools.count(1)

    def __init__(self, after: After, *, loopback: bool = False, loud: bool = True) -> None:
        self.after = after
        self.instance = f"fake-{next(self._numbers)}"
        self.loopback = loopback
        self.loud = loud
        self.role = "waiting"
        self.session: str | None = None
        self.links: list[Link] = []
        self.open_lane: Callable[[Message], Link] | None = None
        # knobs
        self.delay_s = 0.0
        self.frozen = False
        self.dead = False
        self.working_on = ""
        # what tests look at
        self.batches = 0
        self.lane: Message | None = None
        self.cancelled: list[str] = []
        self.resets: list[str] = []
        self.ran: list[int] = []
        self.most_kept_bytes = 0
        self.epoch = 1
        self._forget()
        self._fresh()

    # ------------------------------------------------------------ session

    @property
    def link(self) -> Link | None:
        return self.links[-1] if self.links else None

    def _forget(self) -> None:
        self.sent = self.received = self.dealt = self.acked = self.since_ack_bytes = 0
        self.kept: deque[tuple[Message, list[bytes], int]] = deque()
        self.kept_bytes = 0
        self.waiters: deque[tuple[int, Callable[[], None]]] = deque()
        self.early: dict[int, tuple[Message, list[bytes]]] = {}
        self.open: set[str] = set()
        self.ack_timer = self.gap_timer = self.muted = False

    def hello(self, link: Link) -> None:
        """Speak first."""
        if self.dead or self.role == "closed":
            return
        link.send(
            {
                "kind": "hello",
                "protocol_version": protocol.PROTOCOL_VERSION,
                "instance": self.instance,
                "session": self.session,
                "received": self.received,
                "host": "fake",
                "loopback": self.loopback,
                "visible": True,
                "user_agent": "fake page",
                "no_gpu_reason": None,
            },
            [],
        )

    def bye(self, link: Link) -> None:
        """Go away, politely."""
        link.send({"kind": "bye", "instance": self.instance}, [])
        self.role = "closed"
        self.links.clear()

    def link_closed(self, link: Link) -> None:
        if link not in self.links:
            return
        was_active = link is self.link
        self.links.remove(link)
        if was_active:
            self._say("resume", received=self.received)

    def receive(self, link: Link, message: Message, buffers: Sequence[Any]) -> None:
        if self.dead or self.role == "closed":
            return
        kind = message["kind"]
        if kind == "roll-call":
            if self.loud:
                self.muted = self.role == "leader"
                self.hello(link)
            return
        if message.get("instance") != self.instance:
            return
        if kind == "welcome":
            self._welcome(link, message)
        elif kind == "standby":
            self.role = "standby"
            self.session = None
            self.links.clear()
            self._forget()
            self._fresh()
        elif kind == "ping":
            pong = {"kind": "pong", "instance": self.instance, "nonce": message["nonce"], "working_on": self.working_on}
            link.send(pong, [])
        elif kind == "batch" and self.role == "leader":
            self._stream(message, [bytes(item) for item in buffers])
        elif kind == "ack":
            self._prune(int(message["ack"]))
        elif kind == "resume":
            self._resumed(link, int(message["received"]))
        elif kind == "cancel":
            self.cancelled += message["ids"]
            self.open.difference_update(message["ids"])
        elif kind == "reset":
            self.resets.append(message["reason"])
            self._lose(message["reason"])
        elif kind == "close":
            self.role = "closed"

    def _welcome(self, link: Link, message: Message) -> None:
        if message["session"] != self.session:
            self._forget()
            self._fresh()
            self.links.clear()
            self.session = message["session"]
            self.epoch = 1
        self.role = "leader"
        if link in self.links:
            self.links.remove(link)
        self.links.insert(0 if link.kind == "comm" else len(self.links), link)
        self._prune(int(message["received"]))
        muted, self.muted = self.muted, False
        if muted or link is self.link:
            self._resend()
        self.lane = message["lane"] or self.lane
        if message["lane"] and self.open_lane is not None:
            self.open_lane(message["lane"])

    def _resumed(self, link: Link, received: int) -> None:
        if link not in self.links:
            return
        if link is not self.link:
            del self.links[self.links.index(link) + 1 :]
            self._say("resume", received=self.received)
        self._prune(received)
        self._resend()

    def _stream(self, batch: Message, buffers: list[bytes]) -> None:
        if batch["seq"] <= self.received:
            self._ack()
            return
        self.early[batch["seq"]] = (batch, buffers)
        while (following := self.early.pop(self.received + 1, None)) is not None:
            self.received += 1
            self.batches += 1
            self.open.update(command["id"] for command in following[0]["commands"] if "id" in command)
            self._run(*following)
        if self.early:
            self._watch_gap()

    def _watch_gap(self) -> None:
        if self.gap_timer:
            return
        self.gap_timer = True
        received, session = self.received, self.session

        def look() -> None:
            self.gap_timer = False
            if self.early and session == self.session:
                if received == self.received:
                    self._say("resume", received=received)
                self._watch_gap()

        self.after(GAP_S, look)

    def _dealt_with(self, seq: int, size_bytes: int) -> None:
        self.dealt = seq
        self.since_ack_bytes += size_bytes
        if self.since_ack_bytes >= protocol.CHUNK_BYTES // 4 or self.dealt - self.acked >= 16:
            self._ack()
        elif not self.ack_timer:
            self.ack_timer = True

            def late() -> None:
                self.ack_timer = False
                if self.dealt > self.acked:
                    self._ack()

            self.after(ACK_DELAY_S, late)

    def _ack(self) -> None:
        self.acked = self.dealt
        self.since_ack_bytes = 0
        self._say("ack", ack=self.dealt)

    def _say(self, kind: str, **fields: Any) -> None:
        if self.role == "leader" and self.link is not None and not self.dead and not self.muted:
            self.link.send({"kind": kind, "instance": self.instance, **fields}, [])

    def _push(self, body: Message, buffers: list[bytes]) -> None:
        if self.role != "leader" or self.dead:
            return
        self.sent += 1
        message = {**body, "instance": self.instance, "seq": self.sent}
        size = sum(map(len, buffers))
        self.kept.append((message, buffers, size))
        self.kept_bytes += size
        self.most_kept_bytes = max(self.most_kept_bytes, self.kept_bytes)
        if self.link is not None and not self.muted:
            self.link.send(message, buffers)

    def _prune(self, ack: int) -> None:
        while self.kept and self.kept[0][0]["seq"] <= ack:
            self.kept_bytes -= self.kept.popleft()[2]
        while self.waiters and self._has_credit(self.waiters[0][0]):
            self.waiters.popleft()[1]()

    def _has_credit(self, size: int) -> bool:
        return self.kept_bytes == 0 or self.kept_bytes + size <= protocol.COMM_WINDOW_BYTES

    def _with_credit(self, size: int, action: Callable[[], None]) -> None:
        if not self.waiters and self._has_credit(size):
            action()
        else:
            self.waiters.append((size, action))

    def _resend(self) -> None:
        for message, buffers, _ in self.kept:
            if self.link is not None:
                self.link.send(message, buffers)

    # ------------------------------------------------------------ engine

    def _fresh(self) -> None:
        self.buffers: dict[int, bytearray] = {}
        self.pipelines: dict[int, str] = {}
        self.programs: dict[int, tuple[list[Message], list[bytes]]] = {}
        self.error: tuple[str, str] | None = None

    def lose_device(self, reason: str) -> None:
        """The GPU is gone."""
        self._lose(reason)

    def _lose(self, reason: str) -> None:
        self.epoch += 1
        self.frozen = False
        self._fresh()
        self._push({"kind": "lost", "id": "", "epoch": self.epoch, "reason": reason}, [])
        for key in sorted(self.open):
            self._fail(key, "device-lost", f"the GPU device was lost: {reason}")

    def _result(self, key: str, value: Message) -> None:
        if key in self.open:
            self.open.discard(key)
            self._push({"kind": "result", "id": key, "value": value}, [])

    def _fail(self, key: str, code: str, text: str) -> None:
        if key in self.open:
            self.open.discard(key)
            self._push({"kind": "error", "id": key, "code": code, "message": text, "details": {}}, [])

    def _run(self, batch: Message, data: list[bytes]) -> None:
        self.ran.append(batch["seq"])
        for command in batch["commands"]:
            key = command.get("id")
            if batch["epoch"] < self.epoch:
                if key:
                    self._fail(key, "device-lost", "the device that this command was meant for is gone")
                continue
            try:
                if key:
                    self._request(command)
                else:
                    self._command(command, data)
            except KeyError as error:
                if key:
                    self._fail(key, "unknown-handle", f"there is no {error}")
                elif self.error is None:
                    self.error = ("unknown-handle", f"there is no {error} for {command['op']}")
        self._dealt_with(batch["seq"], sum(map(len, data)))

    def _command(self, command: Message, data: list[bytes]) -> None:
        op = command["op"]
        if op == "create-buffer":
            self.buffers[command["buffer"]] = bytearray(command["size_bytes"])
        elif op == "write-buffer":
            index, start, size = command["data"]
            target = self.buffers[command["buffer"]]
            target[command["offset"] : command["offset"] + size] = data[index][start : start + size]
        elif op == "free-buffer":
            self.buffers.pop(command["buffer"], None)
        elif op == "create-program":
            self.programs[command["program"]] = (command["commands"], data)
        elif op == "run-program":
            commands, data = self.programs[command["program"]]
            for _ in range(command["times"]):
                for item in commands:
                    self._command(item, data)
        elif op == "free-program":
            self.programs.pop(command["program"], None)
        elif op == "dispatch":
            source = self.pipelines[command["pipeline"]]
            args = {arg["binding"]: self.buffers[arg["buffer"]] for arg in command["args"]}
            if source == SQUARE:
                x = np.frombuffer(args[0], np.float32)
                np.frombuffer(args[1], np.float32)[: x.size] = x * x
            else:
                np.frombuffer(args[0], np.uint32)[0] += 1

    def _request(self, command: Message) -> None:
        key = command["id"]
        if self.frozen:
            return
        kept, self.error = self.error, None
        if kept is not None:
            self._fail(key, *kept)
        elif command["op"] == "compile":
            if command["source"] in COMPILED:
                self.pipelines[command["pipeline"]] = command["source"]
                self._result(key, COMPILED[command["source"]])
            else:
                self._fail(key, "shader", "this page knows two kernels")
        elif command["op"] == "get-device":
            self._result(key, self._device())
        elif command["op"] == "read":
            outputs = [
                bytes(self.buffers[read["buffer"]][read["offset"] : read["offset"] + read["size_bytes"]])
                for read in command["reads"]
            ]
            self._later(lambda: self._send_chunks(key, outputs))
        else:
            self._later(lambda: self._result(key, {}))

    def _later(self, action: Callable[[], None]) -> None:
        if self.delay_s:
            self.after(self.delay_s, action)
        else:
            action()

    def _send_chunks(self, key: str, outputs: list[bytes]) -> None:
        todo = [
            (item, start, output[start : start + protocol.CHUNK_BYTES], len(output))
            for item, output in enumerate(outputs)
            for start in range(0, len(output), protocol.CHUNK_BYTES)
        ]
        for item, start, part, total in todo:

            def send(item: int = item, start: int = start, part: bytes = part, total: int = total) -> None:
                if key in self.open:
                    body = {"kind": "chunk", "id": key, "item": item, "offset": start, "total": total}
                    self._push(body, [part])

            self._with_credit(len(part), send)
        self._with_credit(0, lambda: self._result(key, {}))

    def _device(self) -> Message:
        limits = {
            "maxBufferSize": 2**30,
            "maxStorageBufferBindingSize": 2**30,
            "maxComputeWorkgroupsPerDimension": 65535,
        }
        return {
            "epoch": self.epoch,
            "vendor": "fake",
            "architecture": "numpy",
            "device": "",
            "description": "",
            "is_fallback": True,
            "features": [],
            "wgsl_features": [],
            "limits": limits,
            "subgroup_matrix_configs": [],
            "user_agent": "fake page",
        }
