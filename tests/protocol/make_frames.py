"""Write ``frames.json``: messages with their frames, for the tests of both sides (``test_frames.py`` and ``js/test/frame.test.ts``)."""

from __future__ import annotations

import base64
import json
import pathlib
from typing import Any

from webgpu_widget.link import codec

TARGET = pathlib.Path(__file__).with_name("frames.json")

CASES: list[tuple[dict[str, Any], list[bytes]]] = [
    ({"kind": "pong", "instance": "i", "nonce": 1, "working_on": ""}, []),
    ({"kind": "chunk", "instance": "i", "seq": 3, "id": "r1", "item": 0, "offset": 0, "total": 5}, [bytes(range(5))]),
    ({"kind": "batch", "instance": "i", "seq": 1, "epoch": 1, "commands": []}, [b"", b"\x00\xff" * 8, b"\x07"]),
    ({"kind": "refuse", "instance": "i", "message": 'Ω "quoted" \\ 🙂 \n'}, [b"12345678"]),
]


def main() -> None:
    """Write the file."""
    cases = [
        {
            "message": message,
            "buffers": [base64.b64encode(item).decode() for item in buffers],
            "frame": base64.b64encode(codec.encode(message, buffers)).decode(),
        }
        for message, buffers in CASES
    ]
    TARGET.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
