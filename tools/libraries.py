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
`array_api_dispatch=True`, SciPy with `SCIPY_ARRAY_API=1`, array-api-extra and xarray as they are. This page is made by `python tools/libraries.py`.

WGSL has no int64 and no float64, and an array of one is never made silently. Where a library asks for such by its name, to count or to index, its
call is to stand in `with wg.xp.narrowing("int64"):`, which takes int32 for it as long as every value fits; `"float64"` rounds to float32.

What a library does on the host, it does there with these arrays too: SciPy takes special functions that the array API does not name from its own
compiled code, and gives back arrays of the GPU. A slice that is assigned to is a copy here, unlike NumPy's: scikit-learn's `GaussianMixture` with
`covariance_type="full"` leaves `reg_covar` out for that reason, so use another covariance.

The array API's own test suite is run by `make array-api`. On 2026-12-01, on SwiftShader, with 100 examples each and complex64: 1,302 tests of 2025.12 pass, and
1,291 of 2024.12. None fails but 48 and 46 that are expected to, a few of them in some draws alone, which stand in `tests/arrays/array_api_xfails.txt` with
their reasons. Sixteen of these fail for complex numbers alone: linear algebra but for its products, two functions of sets, and running products; `--real`
leaves complex64 out, and they pass.
"""


def page() -> str:
    """Return the page's text."""
    calls = runpy.run_path(str(ROOT / "tests" / "libraries" / "calls.py"))["CALLS"]
    parts = [HEAD]
    for library, kinds in calls.items():
        parts.append(f"\n## {library} ({sum(map(len, kinds.values()))} calls)\n")
        for narrowed, names in kinds.items():
            if narrowed:
                parts.append(f"\nWith `wg.xp.narrowing({', '.join(map(repr, narrowed))})`:\n")
            parts.append("\n" + "".join(f"- `{name}`\n" for name in names))
    return "".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != page():
            sys.exit("docs/libraries.md is not up to date: run python tools/libraries.py")
    else:
        PAGE.write_text(page())
