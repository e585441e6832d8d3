"""What a page, a request to the hub, a server or a saved picture says."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import logging
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import webgpu_widget as wg
from webgpu_widget import errors
from webgpu_widget.kernels.entry import Entry
from webgpu_widget.kernels.kernel import Reflection
from webgpu_widget.link import codec as _codec
from webgpu_widget.link import wire
from webgpu_widget.link.connection import Connection
from webgpu_widget.link.transports import _handlers, _names
from webgpu_widget.link.transports.base import Transport
from webgpu_widget.mandelbrot import load
from webgpu_widget.mandelbrot.image import Image, Stats
from webgpu_widget.mandelbrot.view import View
from webgpu_widget.t5.config import T5Config
from webgpu_widget.t5.tokenizer import Tokenizer
from webgpu_widget.weights import hub, readers

_HELLO = {"kind": "hello", "protocol_version": 1, "instance": "i", "session": None, "received": 0, "host": "test",
          "loopback": False, "visible": True, "user_agent": "", "no_gpu_reason": None}  # fmt: skip
WORDS = [_HELLO, {"kind": "pong", "instance": "i", "nonce": 1, "working_on": ""}, {"kind": "ack", "instance": "i", "ack": 1},
          {"kind": "chunk", "instance": "i", "seq": 1, "id": "r1", "item": 0, "offset": 0, "total": 4},
          {"kind": "progress", "instance": "i", "seq": 2, "id": "r1", "done": 1, "value": {}},
          {"kind": "result", "instance": "i", "seq": 3, "id": "r1", "value": {}},
          {"kind": "error", "instance": "i", "seq": 4, "id": "r2", "code": "shader", "message": "no",
           "details": {"messages": [{"severity": "error", "message": "m", "line": 1, "column": 2, "length": 3}], "line": 1, "column": 2}},
          {"kind": "lost", "instance": "i", "seq": 5, "id": "", "epoch": 2, "reason": "x"},
          {"kind": "resume", "instance": "i", "received": 1}, {"kind": "bye", "instance": "i"}]  # fmt: skip


class _Nothing(Transport):
    """A transport that a fuzzed page is at the other end of."""

    name = "fuzz"

    def start(self, connection: Connection) -> None:
        """Nothing to start."""

    def advice(self) -> str:
        return ""

    def close(self) -> None:
        """Nothing to end."""


def read_messages(data: bytes) -> None:
    """Each line is a message of one page; whoever waits gets a value, an error of ours, or goes on waiting."""
    logging.getLogger("webgpu_widget").disabled = True
    try:
        _exchange(data)
    finally:
        logging.getLogger("webgpu_widget").disabled = False


def _exchange(data: bytes) -> None:
    connection = Connection(_Nothing())
    connection.open_link("link", lambda message, buffers: None)
    connection.receive("link", dict(_HELLO))
    requests = [connection.new_request("reading", on_chunk=lambda *_: None, on_progress=lambda _: None, source="x\ny") for _ in range(2)]  # fmt: skip
    connection.submit([{"op": "x", "id": request.id} for request in requests], [], requests)
    read = 0
    for line in data.split(b"\n")[:64]:
        try:
            message, buffers = _codec.decode(_codec.encode(json.loads(line), [b"1234"]))
        except (ValueError, RecursionError):
            continue
        if isinstance(message.get("kind"), str):  # the hub closes a socket on others
            connection.receive("link", message, buffers)
            read += 1
    connection.close()
    for request in requests:
        assert request.future.done(), "a request without an end"
        error = request.future.exception()
        assert error is None or isinstance(error, wg.WebGPUWidgetError), repr(error)
    if not read:
        raise wg.FrontendError("no message")


def read_compiled(data: bytes) -> None:
    """Read the answer to a compilation, as far as calls use it without a value."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise wg.FrontendError(str(error)) from error
    result = wire.compile_result(value)
    Reflection(result)
    if result["entry_point"]:
        Entry(result)


def read_compiler(data: bytes) -> None:
    """Lay out a compiler's messages over a source."""
    try:
        details = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise wg.FrontendError(str(error)) from error
    if not isinstance(details, dict):
        raise wg.FrontendError("no details")
    raised = errors.from_wire("shader", "no", details, "fn a() {}\n\tlet b = 1;\n", "k")
    assert isinstance(raised, wg.ShaderError)
    assert len(str(raised)) < 200 + 20 * len(data)


def read_request(data: bytes) -> None:
    """Look at the host and the origin of a request to the hub."""
    host, _, origin = data.decode("latin-1").partition("\n")
    _names.hostname(host)
    loopback = _names.is_loopback(host)
    foreign = _handlers._origin_netloc(origin)
    if _handlers._is_loopback_origin(origin):
        assert urllib.parse.urlsplit(origin).scheme in {"http", "https"}
    if not (loopback or foreign):
        raise wg.FrontendError("refused")


