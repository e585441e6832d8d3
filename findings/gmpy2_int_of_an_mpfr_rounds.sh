#!/usr/bin/env bash
# gmpy2: int(x) and mpz(x) of an mpfr round to nearest by the context, where they truncate floats, Fractions, Decimals and mpq: int(mpfr("1.7"))
# is 2, int(mpfr("-0.6")) is -1, and with a context that rounds up int(mpfr("1e-30")) is 1. mpz's own docstring says "truncating n to its
# integer part". math.trunc(x) does truncate.
# Beside it, of the same type: x // y is the floor of the ROUNDED quotient and x % y is exact, so that they do not belong together:
# mpfr(1) // mpfr("0.1") is 10 where divmod of the same numbers, and Python's floats, give 9. mpfr(-1) % mpfr("inf") is -1 where divmod gives inf.
# Whom it hurts: who turns float code into mpfr code: indices, cells and bins of fractals and grids are moved by half a cell, and counts are
# one too many; phases reduced by x - (x // y) * y.
# Expected: what int, // and % of Python's floats do, as divmod of the same numbers does.
# What helps: int(gmpy2.trunc(x)) or math.trunc(x), and divmod(x, y).
# Seen with gmpy2 2.3.2 (MPFR 4.2.2) from PyPI, Python 3.11, on 2026-12-01.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'gmpy2==2.3.2'
"$folder/venv/bin/python" - <<'PYTHON'
import math
import sys
from decimal import Decimal
from fractions import Fraction

import gmpy2
from gmpy2 import mpfr, mpq, mpz

print("gmpy2", gmpy2.version(), gmpy2.mpfr_version())
print("mpz's docstring says truncating:", "truncating" in mpz.__doc__)
rows = []
for text in ("1.7", "2.5", "3.5", "-0.6"):
    x = mpfr(text)
    others = {int(float(text)), int(mpz(float(text))), int(mpz(Fraction(text))), int(mpz(Decimal(text))), int(mpq(text)), math.trunc(x)}
    rows.append((int(x), int(mpz(x)), others))
    print(f"int(mpfr({text!r})) {int(x)}, mpz of it {mpz(x)}; of float, Fraction, Decimal and mpq, and math.trunc of the mpfr: {others}")
with gmpy2.context(round=gmpy2.RoundUp):
    up = int(mpfr("1e-30"))
print("int(mpfr('1e-30')) in a context that rounds up:", up)

one, tenth = mpfr(1), mpfr("0.1")
print("1 // 0.1:", one // tenth, "| divmod:", divmod(one, tenth)[0], "| floats:", 1.0 // 0.1, "| 1 % 0.1 of each:", one % tenth, 1.0 % 0.1)
infinite = mpfr("inf")
print("-1 % inf:", mpfr(-1) % infinite, "| divmod:", divmod(mpfr(-1), infinite)[1], "| floats:", -1.0 % math.inf)

as_seen = (
    [(a, b, c) for a, b, c in rows] == [(2, 2, {1}), (2, 2, {2}), (4, 4, {3}), (-1, -1, {0})]
    and up == 1
    and (one // tenth, divmod(one, tenth)[0], 1.0 // 0.1) == (10, 9, 9)
    and (mpfr(-1) % infinite, divmod(mpfr(-1), infinite)[1]) == (-1, infinite)
)
print("expected: 1, 2, 3 and 0;", "seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
sys.exit(not as_seen)
PYTHON

# Output seen:
# gmpy2 2.3.2 MPFR 4.2.2
# mpz's docstring says truncating: True
# int(mpfr('1.7')) 2, mpz of it 2; of float, Fraction, Decimal and mpq, and math.trunc of the mpfr: {1}
# int(mpfr('2.5')) 2, mpz of it 2; of float, Fraction, Decimal and mpq, and math.trunc of the mpfr: {2}
# int(mpfr('3.5')) 4, mpz of it 4; of float, Fraction, Decimal and mpq, and math.trunc of the mpfr: {3}
# int(mpfr('-0.6')) -1, mpz of it -1; of float, Fraction, Decimal and mpq, and math.trunc of the mpfr: {0}
# int(mpfr('1e-30')) in a context that rounds up: 1
# 1 // 0.1: 10.0 | divmod: 9.0 | floats: 9.0 | 1 % 0.1 of each: 0.09999999999999995 0.09999999999999995
# -1 % inf: -1.0 | divmod: inf | floats: inf
# expected: 1, 2, 3 and 0; seen: as described
