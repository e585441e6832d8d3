"""What widgets, services and their pages tell each other has the types that are written for it, and what has not is refused or left."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import anywidget
import numpy as np
import pytest
from direct import Direct

import webgpu_widget as wg
from webgpu_widget.cluster.channels import Channels
from webgpu_widget.link import services, widgets
from webgpu_widget.link.wire import Schema
from webgpu_widget.shown.panel import Bar, TablePanel

STATES = {
    "gpu": widgets.CardState,
    "bar": widgets.BarState,
    "table": widgets.TableState,
    "explorer": widgets.ExplorerState,
    "view": widgets.ViewState,
}
VIEW = {
    "center": ["-0.7436438870371587", "0.1318259042053120"],
    "width": "1e-12",
    "size": [16, 12],
    "max_iter": 600,
    "power": 2,
    "julia": None,
}


@pytest.fixture
def gpu() -> Iterator[wg.GPU]:
    way = Direct()
    way.name = "page"
    made = wg.GPU(way)
    yield made
    made.close()


def make(kind: str, gpu: wg.GPU) -> Any:
    if kind == "gpu":
        return gpu
    if kind == "bar":
        return Bar("loading")
    if kind == "table":
        return TablePanel("browsers", ("browser", "state"))
    if kind == "explorer":
        return wg.MandelbrotExplorer(julia=(0.1, 0.6), palette=["#000000", "#ffffff"])
    return wg.ShaderView(
        "fn image(p: vec2f) -> vec4f { return tint; }", (8, 4), gpu, tint="#ff0000", table=np.ones(9, np.float32)
    )


def sent(message: Any) -> Any:
    """As the page has it."""
    return json.loads(json.dumps(message))


@pytest.mark.parametrize("kind", STATES)
def test_a_widget_syncs_the_traits_that_its_page_knows(gpu: wg.GPU, kind: str) -> None:
    widget = make(kind, gpu)
    usual = anywidget.AnyWidget()
    own = set(widget.traits(sync=True)) - set(usual.traits(sync=True)) - {f"u_{name}" for name in ("tint",)}
    assert own == set(STATES[kind].__annotations__) | set(widgets.PlaceState.__annotations__) | (
        set(widgets.PanelState.__annotations__) if kind in {"bar", "table"} else set()
    )
    state = {name: value for name, value in widget.get_state().items() if name in own}
    state |= sent({name: value for name, value in state.items() if not isinstance(value, bytes)})  # bytes travel beside
    assert Schema(STATES[kind])._misfit(state) is None
    widget.close()
    usual.close()


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"quota_bytes": "many", "used_bytes": 1, "persisted": True}, "it.quota_bytes"),
        ({"quota_bytes": 2, "used_bytes": 1}, "it"),
        ([], "it"),
    ],
    ids=str,
)
def test_an_answer_that_is_none_of_the_service_says_so(value: Any, place: str) -> None:
    with pytest.raises(wg.FrontendError, match=rf"page's answer to cache\.quota is malformed \({place}\): reload"):
        services.CACHE_QUOTA.answer(value)
    right: Any = {"quota_bytes": 2, "used_bytes": 1, "persisted": True}
    assert services.CACHE_QUOTA.answer(right) == right


def test_a_report_that_is_none_of_the_service_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[services.RowsDrawn] = []
    hear = services.DRAW.reports(heard.append)
    hear({})  # the engine's own
    assert not caplog.records
    hear({"done": 1})
    assert "malformed report of view.draw" in caplog.text
    hear({"done": 1, "of": 4})
    assert heard == [{"done": 1, "of": 4}]


def test_fields_that_need_not_be_there_and_pairs_are_looked_at_too() -> None:
    schema = widgets.EXPLORER_STATUS
    assert schema.matches({})
    assert schema.matches({"size": [3, 4], "seconds": 1, "refined": None})
    for wrong in ({"size": [3]}, {"size": [3, 4.5]}, {"seconds": True}, {"refined": "0"}):
        assert not schema.matches(wrong), wrong


class Answers(list[Any]):
    """What an explorer says, each as (message, buffers)."""

    def wait(self) -> Any:
        end = time.monotonic() + 20
        while not self and time.monotonic() < end:
            time.sleep(0.01)
        return self.pop()


@pytest.fixture
def explorer() -> Iterator[tuple[wg.MandelbrotExplorer, Answers]]:
    made, answers = wg.MandelbrotExplorer(), Answers()
    made._say = lambda message, buffers: answers.append((sent(message), buffers))
    yield made, answers
    made.close()


@pytest.mark.parametrize(
    ("question", "answer", "buffers"),
    [
        ({"kind": "hello"}, widgets.ExplorerWelcome, 0),
        ({"kind": "prepare", "view": VIEW, "have": "", "exact": False}, widgets.ExplorerPrepared, 3),
        ({"kind": "refine", "view": VIEW, "have": ""}, widgets.ExplorerFine, 4),
        ({"kind": "prepare", "view": {**VIEW, "power": 9}, "have": "", "exact": True}, widgets.Failed, 0),
    ],
    ids=["hello", "prepare", "refine", "a power that there is not"],
)
def test_an_explorer_answers_as_its_page_expects(
    explorer: tuple[wg.MandelbrotExplorer, Answers], question: dict[str, Any], answer: Any, buffers: int
) -> None:
    made, answers = explorer
    made._on_message(made, {"id": "q1", **question}, [])
    message, parts = answers.wait()
    assert Schema(answer)._misfit(message) is None, message
    assert message["id"] == "q1"
    assert len(parts) == buffers


@pytest.mark.parametrize("content", [None, {}, {"id": 1, "kind": "hello"}], ids=str)
def test_an_explorer_leaves_what_is_no_question(
    explorer: tuple[wg.MandelbrotExplorer, Answers], content: object
) -> None:
    made, answers = explorer
    made._on_message(made, content, [])
    made._on_message(made, {"id": "q2", "kind": "hello"}, [])
    assert answers.wait()[0]["id"] == "q2"
    assert not answers


@pytest.mark.parametrize(
    "content",
    [{"id": "q", "kind": "prepare"}, {"id": "q", "kind": "draw", "view": VIEW}, {"id": "q", "kind": "dance"}],
    ids=lambda content: content["kind"],
)
def test_a_page_that_asks_amiss_need_not_wait(
    explorer: tuple[wg.MandelbrotExplorer, Answers], content: dict[str, Any]
) -> None:
    made, answers = explorer
    made._on_message(made, content, [])
    message, _ = answers.wait()
    assert Schema(widgets.Failed)._misfit(message) is None
    assert f"question '{content['kind']}' is malformed: reload" in message["message"]
    assert not made._pending


def test_an_ice_server_that_browsers_would_refuse_is_named_at_once() -> None:
    with pytest.raises(wg.ClusterError, match=r"ice_servers has \{'url': 'stun:a'\}; each is a dict with urls"):
        Channels([{"url": "stun:a"}])
    Channels([{"urls": ["stun:a"], "username": "me", "credential": "secret"}])
