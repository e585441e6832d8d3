"""A shader that never ends, in the page of a notebook."""

from __future__ import annotations

from lab_harness import Lab

SPIN = "@group(0) @binding(0) var<storage, read_write> y: array<u32>; @compute @workgroup_size(1) fn main() { while (y[0] < 1u) { y[1] += 1u; } }"
FIVE = (
    "@group(0) @binding(0) var<storage, read_write> y: array<u32>; @compute @workgroup_size(1) fn main() { y[0] = 5u; }"
)


def test_the_timeout_names_it_and_the_next_call_works(lab: Lab) -> None:
    notebook = lab.notebook()
    before = len(lab.messages)
    try:
        notebook.run(
            f"import json, numpy as np, webgpu_widget as wg\ngpu = wg.GPU()\ngpu.ready()\nkept = gpu.array(np.float32([1, 2, 3]))\nFIVE, SPIN = {FIVE!r}, {SPIN!r}"
        ).ok()
        cell = notebook.run(
            "try:\n    gpu.kernel(SPIN, name='spin')(y=wg.out(2, np.uint32), threads=1).numpy(timeout=2)\nexcept wg.FrontendTimeoutError as error:\n    said = str(error)\n"
            "five = gpu.run(FIVE, y=wg.out(1, np.uint32), threads=1)\n"
            "try:\n    kept.numpy()\nexcept wg.DeviceLostError as error:\n    gone = str(error)\nprint(json.dumps([said, int(five[0]), gone]))",
            timeout=90,
        )
        said, five, gone = cell.value
        assert "'spin'" in said
        assert "never ends" in said
        assert five == 5
        assert "gone" in gone
        assert not [message for message in lab.messages[before:] if message.startswith("pageerror")]
    finally:
        notebook.close()
