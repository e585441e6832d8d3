"""Small JSON files in the user's cache folder: what was found out about an adapter, and need not be found out again."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["path", "read", "write"]


def path(name: str) -> Path:
    """Return where a file is kept: ``XDG_CACHE_HOME``, else ``~/.cache``, under ``webgpu_widget``."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "webgpu_widget" / name


def read(file: Path, version: int, key: str) -> dict[str, Any]:
    """Return the mapping under ``key`` of a file of a format's version; whatever is wrong with the file, it is as if it were empty."""
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict) or content.get("format") != version or not isinstance(content.get(key), dict):
        return {}
    return dict(content[key])


def write(file: Path, version: int, key: str, values: dict[str, Any]) -> None:
    """Write a mapping, whole or not at all; a folder that cannot be written is no error."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.stem}-", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                json.dump({"format": version, key: values}, opened, indent=1)
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
