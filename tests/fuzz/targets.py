"""Everything in Python that reads bytes or text of strangers."""

from __future__ import annotations

import io
import json
import os
import struct
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save

import webgpu_widget as wg
from webgpu_widget.link import codec
from webgpu_widget.mandelbrot.view import View
from webgpu_widget.t5.config import T5Config
from webgpu_widget.weights import readers
from webgpu_widget.weights.formats import foreign, gguf, gguf_split, npz, safetensors
from webgpu_widget.weights.served_digest import served_sha256

from . import of_pages as pages
from .guided import Target, corpus_of


class Memory:
    """A file in memory."""

    def __init__(self, data: bytes) -> None:
        self.data, self.name, self.size = data, "m-00001-of-00002.gguf", len(data)

    def read(self, offset: int, size: int) -> bytes:
        assert 0 <= offset <= offset + size <= self.size, "a read outside the file"
        return self.data[offset : offset + size]


def _gguf() -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    pairs = [("split.no", 4, struct.pack("<I", 0)), ("split.count", 4, struct.pack("<I", 2)), ("a", 8, text("b")),
             ("c", 9, struct.pack("<IQ", 4, 2) + bytes(8)), ("d", 9, struct.pack("<IQ", 8, 1) + text("e"))]  # fmt: skip
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs))
    for key, kind, value in pairs:
        head += text(key) + struct.pack("<I", kind) + value
    head += text("w") + struct.pack("<IQQIQ", 2, 32, 1, 0, 0)
    return head + bytes(-len(head) % 32) + bytes(128)


def _npz(*, compressed: bool) -> bytes:
    held = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(
        held, a=np.ones((2, 3), np.float32), b=np.asfortranarray(np.ones((3, 2), ">f8"))
    )
    return held.getvalue()


def _read_gguf(data: bytes) -> None:
    reader = Memory(data)
    gguf_split.part_count(gguf.parse(reader), reader.name)


def _read_npz(data: bytes) -> None:
    parsed = npz.parse(Memory(data))
    with tempfile.TemporaryFile() as target:
        npz.unpack(Memory(data), parsed.indirect, target)


def _read_safetensors(data: bytes) -> None:
    foreign.refuse_foreign(data[:8], "file", len(data))
    safetensors.parse(Memory(data))


def _read_fields(data: bytes) -> None:
    lines = (line.partition(":") for line in data.decode("latin-1").split("\n"))
    fields = [(name, value.strip()) for name, _, value in lines]
    served_sha256(fields)
    for name, value in fields:
        if name == "Content-Range":
            readers._content_range(value, "http://x/y")
        if name == "Retry-After":
            assert 0 <= readers._retry_after(value, 1.0) <= readers.MAX_RETRY_WAIT_S


def _read_t5(data: bytes) -> None:
    path = Path(tempfile.gettempdir()) / f"webgpu_widget-fuzz-{os.getpid()}.json"
    path.write_bytes(data)
    try:
        T5Config.from_file(path)
    finally:
        path.unlink()


_DIGEST = b"Repr-Digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:\nDigest: SHA-256=AAAA\n"
_T5 = {"model_type": "t5", "vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_decoder_layers": 8, "num_heads": 6,
       "relative_attention_num_buckets": 32, "feed_forward_proj": "gated-gelu", "decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}  # fmt: skip
_REFUSED = (wg.WebGPUWidgetError,)

TARGETS = {
    "safetensors": Target(
        _read_safetensors, [save({"a": np.ones(3, np.float32), "b": np.ones((2, 2), np.int8)})], ("formats/safetensors.py", "weights/tensors.py"), _REFUSED
    ),
    "gguf": Target(_read_gguf, [_gguf()], ("formats/gguf.py", "formats/gguf_split.py", "weights/tensors.py"), _REFUSED),
    "npz": Target(_read_npz, [_npz(compressed=False), _npz(compressed=True)], ("formats/npz.py", "weights/tensors.py"), _REFUSED),
    "index": Target(
        lambda data: safetensors.parse_index(data, "index"),
        [json.dumps({"metadata": {"total_size": 1}, "weight_map": {"a": "m-00001-of-00001.safetensors"}}).encode()],
        ("formats/safetensors.py",),
        _REFUSED,
    ),
    "http fields": Target(
        _read_fields, [_DIGEST + b'ETag: "' + b"ab" * 32 + b'"\nContent-Range: bytes 0-9/100\nRetry-After: 5'], ("weights/served_digest.py", "weights/readers.py"), _REFUSED
    ),
    "frame": Target(codec.decode, [codec.encode({"type": "x", "n": 1}, [b"abc", bytes(9)])], ("link/codec.py",), (ValueError,)),
    "T5 config": Target(_read_t5, [json.dumps(_T5).encode()], ("t5/config.py",), _REFUSED),
    "view link": Target(
        lambda data: View.from_link(data.decode("latin-1")), [View(("-0.75", "1e-30"), "1e-40", (36, 24), 100).link.encode()], ("mandelbrot/view.py", "mandelbrot/numbers.py"), _REFUSED
    ),
    "saved PNG": Target(pages.read_png, [pages.picture(".png")], ("mandelbrot/saved.py", "mandelbrot/view.py"), _REFUSED),
    "saved npz": Target(pages.read_npz, [pages.picture(".npz")], ("mandelbrot/saved.py", "mandelbrot/view.py"), _REFUSED),
    "tokenizer.json": Target(pages.read_tokenizer, [pages.tokenizer()], ("t5/tokenizer.py",), _REFUSED),
    "hub listing": Target(pages.read_listing, [b'{"siblings": [{"rfilename": "model.safetensors"}]}'], ("weights/hub.py",), _REFUSED),
    "server's answer": Target(pages.read_answer, [pages.answer(), pages.chunked()], ("weights/readers.py", "http/client.py"), _REFUSED),
    "request's names": Target(pages.read_request, [b"localhost:8\nhttp://127.0.0.1:8888", b"[::1]:8\nhttps://evil.example"], ("transports/_names.py", "transports/_handlers.py"), _REFUSED),
    "page's messages": Target(pages.read_messages, [pages.messages()], ("link/session.py", "link/connection.py", "errors.py"), _REFUSED),
    "compile result": Target(pages.read_compiled, pages.compiled(), ("link/wire.py", "kernels/entry.py", "kernels/kernel.py", "kernels/layout.py"), _REFUSED),
    "compiler's messages": Target(pages.read_compiler, [json.dumps(pages.WORDS[6]["details"]).encode()], ("errors.py",), _REFUSED),
}  # fmt: skip
for _name, _target in TARGETS.items():
    _target.seeds += corpus_of(_name)
