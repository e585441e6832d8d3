"""Golden logits for tests/llm: small random checkpoints of each kind of model as hub folders have them, and what ``transformers`` says of them.

    python tools/llm/golden_hub.py tests/llm/data/golden_hub.json        # needs torch and transformers

Weights come from a seed, so that the file holds logits alone; the oracle runs in float64 but for its rotary tables, which are float32.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

BASE = {
    "model_type": "llama", "vocab_size": 72, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_theta": 1000.0,
    "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama_tied_wide_heads": {"tie_word_embeddings": True, "head_dim": 24, "num_key_value_heads": 1},
    "llama_biased": {"attention_bias": True, "num_key_value_heads": 4},
    "llama_linear": {"rope_scaling": {"type": "linear", "factor": 2.5}},
    "llama_3": {"rope_scaling": LLAMA3, "rope_theta": 500000.0},
    "llama_yarn": {"rope_scaling": YARN},
    "llama_dynamic": {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
    "mistral": {"model_type": "mistral", "sliding_window": None},
    "mistral_window": {"model_type": "mistral", "sliding_window": 5},
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen2_window": {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    "qwen3": {"model_type": "qwen3", "head_dim": 32, "tie_word_embeddings": True},
}
AT = (0, 6, 19)
"""Positions whose logits are kept."""


def tensors(config: dict[str, Any], seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Return random weights by the hub's names; the same for the same seed."""
    rng = np.random.default_rng(seed)
    width, hidden, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    head = config.get("head_dim", width // heads)
    kv, kind = config["num_key_value_heads"] * head, config["model_type"]
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], width),
        "model.norm.weight": (width,),
    }
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (config["vocab_size"], width)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        rows = {"q": heads * head, "k": kv, "v": kv}
        shapes |= {f"{layer}.self_attn.{part}_proj.weight": (count, width) for part, count in rows.items()}
        shapes[f"{layer}.self_attn.o_proj.weight"] = (width, heads * head)
        if kind == "qwen2" or config.get("attention_bias"):
            shapes |= {f"{layer}.self_attn.{part}_proj.bias": (count,) for part, count in rows.items()}
        if config.get("attention_bias"):
            shapes[f"{layer}.self_attn.o_proj.bias"] = (width,)
        if kind == "qwen3":
            shapes |= {f"{layer}.self_attn.{part}_norm.weight": (head,) for part in "qk"}
        shapes |= {f"{layer}.mlp.{part}_proj.weight": (hidden, width) for part in ("gate", "up")}
        shapes[f"{layer}.mlp.down_proj.weight"] = (width, hidden)
        shapes |= {f"{layer}.{part}_layernorm.weight": (width,) for part in ("input", "post_attention")}
    return {
        name: (rng.normal(size=shape) / (4 if len(shape) == 2 else 1)).astype(np.float16).astype(np.float32)
        for name, shape in shapes.items()
    }


def answer(name: str, seed: int) -> dict[str, Any]:
    """Return a variant's config, ids and logits."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    raw = {**BASE, **VARIANTS[name]}
    config = AutoConfig.for_model(**json.loads(json.dumps(raw)))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").double().eval()
    state = {key: torch.from_numpy(value).double() for key, value in tensors(raw, seed).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert set(missing) <= {"lm_head.weight"}, missing
    model.tie_weights()
    ids = np.random.default_rng(seed + 1).integers(2, raw["vocab_size"], (2, 20))
    with torch.no_grad():
        logits = model(torch.from_numpy(ids)).logits.numpy()
    return {
        "config": raw,
        "seed": seed,
        "ids": ids.tolist(),
        "logits": np.round(logits[:, AT], 6).tolist(),
    }


def main() -> None:
    """Write the file."""
    made = {name: answer(name, 100 + i) for i, name in enumerate(VARIANTS)}
    Path(sys.argv[1]).write_text(json.dumps(made, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
