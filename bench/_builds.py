"""Builds of the package side by side: each at work in a process of its own, and they take turns, so that what else the machine does concerns both alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def serve(about, answer):
    """Be the process of a build: say what this is, then answer each line of stdin with a line of JSON."""
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(*json.loads(line))), flush=True)


class Build:
    """The process of a build: ``script --work`` with the package in a folder, this one's own for the empty string."""

    def __init__(self, script, folder):
        paths = [folder or str(Path(__file__).parent.parent)]
        paths += [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        self._process = subprocess.Popen(
            [sys.executable, script, "--work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self.about = self._answer()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a build's process ended: {self._process.args}")
        return json.loads(line)

    def turn(self, *question):
        """Ask one thing, and wait for the answer."""
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self):
        self._process.stdin.close()
        self._process.wait(30)


def builds(script, beside):
    """Start this build, and the one in a folder where one is named; this one first."""
    made = [Build(script, "")] + ([Build(script, beside)] if beside else [])
    for build in made:
        print(json.dumps(build.about))
    return made
