"""What a selftest found: rows, hazards, a table, and a text to paste into a report."""

from __future__ import annotations

import html
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from webgpu_widget import __version__

if TYPE_CHECKING:
    from webgpu_widget.gpu import AdapterInfo

__all__ = ["Finding", "Report", "Row", "Verdict"]

Verdict = Literal["right", "wrong", "failed", "not on this adapter", "not run"]
"""``failed``: an error came instead of a result. ``not run``: what came before has taken the GPU away."""
_GOOD = ("right", "not on this adapter")
_MARK = {"right": "right", "wrong": "WRONG", "failed": "FAILED", "not run": "NOT RUN"}


@dataclass(frozen=True)
class Row:
    """One shader, or one kind of generated kernel.

    Attributes
    ----------
    name : str
        A file below ``shaders/`` without the ending, or ``generated/...``.
    area : str
        What it belongs to.
    cases : int
        How many inputs were compared.
    worst_error : float or None
        The error nearest to what is allowed, or farthest beyond; None where nothing ran.
    allowed : float or None
        The largest error that is right.
    unit : str
        Of both.
    verdict : str
        ``right``, ``wrong``, ``failed``, ``not on this adapter`` or ``not run``.
    note : str
        Which input was the worst, or why it did not run.
    """

    name: str
    area: str
    cases: int
    worst_error: float | None
    allowed: float | None
    unit: str
    verdict: Verdict
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.verdict in _GOOD

    @property
    def error(self) -> str:
        """The worst error with what is allowed, in words."""
        if self.worst_error is None or self.allowed is None:
            return "-"
        return f"{self.worst_error:.3g} of {self.allowed:.3g} {self.unit}"

    @property
    def strain(self) -> float:
        """The worst error in units of what is allowed."""
        if self.worst_error is None or self.allowed is None:
            return 0.0
        if self.worst_error == 0:
            return 0.0
        return np.inf if self.allowed == 0 else self.worst_error / self.allowed


@dataclass(frozen=True)
class Finding:
    """What a probe saw of this adapter: information, since the package's kernels do not depend on it.

    Attributes
    ----------
    name : str
        The hazard.
    number : int
        Its group; groups are those of ``docs/adapters.md``.
    verdict : str
        ``right``, ``differs: ...``, or ``not on this adapter: ...``.
    values : dict
        What was computed, by WGSL expression.
    """

    name: str
    number: int
    verdict: str
    values: dict[str, str] = field(default_factory=dict)


def _versions() -> dict[str, str]:
    return {
        "package": f"webgpu_widget {__version__}, NumPy {np.__version__}",
        "python": f"{platform.python_version()} on {platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
    }


