"""Fuzz every parser for a while and print a table: ``python -m fuzz [SECONDS] [SEED]``, in the folder of the tests."""

from __future__ import annotations

import secrets
import sys

from .guided import fuzz
from .targets import TARGETS


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else secrets.randbits(32)
    print(f"Seed {seed}, {seconds / len(TARGETS):.1f} s each.\n")
    print(
        "| parser | inputs | refused | lines reached | microseconds an input | slowest input, ms |\n| --- | --- | --- | --- | --- | --- |"
    )
    failed = 0
    for name, target in TARGETS.items():
        each = seconds / len(TARGETS)
        try:
            found = fuzz(target, seed, seconds=each)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            failed += 1
            print(
                f"| {name} | **{type(error).__name__}: {str(error)[:200]}** {' '.join(getattr(error, '__notes__', []))[:2000]} |"
            )
            continue
        per_input = 1e6 * each / max(1, found.inputs)
        print(
            f"| {name} | {found.inputs:,} | {found.refused:,} | {len(found.lines)} | {per_input:.0f} | {1e3 * found.slowest_s:.1f} |",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
