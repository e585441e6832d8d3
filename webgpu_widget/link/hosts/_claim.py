"""Which messages are ours, and taking one out of the kernel's hands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Receive = Callable[[dict[str, Any], Sequence[memoryview]], None]

claims: dict[str, Receive] = {}
"""Receivers by comm id."""


def claim(kernel: Any, frames: Sequence[Any]) -> bool:
    """Deliver a message to its receiver if it is a custom message on a claimed comm.

    Parameters
    ----------
    kernel : ipykernel.kernelbase.Kernel
        Whose session verifies and unpacks the message.
    frames : sequence of zmq.Frame
        The message as it came from the shell socket.

    Returns
    -------
    bool
        Whether it was ours. If so, busy and idle were published for it: JupyterLab keeps a future for every message until it sees them.
    """
    session = kernel.session
    try:
        _, parts = session.feed_identities(frames, copy=False)
        peek = session.deserialize(parts, content=False, copy=False)
        header = peek["header"]
        if header["msg_type"] != "comm_msg":
            return False
        content = session.unpack(peek["content"])
        receive = claims.get(content["comm_id"])
        data = content["data"]
        if receive is None or data.get("method") != "custom":
            return False
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not a message that we can read: the kernel's own code says what is wrong with it.
        return False
    for state in ("busy", "idle"):
        session.send(
            kernel.iopub_socket,
            "status",
            {"execution_state": state},
            parent={"header": header},
            ident=kernel._topic("status"),
        )
    receive(data["content"], [frame.buffer for frame in parts[5:]])
    return True
