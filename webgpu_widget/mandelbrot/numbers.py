"""Numbers of full precision: from what a user writes to exact rationals, and back to text."""

from __future__ import annotations

import decimal
import fractions
import math
import numbers
import re
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpq

from webgpu_widget.errors import DTypeError, WebGPUWidgetError

__all__ = ["ViewError", "decimal_text", "exact", "exact_point", "log2_abs"]

_DECIMAL = re.compile(r"[+-]?(\d+(_\d+)*(\.(\d+(_\d+)*)?)?|\.\d+(_\d+)*)([eE][+-]?\d{1,7})?", re.ASCII)
MOST_DIGITS = 50_000
"""Characters of a number; at the deepest width a coordinate has some 10,000 digits."""
MOST_EXPONENT = 100_000
"""Powers of ten that a number is read to: others cost what they are long, and lie far beyond every view."""
_KINDS = "int, float, str, decimal.Decimal, fractions.Fraction, or a gmpy2 or mpmath number"


class ViewError(WebGPUWidgetError, ValueError):
    """A view that cannot be: not a number, not finite, too small, too big."""


def exact(value: Any, name: str) -> mpq:
    """Turn a real number into the rational that it is.

    Parameters
    ----------
    value : int, float, str, Decimal, Fraction, gmpy2 or mpmath number
        A str is read as a decimal number, to its last digit.
    name : str
        What the number is, for messages.

    Returns
    -------
    gmpy2.mpq
        Exactly ``value``.

    Raises
    ------
    DTypeError
        ``value`` is not a real number.
    ViewError
        ``value`` is NaN or infinite, or text that is no number.
    """
    if isinstance(value, str):
        return _from_text(value, name)
    if isinstance(value, bool | np.bool_):
        raise DTypeError(f"{name} is {value!r}, a bool; pass {_KINDS}")
    if isinstance(value, np.floating | float):
        _finite(float(value), name, value)
        return mpq(*value.as_integer_ratio())
    if isinstance(value, decimal.Decimal):
        return _from_decimal(value, name)
    if isinstance(value, numbers.Rational | fractions.Fraction):
        return mpq(int(value.numerator), int(value.denominator))
    if isinstance(value, int | np.integer):
        return mpq(int(value))
    if type(value).__module__.split(".")[0] == "gmpy2":
        return _from_gmpy2(value, name)
    if hasattr(value, "_mpf_"):
        return _from_mpmath(value, name)
    raise DTypeError(f"{name} is {value!r} of type {type(value).__name__}; pass {_KINDS}")


def exact_point(value: Any, name: str) -> tuple[mpq, mpq]:
    """Turn a point of the plane into two rationals.

    Parameters
    ----------
    value : complex, real, pair of reals, or a gmpy2 or mpmath complex
        The point; a pair is (real, imaginary).
    name : str
        What the point is, for messages.

    Returns
    -------
    tuple of gmpy2.mpq
        Real and imaginary part.
    """
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    if isinstance(value, tuple | list | np.ndarray):
        if len(value) != 2:
            raise ViewError(f"{name} has {len(value)} parts; pass a complex number or a pair (real, imaginary)")
        return exact(value[0], f"the real part of {name}"), exact(value[1], f"the imaginary part of {name}")
    if isinstance(value, complex | np.complexfloating):
        return exact(float(value.real), f"the real part of {name}"), exact(
            float(value.imag), f"the imaginary part of {name}"
        )
    if hasattr(value, "_mpc_") or type(value).__name__ == "mpc":
        return exact(value.real, f"the real part of {name}"), exact(value.imag, f"the imaginary part of {name}")
    return exact(value, name), mpq(0)


