"""Files and folders that documents, comments and docstrings name are there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path, PurePosixPath

import pytest

pytestmark = pytest.mark.no_adapter

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - a checkout has git
    cwd=ROOT,
    check=True,
    capture_output=True,
    text=True,
).stdout.split()
FILES = {name for name in TRACKED if (ROOT / name).exists()}
PATHS = FILES | {str(folder) for name in FILES for folder in PurePosixPath(name).parents}
MADE = {"webgpu_widget/static", "docs/_site"}
"""What the Makefile makes."""
OTHERS = {"google/flan-t5-small", "test/fuzz", "owner/name", ".venv/bin/python", "area/NAME"}
"""Models, placeholders, a filter of tests, and a user's own files."""
DOCUMENTS = sorted(name for name in FILES if name.endswith(".md") and not name.startswith("findings/"))
SOURCES = sorted(name for name in FILES if name.endswith((".py", ".ts", ".wgsl")) and not name.startswith("findings/"))
HERE = str(Path(__file__).relative_to(ROOT))
NAMED = re.compile(r"[\w.-]+(?:/[\w.*-]+)+/?|[\w-]+\.(?:py|ts|wgsl|md|sh|mjs|json|txt)")
FULL = re.compile(r"(?<![\w/.-])(?:webgpu_widget|js/src|js/test|tests|docs|bench|tools)/[\w./-]+\.(?:py|ts|wgsl|md)\b")


def is_there(name: str, document: str) -> bool:
    """Whether a name stands for a file or folder: as a path from the root, the package, the page's sources or the document, or by its last parts.

    A NAME and a * stand for anything.
    """
    name = name.rstrip("/")
    if name in OTHERS | MADE or f"webgpu_widget/shaders/{name}.wgsl" in PATHS:
        return True
    if "NAME" in name or "*" in name:
        pattern = re.escape(name).replace("NAME", "[^/]+").replace(r"\*\*/", "(?:.+/)?").replace(r"\*", "[^/]*")
        return any(re.fullmatch(f"(?:.*/)?{pattern}", path) for path in PATHS)
    beside = PurePosixPath(document).parent
    near = str((ROOT / beside / name).resolve().relative_to(ROOT)) if not name.startswith("..") else name
    return near in PATHS or any(path == name or path.endswith(f"/{name}") for path in PATHS)


def missing(text: str, document: str) -> list[str]:
    """Return the names in code spans of Markdown that stand for nothing."""
    code = [word for span in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"[\w./*-]+", span)]
    words = [word for word in code if NAMED.fullmatch(word)]
    return [word for word in words if not is_there(word, document)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_names_what_is_there(document: str) -> None:
    assert missing((ROOT / document).read_text(encoding="utf-8"), document) == []


def test_sources_name_what_is_there() -> None:
    wrong = [
        f"{source}: {name}"
        for source in SOURCES
        if source != HERE
        for name in FULL.findall((ROOT / source).read_text(encoding="utf-8"))
        if name not in PATHS
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "`link/sesion.py`",
        "see `device/que.py` and `queue.py`",
        "`shaders/weight/decode_NAME.wgsl`",
        "`tests/kernel/*.py`",
        "`nowhere.ts`",
    ],
)
def test_a_wrong_name_is_found(text: str) -> None:
    assert len(missing(text, "docs/architecture.md")) == 1


def test_a_right_name_is_not() -> None:
    assert (
        missing(
            "`link/session.py`, `session.ts`, `js/src/`, `shaders/**.wgsl`, `shaders/weights/decode_NAME.wgsl`",
            "docs/a.md",
        )
        == []
    )
