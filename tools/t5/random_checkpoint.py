"""Write a checkpoint with the exact shapes of flan-t5-small or -base and random weights, in the hub's layout.

    python tools/t5/random_checkpoint.py small|base|mini FOLDER [TOKENIZER]

"mini" has T5's vocabulary and hardly any layers, to try the tools on a machine without a GPU. TOKENIZER is T5's tokenizer.json (or .gz); the one in tests/t5/data when left out. The end token is never the likeliest, so that a
generation runs to its limit.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

COMMON = {
    "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "vocab_size": 32128, "d_kv": 64,
    "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6, "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "is_encoder_decoder": True,
}  # fmt: skip
SIZES = {
    "small": {"d_model": 512, "d_ff": 1024, "num_heads": 6, "num_layers": 8, "num_decoder_layers": 8},
    "base": {"d_model": 768, "d_ff": 2048, "num_heads": 12, "num_layers": 12, "num_decoder_layers": 12},
    "mini": {"d_model": 64, "d_ff": 128, "num_heads": 2, "num_layers": 2, "num_decoder_layers": 2},
}
TOKENIZER = Path(__file__).parents[2] / "tests" / "t5" / "data" / "t5_tokenizer.json.gz"


def shapes(config: dict[str, object]) -> dict[str, tuple[int, ...]]:
    """Return the tensors' shapes."""
    from webgpu_widget.t5.config import T5Config

    return T5Config.from_dict(config).tensor_shapes()


def build(size: str, folder: Path, tokenizer: Path = TOKENIZER, seed: int = 0) -> Path:
    """Write the checkpoint; returns its folder."""
    config = {**COMMON, **SIZES[size]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if tokenizer.suffix == ".gz":
        (folder / "tokenizer.json").write_bytes(gzip.decompress(tokenizer.read_bytes()))
    else:
        shutil.copy(tokenizer, folder / "tokenizer.json")
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in shapes(config).items():
        values = rng.standard_normal(shape, np.float32)
        if name.endswith("layer_norm.weight"):
            values = 1 + 0.1 * values
        elif ".q.weight" in name:
            values *= (shape[1] * 64) ** -0.5
        elif name != "shared.weight" and "relative_attention_bias" not in name:
            values *= shape[1] ** -0.5
        tensors[name] = values
    tensors["lm_head.weight"][1] = 0
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def main() -> None:
    """Build one."""
    build(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else TOKENIZER)


if __name__ == "__main__":
    main()
