"""NumPy twin of the language models of ``webgpu_widget.llm``.

``weights`` maps the names of a GGUF file to arrays, matrices as (outputs, inputs); all is computed in their dtype (float64 for a reference).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget.reference.nn import attention, gate, linear, rms_norm, rope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webgpu_widget.llm.config import Config

Array = NDArray[Any]


def logits(weights: Mapping[str, Array], config: Config, ids: Sequence[int]) -> Array:
    """Logits (tokens, vocab) after each token of a text."""
    count, c = len(ids), config
    series = c.rope_base ** (-np.arange(0, c.head_width, 2) / c.head_width)
    angles = np.arange(count)[:, None] * series
    x = weights["token_embd.weight"][np.asarray(ids)]
    for i in range(c.layers):
        block = f"blk.{i}"
        normed = rms_norm(x, weights[f"{block}.attn_norm.weight"], c.epsilon)
        q, k, v = (
            linear(normed, weights[f"{block}.attn_{part}.weight"]).reshape(count, -1, c.head_width) for part in "qkv"
        )
        q, k = rope(q, angles, is_interleaved=True), rope(k, angles, is_interleaved=True)
        scale, mask = c.head_width**-0.5, np.ones((1, count))
        context = attention(q[None], k[None], v[None], None, mask, causal=True, scale=scale)[0].reshape(count, -1)
        x = linear(context, weights[f"{block}.attn_output.weight"], y=x)
        normed = rms_norm(x, weights[f"{block}.ffn_norm.weight"], c.epsilon)
        into = np.concatenate([weights[f"{block}.ffn_gate.weight"], weights[f"{block}.ffn_up.weight"]])
        inner = gate(linear(normed, into), is_gated=True, activation="silu")
        x = linear(inner, weights[f"{block}.ffn_down.weight"], y=x)
    head = weights.get("output.weight", weights["token_embd.weight"])
    return linear(rms_norm(x, weights["output_norm.weight"], c.epsilon), head)


def greedy(
    weights: Mapping[str, Array], config: Config, ids: Sequence[int], count: int, ends: Sequence[int]
) -> list[int]:
    """Return the likeliest tokens after a text, the one that ends it included."""
    text = list(ids)
    for _ in range(count):
        text.append(int(logits(weights, config, text)[-1].argmax()))
        if text[-1] in ends:
            break
    return text[len(ids) :]
