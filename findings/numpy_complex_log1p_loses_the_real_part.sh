#!/usr/bin/env bash
# NumPy: log1p and expm1 are there for small numbers, where log(1 + x) and exp(x) - 1 cancel, and for real numbers they are
# exact to the last place. For complex numbers log1p computes the real part as log(hypot(1 + re, im)), which cancels: of
# 1e-9 + 1e-9j seven digits are left, of 1e-17 + 1e-17j none, while the imaginary part is right. And expm1 of inf + 0j has a NaN
# for its imaginary part, where exp has 0 and the array API standard wants 0.
# Whom it hurts: who replaces log(1 + z) by log1p(z) for its accuracy (transfer functions, propagation constants, characteristic
# functions), and who takes NumPy as the reference for another library's complex log1p, as its float64 result is then the one that is wrong.
# Expected: the accuracy that the documentation promises: "For real-valued input, log1p is accurate also for x so small that
# 1 + x == 1 in floating-point accuracy"; it says nothing of complex input being another matter.
# What helps: 0.5 * np.log1p(re * (2 + re) + im * im) + 1j * np.arctan2(im, 1 + re) for |z| < 1/2.
# Seen with numpy 2.4.6 and mpmath 1.3.0 from PyPI, Python 3.11, on 2026-12-01.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'numpy==2.4.6' 'mpmath==1.3.0'
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import mpmath
import numpy as np

print("numpy", np.__version__)
mpmath.mp.dps = 60
errors = []
for size in (1e-3, 1e-6, 1e-9, 1e-12, 1e-17):
    z = complex(size, size)
    found = complex(np.log1p(np.complex128(z)))
    exact = mpmath.log(1 + mpmath.mpc(z))
    written = 0.5 * np.log1p(z.real * (2 + z.real) + z.imag * z.imag)
    error = float(abs(found.real - exact.real) / exact.real)
    other = float(abs(written - exact.real) / exact.real)
    errors.append((error, other))
    print(f"log1p({size:.0e} + {size:.0e}j): real part {found.real:.17g}, off by {error:.1e}; written out: off by {other:.1e}")
at_infinity = np.expm1(np.complex128(complex(np.inf, 0)))
print("expm1(inf + 0j):", at_infinity, "| exp(inf + 0j):", np.exp(np.complex128(complex(np.inf, 0))))

as_seen = errors[-1][0] == 1 and errors[2][0] > 1e-9 and all(other < 1e-15 for _, other in errors) and np.isnan(at_infinity.imag)
print("expected: errors below 1e-15;", "seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
sys.exit(not as_seen)
PYTHON

# Output seen:
# numpy 2.4.6
# log1p(1e-03 + 1e-03j): real part 0.00099999933433238828, off by 1.5e-13; written out: off by 1.2e-17
# log1p(1e-06 + 1e-06j): real part 9.9999999996201709e-07, off by 3.7e-11; written out: off by 5.1e-17
# log1p(1e-09 + 1e-09j): real part 1.0000000822403709e-09, off by 8.2e-08; written out: off by 2.1e-16
# log1p(1e-12 + 1e-12j): real part 1.000088900581841e-12, off by 8.9e-05; written out: off by 6.7e-25
# log1p(1e-17 + 1e-17j): real part 0, off by 1.0e+00; written out: off by 6.7e-35
# expm1(inf + 0j): (inf+nanj) | exp(inf + 0j): (inf+0j)
# expected: errors below 1e-15; seen: as described