@dataclass(frozen=True)
class Report:
    """The result of `webgpu_widget.selftest`; shows as a table in notebooks and as text elsewhere.

    Attributes
    ----------
    ok : bool
        Whether everything that this adapter can run is right.
    rows : tuple of Row
        One a shader, and one for each kind of generated kernel.
    hazards : tuple of Finding
        What is known to differ between adapters, as it is on this one.
    info : AdapterInfo
        The adapter.
    seed : int
        Of the random inputs: ``selftest(seed=...)`` repeats them.
    seconds : float
        How long it took.
    versions : dict of str
        Of the package, of NumPy, of Python and of the platform.
    """

    rows: tuple[Row, ...]
    hazards: tuple[Finding, ...]
    info: AdapterInfo
    seed: int
    seconds: float
    versions: dict[str, str] = field(default_factory=_versions)

    @property
    def ok(self) -> bool:
        """Whether everything that this adapter can run is right."""
        return all(row.ok for row in self.rows)

    @property
    def wrong(self) -> tuple[Row, ...]:
        """The rows that are not right."""
        return tuple(row for row in self.rows if not row.ok)

    # ------------------------------------------------------------ shapes of it

    def areas(self) -> list[tuple[str, int, str, str]]:
        """Return the table's rows: area, cases, worst error, right or wrong."""
        made = []
        for area in dict.fromkeys(row.area for row in self.rows):
            rows = [row for row in self.rows if row.area == area]
            bad = [row for row in rows if not row.ok]
            worst = max(bad or rows, key=lambda row: row.strain)
            error = worst.error if bad or worst.strain == 0 else f"{worst.error} ({worst.name.split('/')[-1]})"
            if worst.strain == 0 and not bad:
                error = "0"
            verdict = _MARK["right"]
            if bad:
                verdict = f"{_MARK[bad[0].verdict]}: {', '.join(row.name for row in bad)}"
            elif all(row.verdict == "not on this adapter" for row in rows):
                verdict = "not on this adapter"
            made.append((area, sum(row.cases for row in rows), error, verdict))
        return made

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints: ``ok``, a row a shader by name, hazards by name, where it was, and ``text``."""
        info = self.info
        return {
            "ok": self.ok,
            "adapter": {
                "name": info.name,
                "vendor": info.vendor,
                "architecture": info.architecture,
                "device": info.device,
                "description": info.description,
                "is_fallback": info.is_fallback,
                "user_agent": info.user_agent,
                "transport": info.transport,
                "features": sorted(info.features),
                "limits": info.limits,
            },
            "versions": self.versions,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "rows": {
                row.name: {
                    "area": row.area,
                    "cases": row.cases,
                    "worst_error": _number(row.worst_error),
                    "allowed": row.allowed,
                    "unit": row.unit,
                    "verdict": row.verdict,
                    "note": row.note,
                }
                for row in self.rows
            },
            "hazards": {
                found.name: {"number": found.number, "verdict": found.verdict, "values": found.values}
                for found in self.hazards
            },
            "text": self.text,
        }

    @property
    def text(self) -> str:
        """What to paste into a report: adapter, browser, versions, table, what is wrong, hazards."""
        parts = [
            f"webgpu_widget selftest: {self._title()} ({self.seconds:.0f} s, seed {self.seed})",
            "",
            *(f"{key:<12}{value}" for key, value in self._where().items()),
            "",
            *(_table(("area", "cases", "worst error", "verdict"), self.areas(), right=(1,)) if self.rows else ()),
        ]
        if self.wrong:
            parts += ["", "What is wrong:"]
            parts += [f"  {row.name}: {_MARK[row.verdict]}, {row.error}; {row.note}" for row in self.wrong]
            parts += [f"Run it again with seed {self.seed} to see the same inputs."]
        absent = [row for row in self.rows if row.verdict == "not on this adapter"]
        if absent:
            parts += ["", "Not on this adapter:", *(f"  {row.name}: {row.note}" for row in absent)]
        if self.hazards:
            rows = [(str(found.number), found.name, found.verdict) for found in self.hazards]
            parts += ["", "Hazards (how this adapter computes; the package's kernels do not depend on it):"]
            parts += _table(("", "hazard", "on this adapter"), rows)
        return "\n".join(parts)

    def _title(self) -> str:
        if not self.rows:
            return "only the hazards were asked for"
        return "everything that this adapter runs is right" if self.ok else "SOMETHING IS WRONG on this adapter"

    def _where(self) -> dict[str, str]:
        info = self.info
        names = (info.vendor, info.architecture, info.device, info.description)
        return {
            "adapter": info.name + (" (a CPU)" if info.is_fallback else ""),
            "driver": " | ".join(part for part in names if part) or "not told by the browser",
            "browser": info.user_agent,
            "transport": info.transport,
            **self.versions,
        }

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        where = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th><td style='text-align:left'>{html.escape(value)}</td></tr>"
            for key, value in self._where().items()
        )
        wrong = [(row.name, row.error, row.verdict, row.note) for row in self.wrong]
        parts = [
            f"<p><b>selftest</b>: {html.escape(self._title())} ({self.seconds:.0f} s, seed {self.seed})</p>",
            f"<table>{where}</table>",
            _html(("area", "cases", "worst error", "verdict"), self.areas()),
        ]
        if wrong:
            parts.append(_html(("shader", "worst error", "verdict", "what"), wrong))
        if self.hazards:
            rows = [(found.number, found.name, found.verdict) for found in self.hazards]
            table = _html(("", "hazard", "on this adapter"), rows)
            parts.append(f"<details><summary>hazards of adapters</summary>{table}</details>")
        return "".join(parts)


def _number(value: float | None) -> float | str | None:
    """JSON has neither NaN nor infinity."""
    return value if value is None or np.isfinite(value) else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]], right: tuple[int, ...] = ()) -> list[str]:
    cells = [tuple(head), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _html(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "".join(f"<th style='text-align:left'>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
