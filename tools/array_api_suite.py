"""Run the array API's own test suite, data-apis/array-api-tests, on ``wg.xp``.

::

    python tools/array_api_suite.py                             # 2025.12, in a checkout that it makes below .cache
    python tools/array_api_suite.py --version 2024.12 --suite FOLDER --max-examples 100 -k linalg
    python tools/array_api_suite.py --real array_api_tests/test_linalg.py  # without complex64, for which most of it is not there

The suite needs the packages ndindex and pytest-json-report. What is expected to fail stands in tests/arrays/array_api_xfails.txt, with
the reasons. Whatever this script does not know is passed on to pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from webgpu_widget import xp

ROOT = Path(__file__).parents[1]
XFAILS = ROOT / "tests" / "arrays" / "array_api_xfails.txt"
ADDRESS, COMMIT = "https://github.com/data-apis/array-api-tests", "55fcc60179efa2680ddd6cd926ddf17b83530e2b"
EDITIONS = {
    "2025.12": "webgpu_widget.xp",
    "2024.12": "exec('from webgpu_widget.xp._edition_2024 import namespace as xp')",
}
NAMES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()
COMPLEX_REASON = "# Draw complex64 too"
"""How a paragraph of the expected failures begins that holds for complex numbers alone."""
# The suite takes for granted that there is some complex dtype.
WITHOUT_COMPLEX = [
    ("dtype_helpers.py", "for dt in complex_dtypes], key=lambda x: x[1]\n", "for dt in complex_dtypes], key=lambda x: x[1], default=(None, 0)\n"),
    ("test_signatures.py", "cmplx_name = dh.dtype_to_name[dh.widest_complex_dtype]", 'cmplx_name = "complex64"'),
    ("test_special_cases.py", "        if case.is_complex:\n", '        if case.is_complex and dh.widest_complex_dtype is None:\n            pytest.skip("there is no complex dtype")\n        if case.is_complex:\n'),
]  # fmt: skip


def checkout(folder: Path) -> None:
    """Make a checkout of the suite at its commit, with the standard's own repository in it."""
    if not (folder / ".git").exists():
        subprocess.run(["git", "clone", "--quiet", ADDRESS, folder], check=True)  # noqa: S607 - git, wherever it is
    subprocess.run(["git", "-C", folder, "checkout", "--quiet", "--force", COMMIT], check=True)  # noqa: S607
    subprocess.run(["git", "-C", folder, "submodule", "--quiet", "update", "--init"], check=True)  # noqa: S607


def do_without_complex(folder: Path) -> None:
    """Mend what of the suite presupposes a complex dtype."""
    for name, before, after in WITHOUT_COMPLEX:
        path = folder / "array_api_tests" / name
        text = path.read_text("utf-8")
        if after not in text:
            assert before in text, f"{name} is not as it was at {COMMIT:.7}"
            path.write_text(text.replace(before, after), "utf-8")


def main() -> int:
    """Run it; return pytest's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", choices=EDITIONS, default="2025.12", help="the edition of the standard")
    parser.add_argument(
        "--real", action="store_true", help="leave complex64 out, and expect no failure that is due to it"
    )
    parser.add_argument("--suite", type=Path, help="a checkout with its submodule, used as it is")
    options, rest = parser.parse_known_args()
    folder = options.suite or ROOT / ".cache" / "array-api-tests"
    if not options.suite:
        checkout(folder)
    dtypes = set(xp.__array_namespace_info__().dtypes()) - ({"complex64"} if options.real else set())
    paragraphs = XFAILS.read_text("utf-8").split("\n\n")
    if options.real:
        do_without_complex(folder)
        paragraphs = [p for p in paragraphs if not p.startswith(COMPLEX_REASON)]
    environment = {
        **os.environ,
        "ARRAY_API_TESTS_MODULE": EDITIONS[options.version],
        "ARRAY_API_TESTS_VERSION": options.version,
        # Their names are there, to compare with; arrays of them are not.
        "ARRAY_API_TESTS_SKIP_DTYPES": ",".join(name for name in NAMES if name not in dtypes),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "WEBGPU_WIDGET_TRANSPORT": "headless",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=600", "--disable-deadline"]
    chosen = [] if any(word.startswith("array_api_tests/") for word in rest) else ["array_api_tests"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as expected:
        expected.write("\n\n".join(paragraphs))
        expected.flush()
        command += [f"--xfails-file={expected.name}", *chosen, *rest]
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
