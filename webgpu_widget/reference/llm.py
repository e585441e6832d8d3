"""NumPy twin of the language models of ``webgpu_widget.llm``: Llama, Mistral, Qwen2 and Qwen3.

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
    angles, is_interleaved = np.arange(count)[:, None] * np.asarray(c.rotary.frequencies), c.rotary.is_interleaved
    x = weights["token_embd.weight"][np.asarray(ids)]
    for i in range(c.layers):
        block = f"blk.{i}"
        normed = rms_norm(x, weights[f"{block}.attn_norm.weight"], c.epsilon)
        q, k, v = (
            linear(normed, weights[f"{block}.attn_{part}.weight"], y=weights.get(f"{block}.attn_{part}.bias")).reshape(count, -1, c.head_width)
            for part in "qkv"
        )  # fmt: skip
        q, k = (
            c.rotary.factor * rope(y, angles, weights.get(f"{block}.attn_{part}_norm.weight"), is_interleaved=is_interleaved, epsilon=c.epsilon)
            for part, y in zip("qk", (q, k), strict=True)
        )  # fmt: skip
        scale, mask = c.head_width**-0.5, np.ones((1, count))
        context = attention(q[None], k[None], v[None], None, mask, causal=True, scale=scale, window=c.windows[i])[
            0
        ].reshape(count, -1)
        x = x + linear(context, weights[f"{block}.attn_output.weight"], y=weights.get(f"{block}.attn_output.bias"))
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
