"""Front ends that carry messages in their own ways: VS Code, Colab, and JupyterLab's outputs, on real kernels."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from front_end import FrontEnd, Message
from PIL import Image

VIEW = "application/vnd.jupyter.widget-view+json"
SQUARES = "y = gpu.run(SQUARE, x=a, y=wg.out(a.shape), threads=a.size)\nprint(np.array_equal(y, a * a))"


def by_json(content: Message, buffers: Sequence[Any]) -> tuple[Message, Sequence[Any]]:
    """VS Code carries whole frames as JSON, their bytes as numbers; Colab the content alone."""
    return json.loads(json.dumps(content)), [
        bytes(json.loads(json.dumps(list(memoryview(part).cast("B"))))) for part in buffers
    ]


def until(what: Callable[[], Any], seconds: float = 15.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it has not come"
        time.sleep(0.02)
    return found


def test_vs_code_has_models_without_an_output_and_carries_bytes_as_numbers(front: FrontEnd) -> None:
    front.cross = by_json
    assert front.run(f"gpu = wg.GPU()\n{SQUARES}", 60) == "True"
    assert not front.displays, "nothing is shown where a page has answered"


def test_colab_has_models_in_outputs_alone_so_the_card_is_shown_by_itself(front: FrontEnd) -> None:
    front.cross, front.pages_when = by_json, "shown"
    assert front.run(f"gpu = wg.GPU()\n{SQUARES}", 60) == "True"
    kind, content = front.displays[0]
    assert kind == "display_data"
    assert set(content["data"]) == {VIEW, "image/png", "text/plain"}
    assert front.run(SQUARES) == "True"
    assert len(front.displays) == 1, "it is shown once, and its output is left alone"


def test_an_output_of_jupyterlab_becomes_a_picture_that_follows(front: FrontEnd) -> None:
    """JupyterLab's page says that it is there; what is in its outputs then has no view, while a cell runs and after."""
    front.run("gpu = wg.GPU(); gpu.ready()\ndisplay(gpu)")
    kind, content = until(lambda: front.displays)[0]
    assert (kind, set(content["data"])) == ("display_data", {VIEW, "image/png", "text/plain"})
    told = {"method": "update", "state": {"_page": "JupyterLab 1"}, "buffer_paths": []}
    front.call(lambda: front.comm_send(front.comm_id, told))
    kind, changed = until(lambda: front.displays[1:])[0]
    assert (kind, set(changed["data"])) == ("update_display_data", {"image/png", "text/plain"})
    assert changed["transient"] == content["transient"]
    picture = base64.b64decode(changed["data"]["image/png"])
    name = front.run("print(gpu._picture_id)")
    assert f"webgpu_widget.view\0{name}".encode() in picture[:160], "by which a page knows whose it is"
    assert Image.open(io.BytesIO(picture)).width == 2 * changed["metadata"]["image/png"]["width"]
    front.run("gpu.close()")
    kind, closed = until(lambda: front.displays[2:])[-1]
    assert (kind, set(closed["data"])) == ("update_display_data", {"image/png", "text/plain"})
    assert "closed" in closed["data"]["text/plain"]
    assert closed["data"]["image/png"] != changed["data"]["image/png"]


@pytest.mark.parametrize("state", ["open", "closed"])
def test_a_gpu_shown_when_closed_shows_that(front: FrontEnd, state: str) -> None:
    front.run("gpu = wg.GPU(); gpu.ready()" + ("; gpu.close()" if state == "closed" else "") + "\ndisplay(gpu)")
    _, content = until(lambda: front.displays)[-1]
    assert (VIEW in content["data"]) == (state == "open")
    assert ("closed" in content["data"]["text/plain"]) == (state == "closed")
