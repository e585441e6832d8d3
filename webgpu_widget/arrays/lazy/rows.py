"""Softmax and norms of rows by one kernel that reads each row once.

A workgroup takes a row at a time and keeps it in registers, a few vectors of four an invocation: one read and one write, where a composition of
reductions and expressions reads three times. For GPUs, and rows that fit; a CPU adapter pays more for the barriers than for the reads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.library import needed
from webgpu_widget.arrays.lazy.node import node_of
from webgpu_widget.arrays.lazy.places import blank
from webgpu_widget.arrays.lazy.shape import leaf
from webgpu_widget.arrays.lazy.value import wrap
from webgpu_widget.device.limits import SAFE_WORKGROUPS

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.runtime import Runtime

__all__ = ["LONGEST", "Kind", "fits", "normalise", "rows_source"]

Kind = Literal["softmax", "layer_norm", "rms_norm"]
LONGEST = 16_384
"""Elements of a row: 256 invocations with 16 vectors each, which is 64 registers."""
_SHORTEST = 64
_MOST_THREADS = 256
_FEWEST_THREADS = 32
_VECTORS = 4
"""An invocation takes so many of a row, and more only where the workgroup would be too large."""


def fits(runtime: Runtime, x: GPUArray, axis: int, weight: object, bias: object) -> bool:
    """Whether `normalise` takes this array, along this axis, with these factors."""
    length = x.shape[-1] if x.ndim else 0
    return (
        not runtime.is_fallback
        and x.dtype == dt.FLOAT32
        and axis in (-1, x.ndim - 1)
        and _SHORTEST <= length <= LONGEST
        and length % 4 == 0
        and 0 < 4 * x.size <= runtime.max_binding_bytes
        and all(part is None or _is_row(part, x) for part in (weight, bias))
    )


def _is_row(part: object, x: GPUArray) -> bool:
    """Whether something is an array of the same GPU that has one value for each column; others are left to be converted, or refused."""
    ours = getattr(part, "_device", None) is x._device
    return ours and getattr(part, "shape", None) == x.shape[-1:] and getattr(part, "dtype", None) == x.dtype


def normalise(
    runtime: Runtime,
    kind: Kind,
    x: GPUArray,
    weight: GPUArray | None = None,
    bias: GPUArray | None = None,
    eps: float = 0.0,
) -> GPUArray:
    """Queue the kernel for the last axis of a float32 array, and return the result.

    Parameters
    ----------
    runtime
        Of the array's GPU.
    kind
        ``softmax``: ``exp(x - max) / sum(exp(x - max))``; ``layer_norm``: ``(x - mean) / sqrt(var + eps) * weight + bias``;
        ``rms_norm``: ``x / sqrt(mean(x * x) + eps) * weight``.
    x
        (..., length) with length a multiple of 4, at most `LONGEST`.
    weight, bias
        (length,), float32.
    eps
        Added to the variance.
    """
    length = x.shape[-1]
    words = length // 4
    enough = -(-words // _VECTORS)
    threads = min(_MOST_THREADS, max(_FEWEST_THREADS, 1 << (enough - 1).bit_length()))
    held = -(-words // threads)
    key = ("rows", kind, threads, held, weight is not None, bias is not None)
    pipeline = runtime.pipeline(
        key,
        lambda: rows_source(kind, threads, held, weight=weight is not None, bias=bias is not None),
        f"{kind} of rows",
    )
    rows = x.size // length
    out = blank(runtime, x.shape, dt.FLOAT32)
    parts = [node_of(part) for part in (weight, bias) if part is not None]
    buffers = [runtime.buffer(leaf(runtime, node)) for node in (node_of(x), *parts)]
    bits = np.array([eps, length], np.float32).view(np.uint32).tolist()
    runtime.dispatch(pipeline, [*buffers, runtime.buffer(out)], [rows, words, *bits], min(rows, SAFE_WORKGROUPS))
    return wrap(x._device, out)


@lru_cache(maxsize=64)
def rows_source(kind: Kind, threads: int, held: int, *, weight: bool, bias: bool) -> str:
    """Return the WGSL for rows of up to ``4 * threads * held`` elements.

    Uniform words: rows, vectors of a row, eps and the length (bits of floats). Bindings: x, weight, bias, result, those that there are.
    Sums run over the vectors of an invocation, then in a tree; a mean is corrected by the mean of what is left (two passes over registers), so that
    rows of equal numbers have next to no distance from it, however a GPU divides.
    """
    names = ["x", *(name for name, there in (("weight", weight), ("bias", bias)) if there)]
    lines = [f"@group(0) @binding({i}) var<storage, read> {name}: array<vec4<f32>>;" for i, name in enumerate(names)]
    lines += [
        f"@group(0) @binding({len(names)}) var<storage, read_write> y: array<vec4<f32>>;",
        "@group(1) @binding(0) var<uniform> p: vec4<u32>;",
        f"var<workgroup> part: array<f32, {threads}>;",
        _tree("total", "a + b", threads),
    ]
    if kind == "softmax":
        lines.append(_tree("largest", "max(a, b)", threads))
    lines += [
        f"@compute @workgroup_size({threads})",
        "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lid: u32) {",
        "  for (var row = group.x; row < p.x; row += groups.x) {",
        "    let base = row * p.y;",
    ]
    spots = range(held)
    for i in spots:
        lines.append(f"    let w{i} = lid + {i * threads}u;")
        # What lies beyond the row repeats its last vector: right for a maximum, and left out of sums.
        lines.append(f"    var v{i} = x[base + min(w{i}, p.y - 1u)];")
    lines += {"softmax": _softmax, "layer_norm": _layer_norm, "rms_norm": _rms_norm}[kind](spots)
    for i in spots:
        factor = f" * weight[w{i}]" if weight else ""
        term = f" + bias[w{i}]" if bias else ""
        lines.append(f"    if (w{i} < p.y) {{ y[base + w{i}] = v{i} / scale{factor}{term}; }}")
    lines += ["  }", "}"]
    body = "\n".join(lines) + "\n"
    return f"// {kind} of rows that are read once. Made by webgpu_widget.arrays.lazy.rows.\n{needed(body)}\n{body}"


def _tree(name: str, combine: str, threads: int) -> str:
    """Return a function that has all invocations of the workgroup get what their values combine to."""
    return f"""fn {name}(value: f32, lid: u32) -> f32 {{
  part[lid] = value;
  for (var half = {threads // 2}u; half > 0u; half /= 2u) {{
    workgroupBarrier();
    if (lid < half) {{
      let a = part[lid];
      let b = part[lid + half];
      part[lid] = {combine};
    }}
  }}
  return workgroupUniformLoad(&part[0]);
}}"""


def _sum(what: str, spots: range) -> str:
    """Return the sum of an expression of ``{i}`` over the vectors of an invocation that lie inside the row, and then over the workgroup."""
    terms = " + ".join(f"select(vec4<f32>(), {what.format(i=i)}, w{i} < p.y)" for i in spots)
    return f"total(dot({terms}, vec4<f32>(1.0)), lid)"


def _softmax(spots: range) -> list[str]:
    top = "v0"
    for i in spots[1:]:
        top = f"max({top}, v{i})"
    exps = ", ".join(f"f_exp_below(d{{i}}.{component})" for component in "xyzw")
    return [
        f"    let top = {top};",
        "    let most = largest(max(max(top.x, top.y), max(top.z, top.w)), lid);",
        *(f"    let d{i} = v{i} - most;" for i in spots),
        *(f"    v{i} = vec4<f32>({exps.format(i=i)});" for i in spots),
        f"    let scale = {_sum('v{i}', spots)};",
    ]


def _layer_norm(spots: range) -> list[str]:
    return [
        "    let length = bitcast<f32>(p.w);",
        f"    let about = {_sum('v{i}', spots)} / length;",
        *(f"    v{i} -= about;" for i in spots),
        f"    let rest = {_sum('v{i}', spots)} / length;",
        *(f"    v{i} -= rest;" for i in spots),
        f"    let scale = sqrt({_sum('v{i} * v{i}', spots)} / length + bitcast<f32>(p.z));",
    ]


def _rms_norm(spots: range) -> list[str]:
    return [f"    let scale = sqrt({_sum('v{i} * v{i}', spots)} / bitcast<f32>(p.w) + bitcast<f32>(p.z));"]
