"""Putting a question to an adapter: expressions of numbers that its compiler cannot know, and what to say of the answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget.kernels.bind import out

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU

__all__ = ["Answer", "answer", "compare", "each", "points", "singles", "text"]

Answer = tuple[str, dict[str, str]]
"""Verdict, and values by expression."""
_TYPES = {"i32": np.int32, "u32": np.uint32, "f32": np.float32}


def each(
    gpu: GPU, expressions: Sequence[str], inputs: dict[str, NDArray[Any]], result: str = "f32", head: str = ""
) -> list[NDArray[Any]]:
    """Evaluate WGSL expressions over columns of numbers, which the compiler cannot know.

    Parameters
    ----------
    gpu : GPU
        Where.
    expressions : sequence of str
        Of the columns' names.
    inputs : dict of ndarray
        Columns of one length, float32, int32 or uint32.
    result : {"f32", "i32", "u32"}
        Type of the expressions.
    head : str
        What the module needs beside it.

    Returns
    -------
    list of ndarray
        A column for each expression, each from a kernel of its own.
    """
    kinds = {np.dtype(kind): name for name, kind in _TYPES.items()}
    lines = [
        f"@group(0) @binding({i}) var<storage, read> {name}_: array<{kinds[x.dtype]}>;"
        for i, (name, x) in enumerate(inputs.items())
    ]
    loads = " ".join(f"let {name} = {name}_[i];" for name in inputs)
    count = len(next(iter(inputs.values())))
    bound = {f"{name}_": x for name, x in inputs.items()}
    found = []
    for expression in expressions:
        source = f"""{head}
{chr(10).join(lines)}
@group(0) @binding({len(lines)}) var<storage, read_write> result_: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {{
  let i = id.x;
  if (i >= arrayLength(&result_)) {{ return; }}
  {loads}
  result_[i] = bitcast<u32>({result}({expression}));
}}"""
        words = gpu.run(source, bound, result_=out(count, np.uint32), threads=count)
        found.append(np.asarray(words).view(_TYPES[result]))
    return found


def singles(values: Sequence[float]) -> NDArray[np.float32]:
    """Make a column of float32."""
    return np.array(values, np.float32)


def text(value: Any) -> str:
    """Write a number down in few digits; large unsigned ones, which are bits, in hexadecimal."""
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    return hex(int(value)) if isinstance(value, np.unsignedinteger) and value > 9999 else str(int(value))


def answer(wrong: Sequence[str], values: dict[str, str], most: int = 4) -> Answer:
    """Say that all is right, or what differs, the first few of it."""
    if not wrong:
        return "right", values
    more = f"; and {len(wrong) - most} more" if len(wrong) > most else ""
    return f"differs: {'; '.join(wrong[:most])}{more}", values


def compare(
    gpu: GPU, cases: dict[str, NDArray[Any]], inputs: dict[str, NDArray[Any]], result: str, head: str = ""
) -> Answer:
    """Compare expressions with NumPy over many rows.

    Parameters
    ----------
    gpu, inputs, result, head
        As in `each`.
    cases : dict of ndarray
        What is wanted, by expression; NaN is any NaN.

    Returns
    -------
    tuple of str and dict
        Each expression that differs is told with the first row where it does.
    """
    wrong, values = [], {}
    for (expression, wanted), found in zip(cases.items(), each(gpu, list(cases), inputs, result, head), strict=True):
        off = np.flatnonzero((found != wanted) & ~(np.isnan(found) & np.isnan(wanted)))
        values[expression] = f"{len(off)} of {len(found)} differ"
        if len(off):
            at = off[0]
            given = ", ".join(f"{name} = {text(x[at])}" for name, x in inputs.items())
            seen, meant = text(found[at]), text(wanted[at])
            if seen == meant:
                seen, meant = repr(float(found[at])), repr(float(wanted[at]))
            values[expression] += f" ({given}: {seen}, not {meant})"
            wrong.append(f"{expression} in {len(off) / len(found):.0%} ({given}: {seen}, not {meant})")
    return answer(wrong, values)


def points(gpu: GPU, cases: Sequence[tuple[str, tuple[float, ...], float]]) -> Answer:
    """Evaluate expressions of x, y and z at single points.

    Parameters
    ----------
    gpu : GPU
        Where.
    cases : sequence of (expression, values, wanted)
        The result may be off by 2e-5 of itself: only what is of another kind is told.
    """
    wrong, values = [], {}
    for expression, given, wanted in cases:
        inputs = {name: singles([value]) for name, value in zip("xyz", given, strict=False)}
        ((found,),) = each(gpu, [expression], inputs)
        name = expression
        for letter, value in zip("xyz", given, strict=False):
            name = re.sub(rf"(?<![.])\b{letter}\b", text(float(value)), name)
        values[name] = text(found)
        if not _close(float(found), float(np.float32(wanted))):
            wrong.append(f"{name} is {text(found)}, not {text(float(wanted))}")
    return answer(wrong, values)


def _close(found: float, wanted: float) -> bool:
    if np.isnan(wanted) or not np.isfinite(wanted) or wanted == 0:
        return found == wanted or bool(np.isnan(found) and np.isnan(wanted))
    return abs(found - wanted) <= 2e-5 * abs(wanted)
