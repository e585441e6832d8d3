"""Who leads, what an epoch is, what a cancelled request gets, and whose error is whose."""

from __future__ import annotations

from network import Network

from webgpu_widget.link import protocol
from webgpu_widget.link.session import Session

HELLO = {
    "kind": "hello",
    "protocol_version": protocol.PROTOCOL_VERSION,
    "instance": "x",
    "session": None,
    "received": 0,
}


def ask(network: Network, key: str) -> None:
    network.session.submit([{"op": "synchronize", "id": key}], [], (key,))
    network.settle()


def test_the_first_page_leads_and_the_second_stands_by() -> None:
    network = Network(1)
    first = network.add_page()
    network.run(1)
    second = network.add_page()
    network.run(1)
    assert (first.role, second.role) == ("leader", "standby")
    ask(network, "a")
    network.run(1)
    assert second.batches == 0
    assert network.ids("result") == ["a"]


def test_the_standby_takes_over_after_bye() -> None:
    network = Network(2)
    first = network.add_page()
    network.run(1)
    second = network.add_page()
    network.run(1)
    first.frozen = True
    ask(network, "a")
    network.run(0.5)
    first.bye(network.wires["comm"])
    network.run(0.5)
    assert [event.message["ids"] for event in network.taken("page-lost")] == [["a"]]
    assert network.session.instance == second.instance
    assert second.role == "leader"
    ask(network, "b")
    network.run()
    assert network.ids("result") == ["b"]


def test_batches_for_a_page_that_left_do_not_run_on_the_next() -> None:
    network = Network(3)
    first = network.add_page()
    network.run(1)
    network.wires["comm"].broken = True
    ask(network, "a")
    network.wires["comm"].broken = False
    first.bye(network.wires["comm"])
    network.run(1)
    second = network.add_page()
    network.run(1)
    assert second.role == "leader"
    assert second.batches == 0
    assert network.session.requests == frozenset()


def test_what_is_asked_before_there_is_a_page_waits_for_it() -> None:
    network = Network(4)
    ask(network, "a")
    network.run(5)
    assert network.session.requests == {"a"}
    network.add_page()
    network.run()
    assert network.ids("result") == ["a"]


def test_a_reload_is_another_instance_and_a_new_session() -> None:
    network = Network(5)
    first = network.add_page()
    network.run(1)
    session = network.session.session
    first.bye(network.wires["comm"])
    network.run(1)
    network.add_page()
    network.run(1)
    assert network.session.session not in {session, ""}
    assert len(network.taken("connected")) == 2


def test_a_lost_device_begins_an_epoch() -> None:
    network = Network(6)
    page = network.add_page()
    network.run(1)
    page.frozen = True
    ask(network, "a")
    network.run(1)
    network.session.reset("a kernel never ends")
    network.settle()
    network.run(1)
    assert page.resets == ["a kernel never ends"]
    assert network.session.epoch == 2
    assert [(event.message["id"], event.message["code"]) for event in network.taken("error")] == [("a", "device-lost")]
    ask(network, "b")
    network.run()
    assert network.ids("result") == ["b"]


def test_batches_of_an_older_epoch_do_not_run() -> None:
    network = Network(7)
    page = network.add_page()
    network.run(1)
    page.lose_device("unplugged")
    # On its way before Python hears of it.
    commands = [{"op": "create-buffer", "buffer": 5, "size_bytes": 4}, {"op": "synchronize", "id": "late"}]
    network.session.submit(commands, [], ("late",))
    network.settle()
    network.run(1)
    assert page.batches == 1
    assert 5 not in page.buffers
    errors = [(event.message["id"], event.message["code"]) for event in network.taken("error")]
    assert errors == [("late", "device-lost")]


def test_a_cancelled_request_ends_quietly() -> None:
    network = Network(8)
    page = network.add_page()
    network.run(1)
    page.delay_s = 0.5
    ask(network, "a")
    network.run(0.2)
    network.session.cancel(["a"])
    network.settle()
    network.run()
    assert page.cancelled == ["a"]
    assert network.ids("result") == []
    assert network.session.requests == frozenset()


def test_an_error_of_a_command_answers_the_next_request_and_only_that() -> None:
    network = Network(9)
    network.add_page()
    network.run(1)
    network.session.submit([{"op": "write-buffer", "buffer": 77, "offset": 0, "data": [0, 0, 4]}], [bytes(4)])
    ask(network, "a")
    ask(network, "b")
    network.run()
    errors = [(event.message["id"], event.message["code"]) for event in network.taken("error")]
    assert errors == [("a", "unknown-handle")]
    assert network.ids("result") == ["b"]


def test_a_page_of_another_version_is_refused() -> None:
    session = Session()
    session.receive("comm", {**HELLO, "protocol_version": protocol.PROTOCOL_VERSION + 1})
    sent = session.take_outgoing()
    assert [item.message["kind"] for item in sent] == ["refuse"]
    assert session.instance is None
    assert [event.kind for event in session.take_events()] == ["mismatch"]


def test_messages_of_others_are_ignored() -> None:
    network = Network(10)
    network.add_page().frozen = True
    network.run(1)
    ask(network, "a")
    stranger = {"kind": "result", "instance": "stranger", "seq": 1, "id": "a", "value": {}}
    network.session.receive("comm", stranger)
    assert network.session.take_events() == []
    assert "a" in network.session.requests


def test_a_second_reply_goes_nowhere() -> None:
    network = Network(11, lane=False)
    page = network.add_page()
    network.run(1)
    ask(network, "a")
    network.run()
    again = {"kind": "result", "instance": page.instance, "seq": page.sent + 1, "id": "a", "value": {"x": 1}}
    network.session.receive("comm", again)
    network.settle()
    assert network.session._received == page.sent + 1
    assert network.ids("result") == ["a"]


def test_the_batch_repeats_the_last_requests_id() -> None:
    """ipykernel 7.4 routes a front end's message by ``content.id``."""
    session = Session()
    session.receive("comm", HELLO)
    session.submit([{"op": "synchronize", "id": "a"}, {"op": "synchronize", "id": "b"}], [], ("a", "b"))
    assert session.take_outgoing()[-1].message["id"] == "b"


def test_credit_is_given_back_and_queued_batches_follow_in_order() -> None:
    network = Network(12, lane=False)
    page = network.add_page()
    network.run(1)
    big = bytes(protocol.CHUNK_BYTES)
    network.session.submit([{"op": "create-buffer", "buffer": 1, "size_bytes": len(big)}], [])
    for _ in range(6):
        command = {"op": "write-buffer", "buffer": 1, "offset": 0, "data": [0, 0, len(big)]}
        network.session.submit([command], [big])
    assert network.session.pending_bytes == 4 * len(big), "two chunks are under way"
    network.settle()
    network.run()
    assert network.session.pending_bytes == 0
    assert page.ran == list(range(1, 8))
