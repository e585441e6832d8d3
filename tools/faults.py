"""Play the table of faults and write it into docs/reliability.md.

Each cell begins a state on a browser of its own, lets a fault strike in the middle of it, and looks at what follows: how the work under way ended, when the
next call was right, and what is left over. ``make faults`` plays all of them (about an hour on two cores, two at a time: those that are stopped only wait);
a pattern plays some and writes nothing, and ``--again`` plays those that ended badly in the last whole run, and writes the table anew.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pathlib
import re
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "faults")]

from play import Outcome, play  # noqa: E402
from states import STATES  # noqa: E402
from strikes import FAULTS  # noqa: E402
from table import CELLS, CLUSTER_FAULTS, CLUSTER_STATES, ELSEWHERE, TRANSPORTS, Cell  # noqa: E402

import webgpu_widget as wg  # noqa: E402
from webgpu_widget.link.transports._hub import Hub  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LAST = ROOT / ".cache" / "faults.json"
"""What the last whole run found."""
DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: made by `make faults` -->", "<!-- faults: end -->"
SHORT = {
    "DeviceLostError": "lost",
    "FrontendLostError": "lost",
    "FrontendTimeoutError": "timeout",
    "BufferSizeError": "memory",
    "OutOfMemoryError": "memory",
    "KeyboardInterrupt": "interrupt",
    "NoFrontendError": "no page",
    "Told": "lost",
    "QuotaError": "quota",
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", metavar="PATTERN", help="cells whose name this regular expression finds; nothing is written"
    )
    parser.add_argument("--telling", action="store_true", help="the cells that tests play; nothing is written")
    parser.add_argument("--again", action="store_true", help="those that ended badly in the last whole run")
    parser.add_argument("--jobs", type=int, default=2, help="how many are played at a time")
    parser.add_argument("--seed", type=int, default=0, help="repeats a run")
    return parser.parse_args()


def chosen(options: argparse.Namespace, known: dict[str, str]) -> list[Cell]:
    """Return the cells to play."""
    cells = [cell for cell in CELLS if not cell.missing]
    if options.again:
        cells = [cell for cell in cells if known[cell.name].startswith("BAD")]
    if options.telling:
        cells = [cell for cell in cells if cell.telling]
    if options.only:
        cells = [cell for cell in cells if re.search(options.only, cell.name)]
    return cells


def said(outcome: Outcome) -> str:
    """Return a cell's text."""
    return f"{SHORT.get(outcome.first, outcome.first)} {outcome.first_s:.1f}; {outcome.next_s:.1f}"


def begin() -> None:
    """Be a process that plays: with what stays for its life, and with Ctrl-C, which a shell's background jobs ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Hub.shared()


def played(cell: Cell, seed: Sequence[int]) -> str:
    """Play a cell; what is bad about it is told in the table."""
    try:
        return said(play(cell, np.random.default_rng(seed)))
    except Exception as error:  # noqa: BLE001
        return f"BAD: {type(error).__name__}: {error}".splitlines()[0][:200]


def lines(texts: dict[str, str], transport: str, states: Sequence[str], faults: Iterable[str]) -> list[str]:
    """Return one transport's table."""
    text = [f"| {transport} | " + " | ".join(states) + " |", "| --- |" + " --- |" * len(states)]
    for fault in faults:
        cells = [Cell(transport, state, fault) for state in states]
        text.append(f"| {fault} | " + " | ".join("-" if cell.missing else texts[cell.name] for cell in cells) + " |")
    return [*text, ""]


def document(texts: dict[str, str], adapter: str, minutes: float, jobs: int) -> str:
    """Return the tables with what they mean."""
    missing = sorted({(cell.fault, cell.missing) for cell in CELLS if cell.missing})
    explained = (
        f"Played by `make faults` on {adapter} in {minutes:.0f} minutes, {jobs} at a time; the load was {os.getloadavg()[2]:.1f} in the last 15 of them. A cell says how the work under way ended and after how many seconds (with the time in which "
        "it ran undisturbed), then after how many seconds the next call, which uses nothing that was lost, had the right answer at the first try. After each cell no "
        "process, profile, thread, descriptor or buffer is left over. *lost* is DeviceLostError or FrontendLostError, *timeout* FrontendTimeoutError, *memory* an "
        "OutOfMemoryError, *ended* the end of the kernel that it ran in. `comm` is a real page with the notebook's side of it scripted, on a real kernel, with or without the lane "
        "(drawn). The person of `page` opens a page again where it was closed or its browser ended."
    )
    text = [BEGIN, "## Faults", "", explained, ""]
    for transport in TRANSPORTS:
        text += lines(texts, transport, list(STATES), FAULTS)
    text += lines(texts, "cluster", CLUSTER_STATES, CLUSTER_FAULTS)
    text += [f"- {fault}: {why}." for fault, why in missing]
    text += [f"- {what}: {why}." for what, why in ELSEWHERE.items()]
    return "\n".join([*text, END])


def write(text: str) -> None:
    """Put the section in its place, at the end at first."""
    before = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.is_file() else "# Reliability\n"
    if BEGIN in before and END in before:
        head, _, rest = before.partition(BEGIN)
        made = head + text + rest.partition(END)[2]
    else:
        made = f"{before.rstrip()}\n\n{text}\n"
    DOCUMENT.write_text(made, encoding="utf-8")


def adapter_name() -> str:
    """Return the adapter that a browser of our own has here."""
    gpu = wg.GPU(transport="headless")
    try:
        return gpu.ready().name
    finally:
        gpu.close()


def main() -> int:
    """Play; the exit status is 1 when a cell did not end well."""
    options = arguments()
    seed = options.seed or int(np.random.SeedSequence().generate_state(1)[0])
    print(f"seed {seed}: --seed {seed} repeats it", flush=True)
    adapter, begun = adapter_name(), time.monotonic()
    last: dict[str, Any] = json.loads(LAST.read_text()) if options.again else {"minutes": 0.0, "texts": {}}
    texts: dict[str, str] = last["texts"]
    cells = chosen(options, texts)
    seeds = [[seed, CELLS.index(cell)] for cell in cells]
    # In other processes: a cell counts what its process holds.
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn"), initializer=begin) as pool:
        for cell, text in zip(cells, pool.map(played, cells, seeds), strict=True):
            texts[cell.name] = text
            print(f"{cell.name}: {text}", flush=True)
    minutes = last["minutes"] + (time.monotonic() - begun) / 60
    if not options.only and not options.telling:
        LAST.parent.mkdir(exist_ok=True)
        LAST.write_text(json.dumps({"minutes": minutes, "texts": texts}))
        write(document(texts, adapter, minutes, options.jobs))
    bad = sum(texts[cell.name].startswith("BAD") for cell in cells)
    print(f"{len(cells)} cells, {bad} of them bad, {minutes:.1f} minutes")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
