"""Put what adapters have answered to the selftest side by side, in docs/adapters.md and docs/selftest.md.

    webgpu-widget selftest --json --quiet > docs/adapters/NAME.json    on a machine with the adapter
    python tools/adapters.py                                           anywhere: writes the pages of all docs/adapters/*.json
    python tools/adapters.py --check                                   says whether the pages are up to date

The prose of docs/adapters.md is written by hand; what lies between its two marks is made here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- made by tools/adapters.py: begin -->", "<!-- end -->"
GROUPS = {
    1: "Integers",
    2: "float16",
    3: "Reassociation, and comparisons of NaN",
    4: "Contraction",
    5: "Division, remainder, roots",
    6: "Functions at special values",
    7: "Subnormals",
    8: "Indices outside an array",
    9: "Textures",
    10: "NaN",
    11: "Compilers and clocks",
}


def load() -> dict[str, dict[str, Any]]:
    """Return the answers by the name of their file, CPUs first."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((DOCS / "adapters").glob("*.json"))}
    return dict(sorted(found.items(), key=lambda item: not item[1]["adapter"]["is_fallback"]))


def browser(answers: dict[str, Any]) -> str:
    """Return the browser's name and version."""
    words = [word for word in answers["adapter"]["user_agent"].split() if "/" in word]
    return next((word for word in words if "Chrome/" in word or "Firefox/" in word), words[-1])


def cell(text: str) -> str:
    """Keep a text in one cell of a table."""
    return text.replace("|", "\\|")


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lay out a table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell(text) for text in row) + " |" for row in lines]


def measured(adapters: dict[str, dict[str, Any]]) -> str:
    """Return what the probes say: the adapters, then a table for each group."""
    names = [answers["adapter"]["name"] for answers in adapters.values()]
    lines = table(
        ["", *names],
        [
            ["browser", *(browser(answers) for answers in adapters.values())],
            ["package", *(answers["versions"]["package"] for answers in adapters.values())],
            ["machine", *(answers["versions"]["python"] for answers in adapters.values())],
            ["selftest", *("right" if answers["ok"] else "WRONG" for answers in adapters.values())],
        ],
    )
    hazards: dict[str, int] = {}
    for answers in adapters.values():
        hazards |= {name: found["number"] for name, found in answers["hazards"].items()}
    for number, title in GROUPS.items():
        lines += ["", f"### {number}. {title}", ""]
        rows = []
        for hazard in (name for name, group in hazards.items() if group == number):
            given = [
                answers["hazards"].get(hazard, {"verdict": "not asked", "values": {}}) for answers in adapters.values()
            ]
            verdicts = [found["verdict"].split(":")[0] for found in given]
            rows.append([f"**{hazard}**", *verdicts])
            expressions = dict.fromkeys(expression for found in given for expression in found["values"])
            rows += [[f"`{one}`", *(found["values"].get(one, "-") for found in given)] for one in expressions]
        lines += table(["", *names], rows)
    return "\n".join(lines)


def page(adapters: dict[str, dict[str, Any]]) -> str:
    """Return docs/adapters.md with its middle made anew."""
    text = (DOCS / "adapters.md").read_text("utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{measured(adapters)}\n{END}{after}"


def outputs(adapters: dict[str, dict[str, Any]]) -> str:
    """Return docs/selftest.md."""
    parts = [
        "# The selftest's output",
        "",
        "`webgpu-widget selftest`, or `wg.selftest()` in a notebook, compares every shader of the package with its NumPy twin on the",
        "adapter at hand, and asks how that adapter computes. These are its texts, from `docs/adapters/*.json`;",
        "`python tools/adapters.py` puts a new one here.",
    ]
    for answers in adapters.values():
        parts += ["", f"## {answers['adapter']['name']}", "", "```", answers["text"], "```"]
    return "\n".join(parts) + "\n"


def main() -> int:
    """Write the pages, or check them."""
    adapters = load()
    pages = {DOCS / "adapters.md": page(adapters), DOCS / "selftest.md": outputs(adapters)}
    if "--check" in sys.argv[1:]:
        stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
        if stale:
            print(f"{', '.join(stale)}: not what docs/adapters/*.json say; run python tools/adapters.py")
        return 1 if stale else 0
    for path, text in pages.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
