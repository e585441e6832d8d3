"""Write ``vectors/*.json``: frames that both sides must read and write alike.

    python tests/protocol/make_vectors.py

Each has the message, its buffers and the frame as hex, and ``exact``: whether another encoder must give the same bytes (numbers and text have one spelling).
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

from webgpu_widget.link import codec

VECTORS = pathlib.Path(__file__).with_name("vectors")
HELLO = {
    "kind": "hello",
    "protocol_version": 1,
    "instance": "0123456789abcdef01234567",
    "session": None,
    "received": 0,
    "host": "jupyterlab",
    "loopback": True,
    "visible": True,
    "user_agent": "Mozilla/5.0",
    "no_gpu_reason": None,
}
WHO = {"instance": HELLO["instance"]}
DISPATCH = {
    "op": "dispatch",
    "pipeline": 3,
    "workgroups": [16, 1, 1],
    "args": [
        {"group": 0, "binding": 0, "buffer": 1},
        {"group": 0, "binding": 1, "buffer": 2, "offset": 256, "size_bytes": 1024},
        {"group": 1, "binding": 0, "uniform": [0, 0, 16]},
        {"group": 1, "binding": 1, "sampler": {"filter": "linear", "address": "clamp-to-edge"}},
    ],
}
CASES: dict[str, tuple[dict[str, Any], list[bytes], bool]] = {
    "hello": (HELLO, [], True),
    "welcome": (
        {
            "kind": "welcome",
            **WHO,
            "protocol_version": 1,
            "session": "s1",
            "received": 7,
            "lane": {"url": "ws://127.0.0.1:1/ws", "token": "t"},
        },
        [],
        True,
    ),
    "standby": ({"kind": "standby", **WHO}, [], True),
    "refuse": ({"kind": "refuse", **WHO, "message": "reload the page"}, [], True),
    "roll-call": ({"kind": "roll-call"}, [], True),
    "ping": ({"kind": "ping", **WHO, "nonce": 5}, [], True),
    "pong": ({"kind": "pong", **WHO, "nonce": 5, "working_on": "'spin'"}, [], True),
    "bye": ({"kind": "bye", **WHO}, [], True),
    "ack": ({"kind": "ack", **WHO, "ack": 2**40}, [], True),
    "resume": ({"kind": "resume", **WHO, "received": 12}, [], True),
    "cancel": ({"kind": "cancel", **WHO, "ids": ["r1", "r2"]}, [], True),
    "reset": ({"kind": "reset", **WHO, "reason": "nothing finished for 30 s"}, [], True),
    "close": ({"kind": "close", **WHO}, [], True),
    "batch": (
        {
            "kind": "batch",
            **WHO,
            "seq": 9,
            "epoch": 1,
            "commands": [
                {"op": "create-buffer", "buffer": 1, "size_bytes": 4096},
                {"op": "write-buffer", "buffer": 1, "offset": 0, "data": [0, 16, 4]},
                DISPATCH,
                {"op": "read", "id": "r7", "reads": [{"buffer": 2, "offset": 0, "size_bytes": 64}]},
            ],
            "id": "r7",
        },
        [bytes(range(20))],
        True,
    ),
    "compile": (
        {
            "kind": "batch",
            **WHO,
            "seq": 1,
            "epoch": 1,
            "commands": [
                {
                    "op": "compile",
                    "id": "r1",
                    "pipeline": 3,
                    "source": "// π ≈ 3.14\n@compute @workgroup_size(1) fn main() {}\n",
                    "label": "π",
                    "entry_point": None,
                    "constants": {"SCALE": 0.5, "TILE": 16.0},
                }
            ],
            "id": "r1",
        },
        [],
        False,
    ),
    "result": (
        {"kind": "result", **WHO, "seq": 3, "id": "r7", "value": {"buffers": 2, "bytes": 8192, "peak_bytes": 8192}},
        [],
        True,
    ),
    "error": (
        {
            "kind": "error",
            **WHO,
            "seq": 4,
            "id": "r1",
            "code": "shader",
            "message": "unresolved value 'nothing'",
            "details": {
                "messages": [
                    {"severity": "error", "message": "unresolved value 'nothing'", "line": 5, "column": 12, "length": 7}
                ],
                "line": 5,
                "column": 12,
            },
        },
        [],
        True,
    ),
    "chunk": (
        {"kind": "chunk", **WHO, "seq": 5, "id": "r7", "item": 0, "offset": 60, "total": 64},
        [b"\x00\x01\xfe\xff"],
        True,
    ),
    "progress": ({"kind": "progress", **WHO, "seq": 6, "id": "r9", "done": 9, "value": {"completed": 0.25}}, [], True),
    "lost": ({"kind": "lost", **WHO, "seq": 7, "id": "", "epoch": 2, "reason": "destroyed"}, [], True),
    "many-buffers": (
        {"kind": "chunk", **WHO, "seq": 8, "id": "r7", "item": 1, "offset": 0, "total": 21},
        [b"", b"a", b"12345678", bytes(12)],
        True,
    ),
}


def main() -> None:
    for name, (message, buffers, exact) in CASES.items():
        frame = codec.encode(message, buffers)
        text = {"message": message, "buffers": [item.hex() for item in buffers], "frame": frame.hex(), "exact": exact}
        (VECTORS / f"{name}.json").write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
