"""A browser that is none: speaks the protocol over the hub's WebSocket, keeps buffers in memory, runs no shader, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlsplit

import tornado.httpclient
import tornado.websocket

from webgpu_widget.link import codec, protocol

DEVICE: dict[str, Any] = {
    "epoch": 1,
    "vendor": "test",
    "architecture": "fake",
    "device": "",
    "description": "",
    "is_fallback": True,
    "features": [],
    "wgsl_features": [],
    "limits": {
        "maxBufferSize": 1 << 30,
        "maxStorageBufferBindingSize": 1 << 27,
        "maxComputeWorkgroupsPerDimension": 65535,
        "maxComputeInvocationsPerWorkgroup": 256,
        "maxComputeWorkgroupStorageSize": 16384,
        "maxStorageBuffersPerShaderStage": 8,
        "maxComputeWorkgroupSizeX": 256,
        "minStorageBufferOffsetAlignment": 256,
    },
    "subgroup_matrix_configs": [],
    "user_agent": "fake",
}
Spoil = Callable[[bytes], bytes]


class FakeBrowser:
    """Joins the cluster at ``url`` from a thread of its own.

    ``spoil`` changes the bytes of every read; ``before_read`` is called for each, in the browser's thread; ``twice`` sends every result a second time.
    ``after`` is the one that this one is again, on another socket; ``certificate`` is the path of one that is trusted for https.
    """

    def __init__(
        self,
        url: str,
        spoil: Spoil = bytes,
        before_read: Callable[[], None] = lambda: None,
        *,
        twice: bool = False,
        headers: dict[str, str] | None = None,
        after: FakeBrowser | None = None,
        certificate: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._url = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/ws?{parts.query}"
        self._certificate = certificate
        self._headers = headers or {}
        self._spoil, self._before_read, self._twice = spoil, before_read, twice
        self.instance = after.instance if after else uuid.uuid4().hex[:12]
        self.session: str | None = after.session if after else None
        self.welcomes = 0
        self.refused = ""
        self.closed = threading.Event()
        self.reads = 0
        self._buffers: dict[int, bytearray] = after._buffers if after else {}
        self._seq = after._seq if after else 0
        self._received: int = after._received if after else 0
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(opened)), daemon=True)
        self._thread.start()
        opened.result(timeout=20)

    async def _run(self, opened: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            self._socket = await tornado.websocket.websocket_connect(
                tornado.httpclient.HTTPRequest(self._url, headers=self._headers, ca_certs=self._certificate),
                max_message_size=1 << 27,
            )
        except Exception as error:  # noqa: BLE001 - told to the test
            opened.set_exception(error)
            return
        opened.set_result(None)
        self.say(
            {
                "kind": "hello",
                "protocol_version": protocol.PROTOCOL_VERSION,
                "instance": self.instance,
                "session": self.session,
                "received": self._received,
                "host": "page",
                "loopback": True,
                "visible": True,
                "user_agent": "fake",
                "no_gpu_reason": None,
            }
        )
        while (frame := await self._socket.read_message()) is not None:
            self._heard(*codec.decode(frame))
        self._socket.close()
        self.closed.set()

    def say(self, message: dict[str, Any], buffers: tuple[bytes, ...] = ()) -> None:
        self.raw(codec.encode(message, buffers))

    def raw(self, frame: bytes | str) -> None:
        """Send bytes as they are; from any thread."""

        def send() -> None:
            if self._socket.protocol is not None:
                self._socket.write_message(frame, binary=isinstance(frame, bytes))

        self._loop.call_soon_threadsafe(send)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._socket.close)
        self._thread.join(timeout=10)

    def _reply(self, kind: str, buffers: tuple[bytes, ...] = (), **fields: Any) -> None:
        self._seq += 1
        self.say({"kind": kind, "instance": self.instance, "seq": self._seq, **fields}, buffers)

    def _heard(self, message: dict[str, Any], buffers: list[memoryview]) -> None:
        kind = message["kind"]
        if kind == "welcome":
            self.welcomes += 1
            if self.session != message["session"]:
                self.session = message["session"]
                self._seq = self._received = 0
        elif kind == "refuse":
            self.refused = message["message"]
        elif kind == "ping":
            self.say({"kind": "pong", "instance": self.instance, "nonce": message["nonce"], "working_on": ""})
        elif kind == "batch" and message["seq"] > self._received:
            self._received = message["seq"]
            for command in message["commands"]:
                self._execute(command, buffers)
            self.say({"kind": "ack", "instance": self.instance, "ack": message["seq"]})

    def _execute(self, command: dict[str, Any], buffers: list[memoryview]) -> None:
        op = command["op"]
        if op == "create-buffer":
            self._buffers[command["buffer"]] = bytearray(command["size_bytes"])
        elif op == "write-buffer":
            index, start, length = command["data"]
            offset = command["offset"]
            self._buffers[command["buffer"]][offset : offset + length] = buffers[index][start : start + length]
        elif op == "free-buffer":
            self._buffers.pop(command["buffer"], None)
        elif op == "read":
            self._read(command)
        elif "id" in command:
            self._reply("result", id=command["id"], value=DEVICE if op == "get-device" else {})

    def _read(self, command: dict[str, Any]) -> None:
        self.reads += 1
        self._before_read()
        for item, read in enumerate(command["reads"]):
            whole = bytes(self._buffers[read["buffer"]][read["offset"] : read["offset"] + read["size_bytes"]])
            data = self._spoil(whole)
            self._reply("chunk", (data,), id=command["id"], item=item, offset=0, total=len(data))
        for _ in range(1 + self._twice):
            self._reply("result", id=command["id"], value={})


def until(what: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
