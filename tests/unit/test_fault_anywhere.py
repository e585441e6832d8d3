"""A fault between every two events of a recorded run of both sessions: each request ends once, and what follows is right at the first try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fake_page import COUNT, FakePage
from network import Network

from webgpu_widget.link import protocol

CHUNK = 1024
DATA = np.random.default_rng(5).bytes(4 * CHUNK)


class Run:
    """The same story each time: a kernel, a few calls, bytes both ways, reads in between."""

    def __init__(self, *, lane: bool) -> None:
        self.network = Network(7, lane=lane)
        self.page = self.network.add_page()
        self.asked: list[str] = []
        self.counts: dict[str, int] = {}
        self.cancelled: set[str] = set()
        at = self.network.at
        at(0.30, lambda: self.tell({"op": "compile", "id": "c", "pipeline": 1, "source": COUNT}))
        at(0.30, lambda: self.tell({"op": "create-buffer", "buffer": 1, "size_bytes": 4}))
        at(0.30, lambda: self.tell({"op": "create-buffer", "buffer": 2, "size_bytes": len(DATA)}))
        for number in range(3):
            at(0.4 + 0.05 * number, self.count)
            at(0.4 + 0.05 * number, lambda number=number: self.read(f"n{number}", 1, 4))
            self.counts[f"n{number}"] = number + 1
        for start in range(0, len(DATA), CHUNK):
            at(0.60, lambda start=start: self.upload(start))
        at(0.62, lambda: self.read("all", 2, len(DATA)))

    @property
    def losses(self) -> int:
        return sum(event.kind in {"page-lost", "device-lost"} for event in self.network.events)

    def tell(self, command: dict[str, Any], *buffers: bytes) -> None:
        """Submit, as a queue does: nothing that is meant for what is gone."""
        if self.losses:
            return
        ids = (command["id"],) if "id" in command else ()
        self.asked += ids
        self.network.session.submit([command], list(buffers), ids)

    def count(self) -> None:
        args = [{"group": 0, "binding": 0, "buffer": 1}]
        self.tell({"op": "dispatch", "pipeline": 1, "workgroups": [1, 1, 1], "args": args})

    def upload(self, start: int) -> None:
        self.tell(
            {"op": "write-buffer", "buffer": 2, "offset": start, "data": [0, 0, CHUNK]}, DATA[start : start + CHUNK]
        )

    def read(self, key: str, buffer: int, size: int) -> None:
        self.tell({"op": "read", "id": key, "reads": [{"buffer": buffer, "offset": 0, "size_bytes": size}]})

    def bytes_of(self, key: str, size: int) -> bytes:
        target, seen = bytearray(size), np.zeros(size, np.uint8)
        for event in self.network.taken("chunk"):
            if event.message["id"] == key:
                offset, data = event.message["offset"], bytes(event.buffers[0])
                target[offset : offset + len(data)] = data
                seen[offset : offset + len(data)] += 1
        assert (seen == 1).all(), f"bytes of {key} came {seen.min()} to {seen.max()} times"
        return bytes(target)

    def ends_of(self, key: str) -> list[str]:
        ends = [
            event.kind
            for event in self.network.events
            if event.message.get("id") == key and event.kind in {"result", "error"}
        ]
        return ends + ["lost" for event in self.network.taken("page-lost") if key in event.message["ids"]]

    def quiet(self) -> None:
        """Let everything happen, with the recovery that the connection asks for after a silence."""
        for _ in range(2):
            self.network.run()
            self.network.session.recover()
            self.network.settle()
        self.network.run()


def nothing(run: Run) -> None:
    """No fault."""


def lane_breaks(run: Run) -> None:
    run.network.break_lane(run.page)


def lane_breaks_and_another_opens(run: Run) -> None:
    run.network.break_lane(run.page)
    run.page.hello(run.network.wires["comm"])


def device_is_lost(run: Run) -> None:
    run.page.lose_device("the plug")


def device_is_reset_by_python(run: Run) -> None:
    run.network.session.reset("nothing finished")


def page_is_closed_and_another_opens(run: Run) -> None:
    run.page.bye(run.network.wires["comm"])
    run.page.role = "closed"
    run.network.after(0.05, run.network.add_page)


def page_dies_and_another_opens(run: Run) -> None:
    """Its hello may still be on the way: then it leads until it has been silent for long enough."""

    def give_up() -> None:
        if run.network.session.instance == run.page.instance:
            run.network.session.lose_page("silence")

    run.page.dead = True
    give_up()
    run.network.after(0.05, run.network.add_page)
    run.network.after(2, give_up)


def page_is_given_up_while_it_sleeps(run: Run) -> None:
    run.network.session.lose_page("silence")


def second_page(run: Run) -> None:
    run.network.add_page()


def second_page_takes_over(run: Run) -> None:
    run.network.add_page()
    run.network.after(0.1, lambda: run.network.session.lose_page("silence"))


def interrupted(run: Run) -> None:
    run.cancelled = set(run.network.session.requests)
    run.network.session.cancel(sorted(run.cancelled))


def everything_arrives_twice(run: Run) -> None:
    for wire in run.network.wires.values():
        wire.duplicate = 1.0


def page_greets_again(run: Run) -> None:
    run.page.hello(run.network.wires["comm"])


FAULTS: list[Callable[[Run], None]] = [
    nothing,
    lane_breaks,
    lane_breaks_and_another_opens,
    device_is_lost,
    device_is_reset_by_python,
    page_is_closed_and_another_opens,
    page_dies_and_another_opens,
    page_is_given_up_while_it_sleeps,
    second_page,
    second_page_takes_over,
    interrupted,
    everything_arrives_twice,
    page_greets_again,
]
LOSE_NOTHING = {
    nothing,
    lane_breaks,
    lane_breaks_and_another_opens,
    second_page,
    everything_arrives_twice,
    page_greets_again,
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and windows so small that the story needs credit."""
    for name, value in {"CHUNK_BYTES": CHUNK, "WINDOW_BYTES": 2 * CHUNK, "COMM_WINDOW_BYTES": 2 * CHUNK}.items():
        monkeypatch.setattr(protocol, name, value)


