"""Write docs/libraries.md from the calls that the tests of libraries run.

python tools/libraries.py            writes it
python tools/libraries.py --check    says whether it is up to date
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "libraries.md"
HEAD = """# Libraries that take arrays of the GPU

Each call below is run by `pytest tests/libraries -m long` on NumPy arrays and on arrays of the GPU, and must give the same values: scikit-learn with
`array_api_dispatch=True`, SciPy with `SCIPY_ARRAY_API=1`, xarray as it is. This page is made by `python tools/libraries.py`.
"""


def page() -> str:
    """Return the page's text."""
    calls = runpy.run_path(str(ROOT / "tests" / "libraries" / "calls.py"))["CALLS"]
    parts = [
        f"\n## {library} ({len(names)} calls)\n\n" + "".join(f"- `{name}`\n" for name in names)
        for library, names in calls.items()
    ]
    return HEAD + "".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != page():
            sys.exit("docs/libraries.md is not up to date: run python tools/libraries.py")
    else:
        PAGE.write_text(page())
