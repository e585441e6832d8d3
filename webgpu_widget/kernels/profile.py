"""How long each kernel took."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from webgpu_widget import errors
from webgpu_widget.link.steps import Steps, drive, drive_async

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device

__all__ = ["Profile", "ProfileRow"]


@dataclass(frozen=True)
class ProfileRow:
    """One kernel's share.

    ``gpu_ms`` comes from timestamp queries and is None where the adapter has none; browsers round it (Chrome to 0.1 ms), so time many dispatches.
    ``wall_ms`` is from submitting to having run.
    """

    name: str
    dispatches: int
    gpu_ms: float | None
    wall_ms: float


class Profile:
    """``with gpu.profile() as p:`` fills ``p.rows`` at the end of the block; shows as a table.

    Parameters
    ----------
    device : Device
        What is measured; `GPU.profile` passes its own.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._rows: list[ProfileRow] | None = None

    def __enter__(self) -> Self:
        self._device.queue.tell({"op": "profile-start"})
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        drive(self._end_steps(kind))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await drive_async(self._end_steps(kind))

    def _end_steps(self, kind: object) -> Steps[None]:
        if kind is None:
            result = yield from self._device.queue.request_steps({"op": "profile-stop"}, "profiling")
            self._rows = [
                ProfileRow(row["name"], row["dispatches"], row["gpu_ms"], row["wall_ms"]) for row in result["rows"]
            ]

    @property
    def rows(self) -> Sequence[ProfileRow]:
        """A row per kernel, longest first."""
        if self._rows is None:
            raise errors.WebGPUWidgetError("the profile is filled when its with block ends")
        return self._rows

    def _cells(self) -> list[tuple[str, str, str, str]]:
        return [
            (row.name, str(row.dispatches), "-" if row.gpu_ms is None else f"{row.gpu_ms:.3f}", f"{row.wall_ms:.3f}")
            for row in self.rows
        ]

    def __repr__(self) -> str:
        if self._rows is None:
            return "Profile(open)"
        table = [("kernel", "dispatches", "gpu_ms", "wall_ms"), *self._cells()]
        widths = [max(len(row[i]) for row in table) for i in range(4)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in table
        )

    def _repr_html_(self) -> str:
        if self._rows is None:
            return "<p>the profile is open</p>"
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self._cells()
        )
        return f"<table><thead><tr><th>kernel</th><th>dispatches</th><th>gpu_ms</th><th>wall_ms</th></tr></thead><tbody>{body}</tbody></table>"
