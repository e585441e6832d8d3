"""What the last selftest said of an adapter, kept for `doctor` in the user's cache folder."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from webgpu_widget import __version__
from webgpu_widget._selftest.report import Row
from webgpu_widget.gpu import AdapterInfo
from webgpu_widget.process import user_cache

__all__ = ["Kept", "made", "recall", "remember"]

FORMAT = 1
MOST_ADAPTERS = 50


@dataclass(frozen=True)
class Kept:
    """Rows by name, each with ``area``, ``verdict``, ``error`` and ``note``, and the day of the last run."""

    rows: dict[str, dict[str, str]]
    day: str

    @property
    def wrong(self) -> list[str]:
        """Names of what was not right."""
        return [name for name, row in self.rows.items() if row["verdict"] not in ("right", "not on this adapter")]

    def summary(self) -> str:
        """Say what is wrong and what still works."""
        wrong = self.wrong
        if not wrong:
            return f"right in {len(self.rows)} kernels on {self.day}"
        areas: dict[str, list[str]] = {}
        for name, row in self.rows.items():
            areas.setdefault(row["area"], []).append(name)
        told = [f"{name} ({row['verdict']}: {row['error']}; {row['note']})" for name, row in self._of(wrong)]
        whole = [area for area, names in areas.items() if not set(names) & set(wrong)]
        parts = [
            f"{area} but for {', '.join(bad)}"
            for area, names in areas.items()
            if (bad := [name for name in names if name in wrong]) and len(bad) < len(names)
        ]
        works = ", ".join([*whole, *parts]) or "nothing that was checked"
        return f"WRONG on {self.day}: {'; '.join(told)}. What still works: {works}. Work goes on; do not trust what uses the former"

    def _of(self, names: list[str]) -> list[tuple[str, dict[str, str]]]:
        return [(name, self.rows[name]) for name in names]


def _key(info: AdapterInfo) -> str:
    """Return what tells an adapter, a browser and a version of the package from others."""
    adapter = f"{info.vendor}/{info.architecture}/{info.device}/{info.description}"
    return f"{adapter} | {info.user_agent} | {__version__}"


def _as_kept(row: Row) -> dict[str, str]:
    return {"area": row.area, "verdict": row.verdict, "error": row.error, "note": row.note}


def made(rows: Iterable[Row]) -> Kept:
    """Return rows as they are kept, of today."""
    return Kept({row.name: _as_kept(row) for row in rows}, time.strftime("%Y-%m-%d"))


def remember(info: AdapterInfo, rows: Iterable[Row]) -> None:
    """Keep rows, in place of those of the same names from before."""
    new = made(rows)
    file = user_cache.path("selftest.json")
    kept = user_cache.read(file, FORMAT, "adapters")
    before = _checked(kept.pop(_key(info), None))
    kept[_key(info)] = {"day": new.day, "rows": {**(before.rows if before else {}), **new.rows}}
    user_cache.write(file, FORMAT, "adapters", dict(list(kept.items())[-MOST_ADAPTERS:]))


def recall(info: AdapterInfo) -> Kept | None:
    """Return what is kept of an adapter in this browser and version, if anything."""
    return _checked(user_cache.read(user_cache.path("selftest.json"), FORMAT, "adapters").get(_key(info)))


def _checked(entry: Any) -> Kept | None:
    """Make sense of what a file holds, or nothing."""
    if not isinstance(entry, dict) or not isinstance(entry.get("day"), str) or not isinstance(entry.get("rows"), dict):
        return None
    fields = ("area", "verdict", "error", "note")
    rows = {
        str(name): {field: str(row[field]) for field in fields}
        for name, row in entry["rows"].items()
        if isinstance(row, dict) and all(field in row for field in fields)
    }
    return Kept(rows, entry["day"]) if rows else None
