#!/usr/bin/env bash
# mpmath: x // y of two mpf is not a whole number: for one in eight random x and y = 0.1 it lies a last place above or below one, whatever
# the precision that both have, as (x - x % y) / y does after rounding. divmod(x, y) gives the same quotient. int(x // y) is then one
# too small for a positive quotient just below a whole number: mpf("16.702418151902194") // mpf("0.1") is 166.99999999999997, its int 166.
# Whom it hurts: numbers of cells, bins and periods, indices, and tests like (x // y) % 2 == 0, in code that was written for floats.
# Expected: what Python's floats, Decimal and Fraction do: x // y == floor(x // y).
# What helps: floor(x / y), or nint((x - x % y) / y).
# Seen with mpmath 1.4.1 (with and without gmpy2 2.3.2) from PyPI, Python 3.11, on 2026-12-01.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'mpmath==1.4.1' 'gmpy2==2.3.2'
cat > "$folder/show.py" <<'PYTHON'
import random
import sys

import mpmath
from mpmath import mp, mpf

print("mpmath", mpmath.__version__, "on", mpmath.libmp.BACKEND)
random.seed(1)
as_seen = True
for precision in (53, 200):
    mp.prec = precision
    pairs = [(1000 * mp.rand(), mpf("0.1")) for _ in range(4000)]
    quotients = [x // y for x, y in pairs]
    broken = sum(q != mp.floor(q) for q in quotients)
    exact = [int(mpmath.libmp.to_rational(x._mpf_)[0] * mpmath.libmp.to_rational(y._mpf_)[1]
                 // (mpmath.libmp.to_rational(x._mpf_)[1] * mpmath.libmp.to_rational(y._mpf_)[0])) for x, y in pairs]  # fmt: skip
    short = sum(int(q) != e for q, e in zip(quotients, exact))
    print(f"{precision} bits: {broken} of {len(pairs)} floor-divided numbers are not whole; int() of {short} is not the exact floor")
    as_seen &= 0.08 < broken / len(pairs) < 0.18 and (short > 50 or precision > 53)
mp.prec = 53
x = mpf("16.702418151902194")
print("one of them:", repr(x // mpf("0.1")), "int:", int(x // mpf("0.1")), "| divmod:", divmod(x, mpf("0.1")), "| floats:", 16.702418151902194 // 0.1)
floats = sum(x // 0.1 != int(x // 0.1) for x in (random.uniform(0, 1000) for _ in range(4000)))
print("floats of that kind that are not whole:", floats, "of 4000")
as_seen &= x // mpf("0.1") < 167 and int(x // mpf("0.1")) == 166 and 16.702418151902194 // 0.1 == 167 and floats == 0
print("expected: 0 of 4000, as with floats;", "seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
sys.exit(not as_seen)
PYTHON
"$folder/venv/bin/python" "$folder/show.py"
MPMATH_NOGMPY=1 "$folder/venv/bin/python" "$folder/show.py"

# Output seen:
# mpmath 1.4.1 on gmpy
# 53 bits: 538 of 4000 floor-divided numbers are not whole; int() of 187 is not the exact floor
# 200 bits: 487 of 4000 floor-divided numbers are not whole; int() of 0 is not the exact floor
# one of them: mpf('166.99999999999997') int: 166 | divmod: (mpf('166.99999999999997'), mpf('0.0024181519021927722')) | floats: 167.0
# floats of that kind that are not whole: 0 of 4000
# expected: 0 of 4000, as with floats; seen: as described
# mpmath 1.4.1 on python
# 53 bits: 538 of 4000 floor-divided numbers are not whole; int() of 187 is not the exact floor
# 200 bits: 487 of 4000 floor-divided numbers are not whole; int() of 0 is not the exact floor
# one of them: mpf('166.99999999999997') int: 166 | divmod: (mpf('166.99999999999997'), mpf('0.0024181519021927722')) | floats: 167.0
# floats of that kind that are not whole: 0 of 4000
# expected: 0 of 4000, as with floats; seen: as described
