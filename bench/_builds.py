"""Builds of the package side by side: each at work in a process of its own, and they take turns, so that what else the machine does concerns both alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
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