class _Wire:
    """A socket from which a server's answer is read."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, _mode: str, *_: object) -> io.BytesIO:
        return io.BytesIO(self.data)


class _Server:
    """An opener that has one answer to all requests."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def add_handler(self, _handler: Any) -> None:
        """Nothing is opened."""

    def open(self, request: urllib.request.Request, timeout: float) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(_Wire(self.data), method="GET")  # type: ignore[arg-type]
        response.begin()
        if not 200 <= response.status < 300:
            with response:
                raise urllib.error.HTTPError(request.full_url, response.status, response.reason, response.headers, None)
        return response


@contextlib.contextmanager
def _served(data: bytes) -> Iterator[None]:
    """Have every request answered with the same bytes, and none tried again."""
    quiet = mock.patch.multiple(readers, RETRIES=0, time=mock.Mock())
    with quiet, mock.patch.object(urllib.request, "OpenerDirector", return_value=_Server(data)):
        yield


def read_answer(data: bytes) -> None:
    """Read a file of a server, from the first line of its answer on."""
    with _served(data):
        reader = readers.HttpReader("http://server/file")
        assert len(reader.read(0, min(4, reader.size))) == min(4, reader.size)


def read_listing(data: bytes) -> None:
    """Read what a hub lists."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data)
    with _served(head + data):
        assert all(isinstance(name, str) for name in hub.hub_listing("http://hub", "a/b", {}))


def _in_a_file(data: bytes, suffix: str, read: Any) -> None:
    path = Path(tempfile.gettempdir()) / f"webgpu_widget-fuzz-{os.getpid()}{suffix}"
    path.write_bytes(data)
    try:
        read(path)
    finally:
        path.unlink()


def read_png(data: bytes) -> None:
    """Read a saved picture."""
    _in_a_file(data, ".png", load)


def read_npz(data: bytes) -> None:
    """Read saved counts."""
    _in_a_file(data, ".npz", load)


def read_tokenizer(data: bytes) -> None:
    """Read a tokenizer.json, and use it."""

    def use(path: Path) -> None:
        made = Tokenizer(path, CONFIG)
        made.decode(made.encode("a b c", limit=16, truncation=True))

    _in_a_file(data, ".json", use)


CONFIG = T5Config(
    vocab_size=64, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_decoder_layers=1, num_heads=2, relative_attention_num_buckets=8
)  # fmt: skip


def messages() -> bytes:
    """An exchange, a message a line."""
    return b"\n".join(json.dumps(word).encode() for word in WORDS)


def compiled() -> list[bytes]:
    """Answers to compilations: of arrays, and of a struct with everything in it."""
    scalar = {"type": "scalar", "name": "f32", "size": 4, "align": 4, "atomic": False}
    parts = [scalar, {"type": "vector", "elem": "f32", "count": 3, "size": 12, "align": 16},
             {"type": "matrix", "elem": "f16", "columns": 2, "rows": 3, "size": 16, "align": 8},
             {"type": "array", "elem": scalar, "count": 0, "stride": 4, "size": 0, "align": 4},
             {"type": "opaque", "name": "sampler", "format": None, "size": 0, "align": 0}]  # fmt: skip
    members = [{"name": f"m{at}", "offset": 16 * at, "type": part} for at, part in enumerate(parts[:4])]
    struct = {"type": "struct", "name": "S", "members": members, "size": 64, "align": 16}
    made = []
    for kind in (parts[3], struct):
        binding = {"name": "x", "group": 0, "binding": 0, "kind": "storage", "access": "read", "type": kind}
        entry = {"name": "main", "workgroup_size": ["1", "N", "1"], "bindings": [0], "overrides": ["N"]}
        override = {"name": "N", "id": None, "type": "u32", "has_default": True}
        module = {"entry_points": [entry], "bindings": [binding], "structs": [struct], "overrides": [override]}
        made.append(json.dumps({"entry_point": "main", "workgroup_size": [1, 2, 1], "reflection": module, "messages": []}).encode())  # fmt: skip
    return made


def picture(suffix: str) -> bytes:
    """A saved picture of 4 x 3 pixels."""
    view = View(("-0.75", "0"), "3", (4, 3), 100)
    counts = np.arange(12, dtype=np.uint32).reshape(3, 4)
    made = Image(view, "direct", counts, counts.astype(np.float32), None, Stats(iterations=12, seconds=0.1, slices=1), None)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        made.save(path := Path(folder) / f"p{suffix}")
        return path.read_bytes()


def answer() -> bytes:
    """Of a server that has ranges."""
    head = b'HTTP/1.1 206 Partial Content\r\nETag: "ab"\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10\r\n\r\n'
    return head + b"0123456789"


def chunked() -> bytes:
    """Of a server without ranges, in pieces."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 10\r\n\r\n"
    return head + b"4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n"


def tokenizer() -> bytes:
    """A word-level tokenizer of a few words."""
    vocab = {word: at for at, word in enumerate(["<pad>", "</s>", "<unk>", "a", "b"])}
    kept: dict[str, Any] = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
                            "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
                            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}}  # fmt: skip
    return json.dumps(kept).encode()
