"""A page that was given up while it slept, and has two links: what it says on one is not taken for what it says on the other."""

from __future__ import annotations

from typing import Any

import pytest

from webgpu_widget.link import protocol
from webgpu_widget.link.session import Session


def hello(session: str | None) -> dict[str, Any]:
    return {
        "kind": "hello",
        "protocol_version": protocol.PROTOCOL_VERSION,
        "instance": "page",
        "session": session,
        "received": 0,
        "host": "page",
        "loopback": True,
    }


def woken(first: str) -> tuple[Session, str]:
    """A session whose page slept, was given up, and says hello again on one link; returns it with the session before."""
    made = Session()
    made.receive("comm", hello(None))
    before = made.session
    made.receive("ws-1", hello(before))
    made.lose_page("it has not answered")
    made.take_events()
    made.receive(first, hello(before))
    assert made.session != before
    return made, before


@pytest.mark.parametrize("first", ["comm", "ws-1"])
def test_its_second_hello_is_no_second_loss(first: str) -> None:
    session, before = woken(first)
    now = session.session
    other = {"comm": "ws-1", "ws-1": "comm"}[first]
    session.submit([{"op": "synchronize", "id": "r1"}], [], ("r1",))
    session.receive(other, hello(before))
    assert session.session == now
    assert [event.kind for event in session.take_events()] == ["connected"]
    assert session.link == "ws-1"
    welcomes = [out for out in session.take_outgoing() if out.message["kind"] == "welcome" and out.link == other]
    assert welcomes[-1].message["session"] == now


@pytest.mark.parametrize("kind", ["result", "chunk", "ack", "lost"])
def test_what_it_said_before_on_a_slower_link_is_not_of_this_session(kind: str) -> None:
    session, _ = woken("comm")
    session.submit([{"op": "synchronize", "id": "r1"}], [], ("r1",))
    late = {"kind": kind, "instance": "page", "id": "r0", "seq": 1, "ack": 1, "epoch": 2, "reason": "the plug"}
    session.receive("ws-1", {**late, "item": 0, "offset": 0, "total": 0, "value": {}})
    session.receive("comm", {"kind": "result", "instance": "page", "id": "r1", "seq": 1, "value": {"right": True}})
    told = [event for event in session.take_events() if event.kind == "result"]
    assert [event.message["id"] for event in told] == ["r1"]


def test_a_page_that_began_anew_is_a_loss_still() -> None:
    session, _ = woken("comm")
    session.receive("comm", hello("another"))
    assert [event.kind for event in session.take_events()] == ["connected", "page-lost", "connected"]
