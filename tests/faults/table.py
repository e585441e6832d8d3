"""The cells of the table: which exist, why the others do not, and which run on every change."""

from __future__ import annotations

from dataclasses import dataclass

from states import STATES
from strikes import FAULTS, IN_THE_CALL

TRANSPORTS = ("headless", "page")
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
    "explorer": "needs a notebook that shows it: tests/lab/test_explorer.py, tests/lab/test_bad_luck.py",
    "kernel restarted": "ends this process: tests/contract/test_transports.py (its browser goes), tests/lab/test_bad_luck.py (the notebook's page is told)",
    "comm": "needs a Jupyter kernel and its front end: tests/kernels/test_waiting_in_cells.py, tests/lab/test_bad_luck.py, tests/unit/test_fault_anywhere.py",
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
        if self.transport == "page":
            return (self.state == "idle" and self.fault != "stopped 15 s") or (self.state, self.fault) in _PAGE
        if (
            self.fault in {"gpu process killed", "renderer killed", "browser killed", "disk full"}
            or self.state == "idle"
        ):
            return True
        return self.state in {"calls", "read"} and self.fault != "stopped 15 s"


_PAGE = {("calls", "reloaded"), ("upload", "gpu process killed"), ("read", "page closed"), ("generate", "reloaded")}

CELLS = [Cell(transport, state, fault) for transport in TRANSPORTS for state in STATES for fault in FAULTS] + [
    Cell("cluster", state, fault) for state in CLUSTER_STATES for fault in CLUSTER_FAULTS
]
