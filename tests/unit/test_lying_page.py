"""A page whose answers are not what the protocol says costs its caller an error that says so, at once."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

import fake_page
import numpy as np
import pytest
from direct import Direct
from fake_page import SQUARE

import webgpu_widget as wg

X = np.arange(8, dtype=np.float32)


@pytest.fixture
def way() -> Direct:
    return Direct()


@pytest.fixture
def gpu(way: Direct) -> Iterator[wg.GPU]:
    made = wg.GPU(way)
    made.ready()
    yield made
    made.close()


def _drop(*path: Any) -> Callable[[Any], None]:
    def change(result: Any) -> None:
        for key in path[:-1]:
            result = result[key]
        del result[path[-1]]

    return change


LIES: dict[str, Callable[[Any], None]] = {
    "no reflection": _drop("reflection"),
    "a binding without its type": _drop("reflection", "bindings", 0, "type"),
    "a type without its size": _drop("reflection", "bindings", 1, "type", "elem", "size"),
    "a binding that is not there": lambda result: result["reflection"]["entry_points"][0]["bindings"].append(7),
    "an entry point that is not there": lambda result: result.update(entry_point="other"),
    "a size in words": lambda result: result.update(workgroup_size=["64", 1, 1]),
    "an array without a stride": lambda result: result["reflection"]["bindings"][0]["type"].update(stride=0),
    "a number of an unknown type": lambda result: result["reflection"]["bindings"][0]["type"]["elem"].update(name="f64"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_compilation(gpu: wg.GPU, lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = copy.deepcopy(fake_page.COMPILED[SQUARE])
    LIES[lie](told)
    monkeypatch.setitem(fake_page.COMPILED, SQUARE, told)
    with pytest.raises(wg.FrontendError, match="answer to a compilation is malformed .*reload"):
        gpu.run(SQUARE, x=X, y=wg.out(8), threads=8)


@pytest.mark.parametrize(
    "reply",
    [
        {"kind": "result"},
        {"kind": "result", "value": [1]},
        {"kind": "error", "code": 7, "message": "no", "details": {}},
        {"kind": "error", "code": "shader", "message": "no"},
        {"kind": "chunk", "item": 0, "offset": "0", "total": 4},
    ],
    ids=str,
)
def test_a_reply(gpu: wg.GPU, way: Direct, reply: dict[str, Any]) -> None:
    page = way.pages[0]
    usual = page.send

    def lie(message: dict[str, Any], buffers: Any) -> None:
        usual({**reply, **{key: message[key] for key in ("instance", "seq", "id")}} if message["kind"] == "result" else message, buffers)  # fmt: skip

    page.send = lie
    begun = time.monotonic()
    with pytest.raises(wg.WebGPUWidgetError, match="the page's .* has the .*reload the page"):
        gpu.synchronize()
    assert time.monotonic() - begun < 10
