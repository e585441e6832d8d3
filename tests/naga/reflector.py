"""The engine's reflection of a module, asked of Node."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import tempfile
from typing import Any

from fake_page import Message

JS = pathlib.Path(__file__).resolve().parents[2] / "js"


class CommandError(Exception):
    """A command that fails, with the protocol's code for it."""

    def __init__(self, code: str, message: str, details: Message | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details or {}


class Reflector:
    """A Node process that runs ``js/test/reflector.mjs``."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="reflector")
        bundle = pathlib.Path(self._folder.name, "reflector.mjs")
        esbuild = [str(JS / "node_modules/.bin/esbuild"), "test/reflector.mjs", "--bundle", "--platform=node"]
        subprocess.run([*esbuild, "--format=esm", "--log-level=error", f"--outfile={bundle}"], cwd=JS, check=True)
        node = shutil.which("node")
        assert node is not None, "the tests need Node 20 or later"
        self._process = subprocess.Popen([node, str(bundle)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, source: str, entry_point: str | None, constants: dict[str, float]) -> dict[str, Any]:
        """Return reflection, entry point, workgroup size, constants by key, and the bindings of the entry point."""
        asked = {"source": source, "entry_point": entry_point, "constants": constants}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise CommandError(**answer["error"])
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._folder.cleanup()
