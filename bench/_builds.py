"""Builds of the package side by side: each at work in a process of its own, and they take turns, so that what else the machine does concerns both alike."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def serve(about: dict[str, Any], answer: Callable[..., dict[str, Any]]) -> None:
    """Be the process of a build: say what this is, then answer each line of stdin with a line of JSON."""
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(*json.loads(line))), flush=True)


class Build:
    """The process of a build: ``script --work`` with the package in a folder, this one's own for the empty string."""

    def __init__(self, script: str, folder: str) -> None:
        paths = [folder or str(Path(__file__).parent.parent)]
        paths += [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        self._process = subprocess.Popen(
            [sys.executable, script, "--work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        self.about = self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise SystemExit(f"a build's process ended: {self._process.args!r}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def turn(self, *question: object) -> dict[str, Any]:
        """Ask one thing, and wait for the answer."""
        self._questions.write(json.dumps(question) + "\n")
        self._questions.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._questions.close()
        self._process.wait(30)


def builds(script: str, beside: str) -> list[Build]:
    """Start this build, and the one in a folder where one is named; this one first."""
    made = [Build(script, "")] + ([Build(script, beside)] if beside else [])
    for build in made:
        print(json.dumps(build.about))
    return made


def options(about: str, turns: int) -> argparse.ArgumentParser:
    """Return what each of these benches can be told."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beside", default="", help="folder of another build's checkout")
    parser.add_argument("--turns", type=int, default=turns)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    return parser


def table(made: list[Build], names: Iterable[str], turns: int, unit: str, *more: object) -> None:
    """Ask for each name in turns, and print a row: median and least of what each build says in `unit`, and the median of the ratios of two."""
    for name in names:
        rows = [[build.turn(name, *more) for build in made] for _ in range(turns)]
        cells = []
        for each in zip(*rows, strict=True):
            times = [one[unit] for one in each]
            right = all(one["right"] for one in each)
            cells.append(f"{statistics.median(times):9.1f} ({min(times):7.1f})" if right else f"{'WRONG':>19}")
        if len(made) == 2:
            cells.append(f"{statistics.median(a[unit] / b[unit] for a, b in rows):8.2f}")
        print(f"{name:22}{''.join(cells)}", flush=True)
    for build in made:
        build.close()
