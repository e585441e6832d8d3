"""Make the golden vectors in tests/t5/data: small random T5 checkpoints of every variant, and what ``transformers`` says of them.

    python tools/t5/golden.py tests/t5/data        # needs torch and transformers

Weights are rounded to float16 before anything is computed, so that the small files hold them exactly; the oracle runs in float64.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import T5Config, T5ForConditionalGeneration

BASE: dict[str, Any] = {
    "model_type": "t5", "vocab_size": 96, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 2,
    "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6, "feed_forward_proj": "relu",
    "tie_word_embeddings": True, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "is_encoder_decoder": True,
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "relu_tied": {},
    "relu_untied": {"tie_word_embeddings": False},
    "gated_tied": {"feed_forward_proj": "gated-gelu"},
    "gated_untied": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "num_heads": 6},
    "deep_decoder": {
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "num_layers": 1,
        "num_decoder_layers": 3,
        "vocab_size": 101,
    },
    "few_buckets": {
        "relative_attention_num_buckets": 12,
        "relative_attention_max_distance": 20,
        "num_decoder_layers": 1,
    },
}
"""What differs from BASE: T5 v1.0 and v1.1, tied and untied, an inner width that is not d_model, uneven stacks, an odd vocabulary."""
MAX_NEW_TOKENS = 12


def build(name: str, seed: int) -> tuple[dict[str, Any], T5ForConditionalGeneration]:
    """Return config.json's content and a random model whose logits are spread enough to choose by."""
    raw = {**BASE, **VARIANTS[name]}
    config = T5Config(**raw)
    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(config).double().eval()
    if not raw["tie_word_embeddings"]:
        model.lm_head.weight = torch.nn.Parameter(torch.randn(raw["vocab_size"], raw["d_model"], dtype=torch.float64))
        assert model.lm_head.weight is not model.shared.weight
    generator = torch.Generator().manual_seed(seed + 1)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("layer_norm.weight"):
                value = 1 + 0.2 * random(*parameter.shape)
            elif "relative_attention_bias" in key:
                value = random(*parameter.shape)
            elif key == "shared.weight":
                value = 1.5 * random(*parameter.shape)
            elif ".q.weight" in key:
                value = random(*parameter.shape) * (parameter.shape[1] * raw["d_kv"]) ** -0.5 * 2
            elif key == "lm_head.weight":
                value = random(*parameter.shape) * parameter.shape[1] ** -0.5 * 2
            else:
                value = random(*parameter.shape) * parameter.shape[1] ** -0.5 * 1.5
            parameter.copy_(value.half().double())
        head = model.lm_head.weight
        head[1] = (head[1] * 1.3).half().double()
        if raw["tie_word_embeddings"]:  # else a tied model mostly repeats the start token
            head[0] = (head[0] * 0.25).half().double()
    return raw, model


def tensors(model: T5ForConditionalGeneration, *, tied: bool) -> dict[str, np.ndarray]:
    """Return the checkpoint's tensors, float16, shared ones once."""
    state = model.state_dict()
    skip = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"} | ({"lm_head.weight"} if tied else set())
    return {key: value.numpy().astype(np.float16) for key, value in state.items() if key not in skip}


def rows_of(out: torch.Tensor, eos: int) -> list[list[int]]:
    """Return generated ids without the start token and without what follows the end token."""
    rows = out[:, 1:].tolist()
    return [row[: row.index(eos) + 1] if eos in row else row for row in rows]


def main() -> None:
    """Write every variant."""
    folder = Path(sys.argv[1])
    for seed, name in enumerate(VARIANTS):
        raw, model = build(name, 10 * seed)
        out = folder / name
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.json").write_text(json.dumps(raw, indent=1) + "\n")
        save_file(
            tensors(model, tied=bool(raw["tie_word_embeddings"])), out / "model.safetensors", metadata={"format": "pt"}
        )
        rng = np.random.default_rng(seed)
        vocab = int(raw["vocab_size"])
        lengths = (19, 7, 1, 13)
        ids = np.zeros((len(lengths), max(lengths)), np.int64)
        for row, length in enumerate(lengths):
            ids[row, : length - 1] = rng.integers(2, vocab, length - 1)
            ids[row, length - 1] = 1
        target = np.concatenate([np.zeros((len(lengths), 1), np.int64), rng.integers(2, vocab, (len(lengths), 8))], 1)
        x, mask, y = torch.from_numpy(ids), torch.from_numpy((ids != 0).astype(np.int64)), torch.from_numpy(target)
        long_ids = torch.from_numpy(np.append(rng.integers(2, vocab, 2099), 1))[None]
        with torch.no_grad():
            # output_attentions needs the implementation that returns them
            model.set_attn_implementation("eager")
            given = model(input_ids=x, attention_mask=mask, decoder_input_ids=y, output_attentions=True)
            encoded = model.encoder(input_ids=x, attention_mask=mask).last_hidden_state
            long_encoded = model.encoder(input_ids=long_ids).last_hidden_state[0, ::100]
            cached = int(raw["num_layers"]) >= int(
                raw["num_decoder_layers"]
            )  # else transformers 5.24's own cache fails
            tokens: dict[str, list[list[int]]] = {}
            for beams in (1, 2, 4):
                generated = model.generate(
                    input_ids=x,
                    attention_mask=mask,
                    num_beams=beams,
                    do_sample=False,
                    max_new_tokens=MAX_NEW_TOKENS,
                    use_cache=cached,
                )
                tokens[str(beams)] = rows_of(generated, 1)
        save_file(
            {
                "input_ids": ids.astype(np.int32),
                "decoder_input_ids": target.astype(np.int32),
                "encoded": encoded.numpy().astype(np.float32),
                "logits": given.logits.numpy().astype(np.float32),
                "cross_attention": torch.stack(given.cross_attentions).numpy().astype(np.float32),
                "long_input_ids": long_ids.numpy().astype(np.int32),
                "long_encoded": long_encoded.numpy().astype(np.float32),
            },
            out / "golden.safetensors",
        )
        (out / "tokens.json").write_text(json.dumps({"max_new_tokens": MAX_NEW_TOKENS, "tokens": tokens}) + "\n")
        sys.stdout.write(f"{name}: {tokens}\n")


if __name__ == "__main__":
    main()
