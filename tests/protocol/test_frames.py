"""Golden frames, read here and by the browser's side."""

from __future__ import annotations

import base64
import json
import pathlib

import pytest

from webgpu_widget.link import codec

CASES = json.loads(pathlib.Path(__file__).with_name("frames.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["message"]["kind"] for case in CASES])
def test_golden_frame(case: dict) -> None:
    """What is written is what is stored, and reads back as the message and its buffers, each at a multiple of 8."""
    buffers = [base64.b64decode(item) for item in case["buffers"]]
    frame = base64.b64decode(case["frame"])
    assert codec.encode(case["message"], buffers) == frame
    message, views = codec.decode(frame)
    assert message == case["message"]
    assert [bytes(view) for view in views] == buffers
