"""What of a browser's output says why it has ended."""

from __future__ import annotations

import re

from webgpu_widget.link.transports import _fonts

# [process:thread:date/time:LEVEL:file:line] text; older ones write file(line).
_HEADER = re.compile(r"^\[[\d:/.]*:(?P<level>[A-Z]+)\d*:(?P<place>[^\]]+)\] ?(?P<text>.*)$")
_CONSOLE_END = re.compile(r", source: .*\(\d+\)$")
# Said by browsers that work: no D-Bus in a container, files of /sys that the crash reporter misses, a test in Debian's launcher.
_HARMLESS = re.compile(r"dbus|d-bus|crashpad|: unexpected operator$", re.IGNORECASE)
_NO_FONT = re.compile(r"^FATAL:\S*SkFontMgr", re.MULTILINE)
_LINES_OF = {"FATAL": 2, "ERROR": 3, "": 3}
_LINE = 240


def _lines(output: str) -> list[tuple[str, str, str]]:
    """Return (level, place, line) of what is neither a page's console nor harmless; level and place are empty where the line has none."""
    kept = []
    console = False
    for raw in output.splitlines():
        line = raw.strip()
        header = _HEADER.match(line)
        if header is not None:
            console = header["place"].startswith("CONSOLE")
        if console:
            # A page's text may have lines of its own: the last one names the source.
            console = not _CONSOLE_END.search(line)
            continue
        level, place = (header["level"], header["place"]) if header else ("", "")
        if line and (level == "FATAL" or not _HARMLESS.search(line)):
            kept.append((level, place, f"{level}:{place}] {header['text']}" if header else line))
    return kept


def exit_reason(output: str) -> str:
    """Pick from a browser's output what says why it has ended.

    Parameters
    ----------
    output : str
        All that it wrote to its standard error.

    Returns
    -------
    str
        Fatal lines, errors, and the rest, each with its last few; of what one place of the source repeats, the last. ``"nothing"`` if there is
        none. A known cause comes with what to do.
    """
    by_level: dict[str, dict[str, str]] = {level: {} for level in _LINES_OF}
    for level, place, line in _lines(output):
        group = by_level[level if level in by_level else ""]
        key = place or line
        group.pop(key, None)
        group[key] = line if len(line) <= _LINE else line[:_LINE] + "…"
    said = [line for level, most in _LINES_OF.items() for line in list(by_level[level].values())[-most:]]
    text = " / ".join(said) or "nothing"
    if _NO_FONT.search("\n".join(said)):
        text += f". It ends so when a page has a list or an input field and the system has no font: {_fonts.ADVICE}"
    return text
