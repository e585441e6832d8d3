"""What is said of a browser to a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webgpu_widget.cluster.hub import Member

__all__ = ["WorkerInfo", "row"]


@dataclass(frozen=True)
class WorkerInfo:
    """A row of `Cluster.workers`.

    Attributes
    ----------
    id : str
        Name of the browser in this cluster.
    adapter : str
        Its GPU; empty while it is joining.
    is_fallback : bool
        Whether a CPU does the work.
    state : str
        ``joining``, ``ready``, ``working`` or ``gone``.
    tasks_done, tasks_failed : int
        Finished with its GPU.
    bytes_in, bytes_out : int
        To and from the browser through the hub.
    peer_bytes_in, peer_bytes_out : int
        To and from other browsers, past the hub.
    busy_s : float
        Seconds in which a task ran.
    reason : str
        Why it is gone.
    """

    id: str
    adapter: str
    is_fallback: bool
    state: str
    tasks_done: int
    tasks_failed: int
    bytes_in: int
    bytes_out: int
    peer_bytes_in: int
    peer_bytes_out: int
    busy_s: float
    reason: str


def row(member: Member) -> WorkerInfo:
    """Return the row of a member."""
    info = member.info
    state = "working" if member.state == "ready" and member.tasks_running else member.state
    return WorkerInfo(
        id=member.id,
        adapter=info.name if info else "",
        is_fallback=bool(info and info.is_fallback),
        state=state,
        tasks_done=member.tasks_done,
        tasks_failed=member.tasks_failed,
        bytes_in=member.bytes_in,
        bytes_out=member.bytes_out,
        peer_bytes_in=member.peer_bytes_in,
        peer_bytes_out=member.peer_bytes_out,
        busy_s=member.busy_s,
        reason=member.reason,
    )
