"""The cells of the table: which exist, why the others do not, and which run on every change."""

from __future__ import annotations

from dataclasses import dataclass

from states import STATES
from strikes import FAULTS, IN_THE_CALL

TRANSPORTS = ("headless", "page", "comm")
CLUSTER_STATES = ("cluster map", "cluster product")
CLUSTER_FAULTS = (
    "gpu process killed",
    "renderer killed",
    "browser killed",
    "stopped 15 s",
    "reloaded",
    "page closed",
    "device destroyed",
)
ELSEWHERE = {
    "the explorer's own page": "its questions are asked here, and its pictures are looked at where a notebook shows them: tests/lab/test_explorer.py, tests/lab/test_bad_luck.py",
    "cluster": "the work goes on in other browsers, so no second page, full disk or endless shader is one of its states: tests/cluster",
}


@dataclass(frozen=True)
class Cell:
    """A state, a fault and a transport."""

    transport: str
    state: str
    fault: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.transport}-{self.state}-{self.fault}".replace(" ", "_")

    @property
    def in_kernel(self) -> bool:
        """Whether it is played in a kernel, with a front end; else in this process."""
        return self.transport == "comm" or self.fault == "kernel restarted"

    @property
    def missing(self) -> str:
        """Why it cannot exist; empty when it can."""
        if self.fault == "disk full" and self.state != "load_weights":
            return "nothing is written to the disk"
        if self.fault in IN_THE_CALL and self.state != "idle":
            return "is a call of its own"
        return ""

    @property
    def telling(self) -> bool:
        """Whether it runs on every change."""
        if self.transport == "cluster":
            return self.fault in {"gpu process killed", "renderer killed", "browser killed"}
        if self.missing or self.fault == "stopped 60 s":
            return False
        chosen = _TELLING.get(self.transport, {})
        return self.fault in chosen.get(self.state, ()) or self.fault in chosen.get("any", ())


_GONE = {"gpu process killed", "renderer killed", "browser killed"}
_TELLING = {
    "headless": {
        "any": {*_GONE, "disk full"},
        "idle": set(FAULTS),
        "calls": set(FAULTS) - {"stopped 15 s"},
        "read": {"page closed", "reloaded", "interrupted"},
    },
    "page": {
        "idle": set(FAULTS) - {"stopped 15 s"},
        "calls": {"reloaded"},
        "upload": {"gpu process killed"},
        "read": {"page closed"},
        "generate": {"reloaded"},
    },
    "comm": {
        "idle": {"renderer killed", "browser killed", "page closed", "reloaded", "kernel restarted", "interrupted"},
        "calls": {"gpu process killed"},
        "upload": {"reloaded"},
        "read": {"page closed"},
        "load_weights": {"reloaded"},
        "generate": {"gpu process killed"},
        "explorer": {"kernel restarted"},
        "replay": {"device destroyed"},
    },
}

CELLS = [Cell(transport, state, fault) for transport in TRANSPORTS for state in STATES for fault in FAULTS] + [
    Cell("cluster", state, fault) for state in CLUSTER_STATES for fault in CLUSTER_FAULTS
]
