"""Both sides of the protocol over a bad network: nothing lost, nothing twice, in order, within the window."""

from __future__ import annotations

import numpy as np
import pytest
from fake_page import COUNT, FakePage
from network import Network

from webgpu_widget.link import protocol

COUNT_ONCE = {
    "op": "dispatch",
    "pipeline": 1,
    "workgroups": [1, 1, 1],
    "args": [{"group": 0, "binding": 0, "buffer": 1}],
}


def some_seeds(rng: np.random.Generator, count: int) -> list[int]:
    return [int(seed) for seed in rng.integers(0, 2**31, count)]


def read(network: Network, key: str, buffer: int, size: int) -> str:
    command = {"op": "read", "id": key, "reads": [{"buffer": buffer, "offset": 0, "size_bytes": size}]}
    network.session.submit([command], [], (key,))
    network.settle()
    return key


def bytes_of(network: Network, key: str, size: int) -> bytes:
    """What the chunks of a request say; fails when a byte came twice or not at all."""
    target, seen = bytearray(size), np.zeros(size, np.uint8)
    for event in network.taken("chunk"):
        if event.message["id"] == key:
            offset, data = event.message["offset"], bytes(event.buffers[0])
            target[offset : offset + len(data)] = data
            seen[offset : offset + len(data)] += 1
    assert (seen == 1).all(), f"bytes of {key} came {seen.min()} to {seen.max()} times"
    return bytes(target)


def number_of(network: Network, key: str) -> int:
    return int(np.frombuffer(bytes_of(network, key, 4), np.uint32)[0])


def start(network: Network) -> FakePage:
    page = network.add_page()
    network.run(1)
    commands = [
        {"op": "compile", "id": "c", "pipeline": 1, "source": COUNT},
        {"op": "create-buffer", "buffer": 1, "size_bytes": 4},
    ]
    network.session.submit(commands, [], ("c",))
    network.settle()
    return page


@pytest.mark.parametrize("breaks", [0, 1, 4], ids=["whole", "one break", "four breaks"])
def test_nothing_lost_nothing_twice_in_order(rng: np.random.Generator, breaks: int) -> None:
    for seed in some_seeds(rng, 20):
        network = Network(seed)
        network.wires["comm"].duplicate = 0.2
        page = start(network)
        random = network.random
        reads: dict[str, int] = {}
        when_to_break = sorted(random.uniform(0.5, 4) for _ in range(breaks))
        for sent in range(1, 61):
            network.session.submit([COUNT_ONCE], [])
            if random.random() < 0.2:
                reads[read(network, f"r{sent}", 1, 4)] = sent
            network.settle()
            network.run(random.uniform(0, 0.1))
            while when_to_break and network.now > when_to_break[0]:
                when_to_break.pop(0)
                network.break_lane(page)
                if random.random() < 0.5:
                    page.hello(network.wires["comm"])  # the page gets another lane
        reads[read(network, "last", 1, 4)] = 60
        network.run()
        network.session.recover()  # as the connection does after a silence
        network.settle()
        network.run()
        assert page.ran == list(range(1, len(page.ran) + 1)), f"seed {seed}: batches ran as {page.ran}"
        assert sorted(network.ids("result")) == sorted([*reads, "c"]), f"seed {seed}: each request has one reply"
        assert {key: number_of(network, key) for key in reads} == reads, f"seed {seed}"
        assert not network.session.requests


@pytest.mark.parametrize("breaks", [0, 2], ids=["whole", "two breaks"])
def test_bulk_bytes_both_ways_within_the_window(
    rng: np.random.Generator, breaks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small chunks make many of them; the arithmetic is the same.
    monkeypatch.setattr(protocol, "CHUNK_BYTES", 4096)
    monkeypatch.setattr(protocol, "WINDOW_BYTES", 8192)
    monkeypatch.setattr(protocol, "COMM_WINDOW_BYTES", 8192)
    for seed in some_seeds(rng, 10):
        network = Network(seed)
        page = start(network)
        network.run(1)
        data = network.random.randbytes(100_000)
        network.session.submit([{"op": "create-buffer", "buffer": 2, "size_bytes": len(data)}], [])
        most_under_way = 0
        for offset in range(0, len(data), 4096):
            piece = data[offset : offset + 4096]
            command = {"op": "write-buffer", "buffer": 2, "offset": offset, "data": [0, 0, len(piece)]}
            network.session.submit([command], [piece])
            network.settle()
            if breaks and offset == 40_960:
                network.break_lane(page)
                page.hello(network.wires["comm"])
            network.run(network.random.uniform(0, 0.02))
            most_under_way = max(most_under_way, network.session._unacked_bytes)
        key = read(network, "r", 2, len(data))
        network.run(0.3)
        if breaks > 1:
            network.break_lane(page)
        network.run()
        network.session.recover()
        network.settle()
        network.run()
        assert bytes(page.buffers[2]) == data, f"seed {seed}: the bytes in the page differ"
        assert bytes_of(network, key, len(data)) == data, f"seed {seed}: the bytes that came back differ"
        assert 0 < most_under_way <= 8192
        assert page.most_kept_bytes <= 8192
        assert network.session.pending_bytes == 0


def test_the_lane_is_preferred_and_the_comm_takes_over() -> None:
    network = Network(7)
    page = start(network)
    network.run(2)
    assert network.lane == "ws-1"
    assert page.link is network.wires["ws-1"]
    network.break_lane(page)
    network.run(2)
    assert network.session.link == "comm"
    assert page.link is network.wires["comm"]
    assert network.session.instance == page.instance


def test_a_lane_that_never_opens_costs_nothing() -> None:
    network = Network(8)
    page = network.add_page()
    page.open_lane = None
    network.run(1)
    network.session.submit([{"op": "get-device", "id": "d"}], [], ("d",))
    network.settle()
    network.run()
    assert network.ids("result") == ["d"]
    assert network.session.link == "comm"


def test_messages_that_died_with_a_socket_are_asked_for_again() -> None:
    """JupyterLab drops what is under way when its own socket reconnects, without telling anybody."""
    network = Network(9, lane=False)
    page = start(network)
    network.run(1)
    comm = network.wires["comm"]
    comm.broken = True
    for _ in range(5):
        network.session.submit([COUNT_ONCE], [])
    key = read(network, "r", 1, 4)
    network.run(1)
    comm.broken = False
    assert key in network.session.requests
    network.session.recover()
    network.settle()
    network.run()
    assert number_of(network, key) == 5
    assert page.ran == list(range(1, len(page.ran) + 1))


def test_a_gap_is_asked_for_by_the_page_alone() -> None:
    network = Network(10, lane=False)
    page = start(network)
    network.run(1)
    comm = network.wires["comm"]
    comm.broken = True
    network.session.submit([COUNT_ONCE], [])
    network.settle()
    comm.broken = False
    network.session.submit([COUNT_ONCE], [])
    key = read(network, "r", 1, 4)
    network.run()
    assert number_of(network, key) == 2
    assert page.ran == list(range(1, len(page.ran) + 1))


def test_replies_that_died_with_a_socket_are_asked_for_again() -> None:
    network = Network(11, lane=False)
    page = start(network)
    network.run(1)
    page.delay_s = 0.5
    key = read(network, "r", 1, 4)
    network.run(0.2)
    comm = network.wires["comm"]
    comm.broken = True
    network.run(1)
    comm.broken = False
    assert key in network.session.requests
    network.session.recover()
    network.settle()
    network.run()
    assert number_of(network, key) == 0
    assert network.ids("result").count(key) == 1