def events_of(*, lane: bool) -> int:
    run, count = Run(lane=lane), 0
    while run.network.step():
        count += 1
    return count


def assert_ends_well(run: Run, fault: Callable[[Run], None]) -> None:
    for key in run.asked:
        ends = run.ends_of(key)
        assert len(ends) == 1 or (key in run.cancelled and len(ends) == 0), f"{key} ended {ends}"
        if fault in LOSE_NOTHING:
            assert ends == ["result"], f"{key} ended {ends}"
        if ends == ["result"] and key in run.counts:
            assert int.from_bytes(run.bytes_of(key, 4), "little") == run.counts[key]
        elif ends == ["result"] and key == "all":
            assert run.bytes_of(key, len(DATA)) == DATA
    session = run.network.session
    assert not session.requests
    assert session.pending_bytes == 0
    assert session._unacked_bytes == 0
    assert sum(page.role == "leader" for page in run.network.pages if not page.dead) == 1


def assert_the_next_is_right(run: Run) -> None:
    session = run.network.session
    session.submit([{"op": "create-buffer", "buffer": 9, "size_bytes": CHUNK}], [])
    session.submit([{"op": "write-buffer", "buffer": 9, "offset": 0, "data": [0, 0, CHUNK]}], [DATA[:CHUNK]])
    command = {"op": "read", "id": "next", "reads": [{"buffer": 9, "offset": 0, "size_bytes": CHUNK}]}
    session.submit([command], [], ("next",))
    run.network.settle()
    run.quiet()
    assert run.ends_of("next") == ["result"]
    assert run.bytes_of("next", CHUNK) == DATA[:CHUNK]


@pytest.mark.parametrize("lane", [False, True], ids=["comm", "lane"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_fault_between_every_two_events(fault: Callable[[Run], None], lane: bool) -> None:
    count = events_of(lane=lane)
    assert count > 40
    for before in range(count + 1):
        run = Run(lane=lane)
        for _ in range(before):
            run.network.step()
        try:
            fault(run)
            run.network.settle()
            run.quiet()
            assert_ends_well(run, fault)
            assert_the_next_is_right(run)
        except AssertionError as error:
            raise AssertionError(f"{fault.__name__} after event {before} of {count}: {error}") from error


def test_the_page_never_leads_two_sessions_at_once() -> None:
    run = Run(lane=True)
    run.quiet()
    assert [page.role for page in run.network.pages] == ["leader"]
    assert FakePage is type(run.page)
