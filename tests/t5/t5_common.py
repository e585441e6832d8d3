from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from webgpu_widget.link.steps import iterate
from webgpu_widget.nn.decoder import generate
from webgpu_widget.nn.sampling import Settings
from webgpu_widget.t5 import T5, forward
from webgpu_widget.t5.config import T5Config

DATA = Path(__file__).parent / "data"
TINY = Path(__file__).parents[2] / "notebooks" / "tiny_t5"
VARIANTS = sorted(path.name for path in DATA.iterdir() if path.is_dir())


@cache
def golden(name: str) -> dict[str, Any]:
    """What transformers said of a small random checkpoint, with the checkpoint."""
    folder = DATA / name
    tokens = json.loads((folder / "tokens.json").read_text())
    return {
        "folder": folder,
        "config": T5Config.from_file(folder / "config.json"),
        "weights": {key: value.astype(np.float64) for key, value in load_file(folder / "model.safetensors").items()},
        "limit": tokens["max_new_tokens"],
        "tokens": {int(beams): rows for beams, rows in tokens["tokens"].items()},
        **load_file(folder / "golden.safetensors"),
    }


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    assert found.shape == wanted.shape
    assert np.isfinite(found).all()
    return float(np.linalg.norm(found.astype(np.float64) - wanted) / np.linalg.norm(wanted))


def tokens_of(model, ids, beams, limit):
    """Generated ids, without text."""
    encoded = forward.encode(model._parts, ids, ids != 0)
    with model._decoding(len(ids), beams, ids.shape[1], limit) as decoder:
        decoder.start(encoded, Settings(limit, beams))
        chunks = list(iterate(generate(decoder, streaming=False), 60))
    assert chunks[-1].done
    return chunks[-1].tokens


def dispatches_a_token(model: T5) -> int:
    """What a step takes on this adapter: six dispatches a layer where it has room for the kernels in blocks, eight elsewhere, eleven on a CPU, where norms are kernels."""
    per_layer = 6 if model._parts.fused.width else 11 if model._parts.kernels.on_cpu else 8
    return per_layer * model.config.num_decoder_layers + 2 + model._parts.kernels.on_cpu
