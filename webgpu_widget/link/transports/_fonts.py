"""Whether this machine has a font: a Chromium without one works until a page needs it, for a list or an input field, and then ends."""

from __future__ import annotations

import os
import pathlib
import re
import sys
from collections.abc import Iterator

ADVICE = "install one (Debian and Ubuntu: apt-get install fonts-dejavu-core)"
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc", ".pfb")
_FOLDER = re.compile(r"<dir(?:\s[^>]*)?>([^<]+)</dir>")
_INCLUDE = re.compile(r"<include[\s>]")


def _usual() -> Iterator[pathlib.Path]:
    yield pathlib.Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "fonts"
    yield pathlib.Path("~/.fonts").expanduser()
    for folder in (os.environ.get("XDG_DATA_DIRS") or "").split(os.pathsep):
        if folder:
            yield pathlib.Path(folder) / "fonts"
    yield from (pathlib.Path("/usr/share/fonts"), pathlib.Path("/usr/local/share/fonts"))


def _folders() -> list[pathlib.Path]:
    """Return where fontconfig looks: the folders that FONTCONFIG_FILE names, and the usual ones unless that file is all there is to read."""
    named = os.environ.get("FONTCONFIG_FILE")
    try:
        text = pathlib.Path(named).read_text(errors="replace") if named else None
    except OSError:
        text = None  # fontconfig looks in the usual folders then, too
    own = [pathlib.Path(folder.strip()).expanduser() for folder in _FOLDER.findall(text or "")]
    return own + (list(_usual()) if text is None or _INCLUDE.search(text) else [])


def find_font() -> pathlib.Path | None:
    """Return any font that Chromium can use; None where the folders that fontconfig usually looks in hold none (Linux)."""
    for folder in _folders():
        for parent, _, names in os.walk(folder):
            for name in names:
                if name.lower().endswith(_SUFFIXES):
                    return pathlib.Path(parent) / name
    return None


def report() -> str:
    """Say which font there is, or what to do."""
    if sys.platform != "linux":
        return "the system's"
    font = find_font()
    if font is not None:
        return str(font)
    looked = ", ".join(str(folder) for folder in _folders()) or "the folders that FONTCONFIG_FILE names, which are none"
    return f"none was found in {looked}. Chromium ends when a page has a list or an input field and there is no font: {ADVICE}"
