"""The elementwise operations: what WGSL each one is, by the kind of its operands.

A template has ``{0}``, ``{1}``, ``{2}`` for its operands, which are of WGSL type f32, i32, u32, bool or (complex numbers, kind ``c``) vec2<f32>.
Float16 is kind ``h``: an f32 that float16 holds exactly, computed as float32 and rounded. For ``+ - *`` that is what one rounding
would give, since 24 bits are more than twice 11 and two (Figueroa, When is double rounding innocuous?, 1995); quotients and roots,
which WGSL need not round well, are corrected first.
Names with a prefix ``f_ i_ u_ b_ h_ c_`` are functions of ``shaders/array/elementwise.wgsl``, ``transcendental.wgsl`` and
``complex_numbers.wgsl``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from webgpu_widget.arrays.lazy.dtypes import BOOL, COMPLEX64, UINT32, real_of

if TYPE_CHECKING:
    from webgpu_widget.arrays.lazy.dtypes import DType

Kind = Literal["f", "i", "u", "b", "c"]
Result = Literal["same", "bool", "real", "complex", "key"]


@dataclass(frozen=True, slots=True)
class Op:
    """One elementwise operation.

    Parameters
    ----------
    name
        As the array API names it.
    code
        Template by kind of the operands (``f i u b c``); a kind that is missing is not supported.
    result
        ``same``: the operands' dtype; ``bool``; ``real``: the dtype of their real parts; ``complex``: complex64; ``key``: uint32.
    floats
        Integer and bool operands are converted to float32 first.
    cost
        Weight against the limit of an expression; transcendental functions count for more.
    half
        Template for float16 where it is not that of ``f``.
    exact
        The result for float16 operands is always a float16.
    """

    name: str
    code: dict[str, str]
    result: Result = "same"
    floats: bool = False
    cost: int = 1
    half: str = ""
    exact: bool = False

    def dtype(self, operands: DType) -> DType:
        """Return the dtype of the result, given that of the operands."""
        if self.result == "same":
            return operands
        if self.result == "real":
            return real_of(operands)
        return {"bool": BOOL, "complex": COMPLEX64, "key": UINT32}[self.result]

    def template(self, kind: str) -> str:
        """Return the WGSL for operands of a kind, ``h`` among them."""
        if kind != "h":
            return self.code[kind]
        text = self.half or self.code["f"]
        return text if self.exact or self.result == "bool" else f"h_rounded({text})"


def _all(template: str, kinds: str = "fiu") -> dict[str, str]:
    return dict.fromkeys(kinds, template)


OPS: dict[str, Op] = {}


def _op(
    name: str,
    code: dict[str, str],
    result: Result = "same",
    *,
    floats: bool = False,
    cost: int = 1,
    half: str = "",
    exact: bool = False,
) -> None:
    OPS[name] = Op(name, code, result, floats, cost, half, exact)


# Arithmetic.
_op("add", {**_all("({0} + {1})", "fiuc"), "b": "({0} || {1})"})
_op("subtract", _all("({0} - {1})", "fiuc"))
_op("multiply", {**_all("({0} * {1})"), "b": "({0} && {1})", "c": "c_multiply({0}, {1})"})
_op("divide", {"f": "f_divide({0}, {1})", "c": "c_divide({0}, {1})"}, floats=True, cost=2, half="h_divide({0}, {1})")
_op(
    "floor_divide",
    {"f": "f_floor_divide({0}, {1})", "i": "i_floor_divide({0}, {1})", "u": "u_floor_divide({0}, {1})"},
    cost=4,
)
_op("remainder", {"f": "f_remainder({0}, {1})", "i": "i_remainder({0}, {1})", "u": "u_remainder({0}, {1})"}, cost=4)
_op("pow", {"f": "f_pow({0}, {1})", "i": "i_pow({0}, {1})", "u": "u_pow({0}, {1})", "c": "c_pow({0}, {1})"}, cost=6)
_op("negative", {"f": "f_negative({0})", "i": "(-{0})", "u": "(0u - {0})", "c": "c_negative({0})"}, exact=True)
_op("positive", _all("{0}", "fiuc"), exact=True)
# An integer's abs is lost on NVIDIA inside a larger max, clamp or select, whoever writes these and however it is written (docs/adapters.md); in this form it is not.
_ABS = {"f": "f_abs({0})", "i": "select(-{0}, {0}, {0} > 0)", "u": "{0}", "b": "{0}", "c": "c_abs({0})"}
_op("abs", _ABS, "real", exact=True)
_op("square", {**_all("({0} * {0})"), "b": "{0}", "c": "c_square({0})"})
_op("reciprocal", {"f": "f_divide(1.0, {0})", "c": "c_reciprocal({0})"}, floats=True, cost=2, half="h_divide(1.0, {0})")
_op("sign", {"f": "f_sign({0})", "i": "sign({0})", "u": "min({0}, 1u)", "c": "c_sign({0})"}, exact=True)
_MAXIMUM = {
    "f": "f_maximum({0}, {1})",
    # As unsigned numbers in the same order: max(x, -x) is an abs too.
    "i": "bitcast<i32>(max(i_sort_key({0}), i_sort_key({1})) ^ 0x80000000u)",
    "u": "max({0}, {1})",
    "b": "({0} || {1})",
}
_op("maximum", _MAXIMUM, exact=True)
_op("minimum", {"f": "f_minimum({0}, {1})", **_all("min({0}, {1})", "iu"), "b": "({0} && {1})"}, exact=True)
_op("hypot", {"f": "f_hypot({0}, {1})"}, floats=True, cost=2)
_op("copysign", {"f": "f_copysign({0}, {1})"}, floats=True, exact=True)
_op("nextafter", {"f": "f_nextafter({0}, {1})"}, floats=True, half="h_nextafter({0}, {1})", exact=True)
_op("atan2", {"f": "f_atan2({0}, {1})"}, floats=True, cost=4)
_op("logaddexp", {"f": "f_logaddexp({0}, {1})"}, floats=True, cost=6)

# Comparison.
_op("less", {"f": "f_less({0}, {1})", **_all("({0} < {1})", "iu"), "b": "(!{0} && {1})"}, "bool")
_op("less_equal", {"f": "f_less_equal({0}, {1})", **_all("({0} <= {1})", "iu"), "b": "(!{0} || {1})"}, "bool")
_op("greater", {"f": "f_less({1}, {0})", **_all("({0} > {1})", "iu"), "b": "({0} && !{1})"}, "bool")
_op("greater_equal", {"f": "f_less_equal({1}, {0})", **_all("({0} >= {1})", "iu"), "b": "({0} || !{1})"}, "bool")
_op("equal", {"f": "f_equal({0}, {1})", **_all("({0} == {1})", "iub"), "c": "c_equal({0}, {1})"}, "bool")
_op("not_equal", {"f": "f_not_equal({0}, {1})", **_all("({0} != {1})", "iub"), "c": "(!c_equal({0}, {1}))"}, "bool")

# Logic and bits.
_op("logical_and", {"b": "({0} && {1})"}, "bool")
_op("logical_or", {"b": "({0} || {1})"}, "bool")
_op("logical_xor", {"b": "({0} != {1})"}, "bool")
_op("logical_not", {"b": "(!{0})"}, "bool")
_op("bitwise_and", {**_all("({0} & {1})", "iu"), "b": "({0} && {1})"})
_op("bitwise_or", {**_all("({0} | {1})", "iu"), "b": "({0} || {1})"})
_op("bitwise_xor", {**_all("({0} ^ {1})", "iu"), "b": "({0} != {1})"})
_op("bitwise_invert", {**_all("(~{0})", "iu"), "b": "(!{0})"})
_op("bitwise_left_shift", {"i": "i_left_shift({0}, {1})", "u": "u_left_shift({0}, {1})"})
_op("bitwise_right_shift", {"i": "i_right_shift({0}, {1})", "u": "u_right_shift({0}, {1})"})

# Tests on floats.
_op("isnan", {"f": "f_isnan({0})", **_all("false", "iub"), "c": "(f_isnan({0}.x) || f_isnan({0}.y))"}, "bool")
_op("isinf", {"f": "f_isinf({0})", **_all("false", "iub"), "c": "(f_isinf({0}.x) || f_isinf({0}.y))"}, "bool")
_op(
    "isfinite", {"f": "f_isfinite({0})", **_all("true", "iub"), "c": "(f_isfinite({0}.x) && f_isfinite({0}.y))"}, "bool"
)
_op("signbit", {"f": "f_signbit({0})", "i": "({0} < 0)", "u": "false"}, "bool")

# Complex numbers and their parts. A real number is its own real part and its own conjugate.
_op("complex", {"f": "vec2<f32>({0}, {1})"}, "complex", floats=True, exact=True)
_op("real", {**_all("{0}", "fiu"), "c": "{0}.x"}, "real", exact=True)
_op("imag", {"f": "0.0", "i": "0", "u": "0u", "c": "{0}.y"}, "real", exact=True)
_op("conj", {**_all("{0}", "fiu"), "c": "vec2<f32>({0}.x, f_negative({0}.y))"}, exact=True)
_op("angle", {"f": "f_atan2(0.0, {0})", "c": "f_atan2({0}.y, {0}.x)"}, "real", floats=True, cost=4)

# Rounding: nothing to do for integers.
for _name in ("ceil", "floor", "trunc"):
    _op(_name, {"f": f"f_{_name}({{0}})", **_all("{0}", "iub")}, exact=True)
_op("round", {"f": "f_round({0})", **_all("{0}", "iub"), "c": "vec2<f32>(f_round({0}.x), f_round({0}.y))"}, exact=True)

# Functions of real and complex numbers.
_op("sqrt", {"f": "f_sqrt({0})", "c": "c_sqrt({0})"}, floats=True, cost=2, half="h_sqrt({0})")
for _name in (
    *("exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
):
    _op(_name, {"f": f"f_{_name}({{0}})", "c": f"c_{_name}({{0}})"}, floats=True, cost=4)
_op("erf", {"f": "f_erf({0})"}, floats=True, cost=4)

# Choice.
_op("where", _all("select({2}, {1}, {0})", "fiubc"), exact=True)
_op(
    "sort_key",
    {"f": "f_sort_key({0})", "i": "i_sort_key({0})", "u": "{0}", "b": "select(0u, 1u, {0})"},
    "key",
    exact=True,
)

CASTS: dict[tuple[str, str], str] = {
    ("f", "i"): "f_to_i32({0})",
    ("f", "u"): "f_to_u32({0})",
    ("f", "b"): "(b_abs({0}) != 0u)",
    ("i", "f"): "f32({0})",
    ("i", "u"): "bitcast<u32>({0})",
    ("i", "b"): "({0} != 0)",
    ("u", "f"): "f32({0})",
    ("u", "i"): "bitcast<i32>({0})",
    ("u", "b"): "({0} != 0u)",
    ("b", "f"): "select(0.0, 1.0, {0})",
    ("b", "i"): "select(0, 1, {0})",
    ("b", "u"): "select(0u, 1u, {0})",
    ("f", "h"): "h_rounded({0})",
    ("i", "h"): "h_rounded(f32({0}))",
    ("u", "h"): "h_rounded(f32({0}))",
    ("b", "h"): "select(0.0, 1.0, {0})",
    ("f", "c"): "vec2<f32>({0}, 0.0)",
    ("i", "c"): "vec2<f32>(f32({0}), 0.0)",
    ("u", "c"): "vec2<f32>(f32({0}), 0.0)",
    ("b", "c"): "vec2<f32>(select(0.0, 1.0, {0}), 0.0)",
    ("c", "b"): "((b_abs({0}.x) | b_abs({0}.y)) != 0u)",
}
"""Conversions by kind, float16 being ``f`` where it comes from. Integers that float32 does not hold are infinite in float16."""
