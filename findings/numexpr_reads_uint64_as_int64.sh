#!/usr/bin/env bash
# numexpr: `evaluate` reads the bits of uint64 as int64, without an error, though its `casting` is "safe" unless told otherwise and NumPy says that
# uint64 to int64 is not: with u = [2**63], `u > 0` is False, `u + 0` is -9223372036854775808 and `u / 2` negative. uint32 is widened to int64 and right.
# Its reductions are not NumPy's either: `min` and `max` pass over NaN (NumPy: NaN), `sum` of int32 wraps at 2**31 (NumPy sums in int64), and
# `sum` of float32 adds one by one in float32: 30 million ones are 16777216.
# Whom it hurts: hashes, identifiers, time stamps and bit masks of uint64; a mask or a sum that a program moved from NumPy "to make it faster".
# Expected: an error for uint64, as older versions had ("could not be cast"), since `casting` forbids it; NaN where there is one.
# What helps: pandas' and NumPy's own comparisons for uint64; reductions by NumPy, of what `evaluate` returns.
# Seen with numexpr 2.14.2, numpy 2.4.6 from PyPI, Python 3.11, on 2026-12-01.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'numexpr==2.14.2' 'numpy==2.4.6'
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numexpr
import numpy as np

print("numexpr", numexpr.__version__, "numpy", np.__version__, "| NumPy casts uint64 to int64 safely:", np.can_cast(np.uint64, np.int64, "safe"))
u, small = np.array([2**63], np.uint64), np.array([2**32 - 1], np.uint32)
whole, ones, gap = np.full(3, 2**30, np.int32), np.ones(30_000_000, np.float32), np.array([1.0, np.nan, 3.0])
rows = [
    ("u > 0", (u > 0).tolist(), [False]),
    ("u + 0", (u + np.uint64(0)).tolist(), [-(2**63)]),
    ("u / 2", (u / 2).tolist(), [-(2.0**62)]),
    ("small + 0", (small.astype(np.int64) + 0).tolist(), [2**32 - 1]),
    ("min(gap)", float(gap.min()), 1.0),
    ("max(gap)", float(gap.max()), 3.0),
    ("sum(whole)", int(whole.sum()), 3 * 2**30 - 2**32),
    ("sum(ones)", float(ones.sum()), float(2**24)),
]
as_seen = True
for text, numpys, seen in rows:
    found = numexpr.evaluate(text).tolist()
    as_seen &= found == seen
    print(f"{text}: numexpr {found}, NumPy {numpys}")
print("seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
sys.exit(not as_seen)
PYTHON