def decimal_text(value: mpq, digits: int) -> str:
    """Write a rational as a decimal number with ``digits`` significant digits, the shortest that is not less exact.

    Parameters
    ----------
    value : gmpy2.mpq
        What to write.
    digits : int
        Significant digits kept.

    Returns
    -------
    str
        Plain notation for exponents from -6 to 20, else ``d.ddde-NN``.
    """
    if value == 0:
        return "0"
    with gmpy2.context(precision=int(digits * 3.33) + 64):
        mantissa, exponent, _ = gmpy2.mpfr(value).digits(10, max(digits, 2))
    sign = "-" if mantissa.startswith("-") else ""
    figures = mantissa.lstrip("-").rstrip("0") or "0"
    point = exponent  # value = 0.figures * 10**exponent
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{figures}"
    if 0 < point <= 20:
        whole = figures[:point].ljust(point, "0")
        return sign + whole + ("." + figures[point:] if len(figures) > point else "")
    rest = "." + figures[1:] if len(figures) > 1 else ""
    return f"{sign}{figures[0]}{rest}e{point - 1}"


def log2_abs(value: mpq) -> float:
    """Base-2 logarithm of ``|value|``, also where a float under- or overflows; -inf for 0."""
    if value == 0:
        return -math.inf
    top, bottom = abs(value.numerator), value.denominator
    shift_top, shift_bottom = max(0, top.bit_length() - 60), max(0, bottom.bit_length() - 60)
    return float(math.log2(int(top >> shift_top)) - math.log2(int(bottom >> shift_bottom)) + shift_top - shift_bottom)


def _bounded(power: float, name: str) -> None:
    """Refuse a number that takes long to write out."""
    if abs(power) > MOST_EXPONENT:
        raise ViewError(
            f"{name} is near 1e{power:.0f}; powers of ten from -{MOST_EXPONENT} to {MOST_EXPONENT} are read"
        )


def _from_text(value: str, name: str) -> mpq:
    text = value.strip()
    if len(text) > MOST_DIGITS:
        raise ViewError(f"{name} has {len(text)} characters; at most {MOST_DIGITS} are read")
    if not _DECIMAL.fullmatch(text):
        raise ViewError(
            f"{name} is {value[:80]!r}, which is not a finite decimal number; write it as '-0.75' or '1e-25'"
        )
    mantissa, _, power = text.replace("_", "").lower().partition("e")
    whole, _, part = mantissa.partition(".")
    digits = gmpy2.mpz(whole + part or "0", 10)
    if not digits:
        return mpq(0)
    _bounded(int(power or 0), name)
    shift = int(power or 0) - len(part)
    return mpq(digits * gmpy2.mpz(10) ** shift) if shift >= 0 else mpq(digits, gmpy2.mpz(10) ** -shift)


def _from_decimal(value: decimal.Decimal, name: str) -> mpq:
    if not value.is_finite():
        raise ViewError(f"{name} is {value}, which is not finite; pass a finite number")
    if not value:
        return mpq(0)
    _bounded(value.adjusted(), name)
    return mpq(*value.as_integer_ratio())


def _from_mpmath(value: Any, name: str) -> mpq:
    sign, mantissa, exponent, bits = value._mpf_
    if not mantissa:
        if exponent:
            raise ViewError(f"{name} is {value}, which is not finite; pass a finite number")
        return mpq(0)
    _bounded((int(exponent) + int(bits)) * 0.30103, name)
    number = mpq(int(mantissa)) * mpq(2) ** int(exponent)
    return -number if sign else number


def _from_gmpy2(value: Any, name: str) -> mpq:
    if type(value).__name__ in {"mpz", "xmpz", "mpq"}:
        return mpq(value)
    if type(value).__name__ == "mpfr":
        if not gmpy2.is_finite(value):
            raise ViewError(f"{name} is {value}, which is not finite; pass a finite number")
        _bounded(int(gmpy2.frexp(value)[0]) * 0.30103, name)
        return mpq(*value.as_integer_ratio())
    raise DTypeError(f"{name} is {value!r} of type {type(value).__name__}; pass {_KINDS}")


def _finite(number: float, name: str, shown: Any) -> None:
    if not math.isfinite(number):
        raise ViewError(f"{name} is {shown}, which is not finite; pass a finite number")
