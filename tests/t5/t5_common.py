from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from webgpu_widget.t5 import T5
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


def dispatches_a_token(model: T5) -> int:
    """What a step takes on this adapter: four dispatches a layer where it has room for the kernels in blocks, eight elsewhere."""
    return (4 if model._parts.blocks.width else 8) * model.config.num_decoder_layers + 2
