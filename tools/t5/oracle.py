"""Compare the T5 in the embedded browser with transformers' T5ForConditionalGeneration, live, on fresh random weights.

    python tools/t5/oracle.py [--seed 7] [--skip-small]

Every variant of tools/t5/golden.py (v1.0 with ReLU and tied embeddings, v1.1 gated and untied, uneven stacks, few buckets, an odd
vocabulary), then the shapes of flan-t5-small. transformers computes in float64. The rules:

- f32: encoder output and logits within 1e-4 (relative, in the norm of all values); greedy and beam tokens the same.
- f16: within 1e-2, and not so near that float32 was kept.
- int8: at most twice the error of the same rounding, row by row, in float64.

Prints one table; the exit status is 1 when a rule is broken. Needs torch and transformers (``make oracle`` gets them).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from golden import MAX_NEW_TOKENS, VARIANTS, build, rows_of, tensors
from random_checkpoint import build as build_shapes
from safetensors.numpy import load_file, save_file
from transformers import T5ForConditionalGeneration

import webgpu_widget as wg
from webgpu_widget.link.steps import iterate
from webgpu_widget.nn.decoder import generate
from webgpu_widget.nn.sampling import Settings
from webgpu_widget.reference import t5 as reference
from webgpu_widget.t5 import T5, forward

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

TIMEOUT_S = 300
COLUMNS = (
    "encode f32",
    "logits f32",
    "encode f16",
    "logits f16",
    "encode int8",
    "logits int8",
    "greedy",
    "beam 2",
    "beam 4",
)


@dataclass
class Cell:
    """A figure and whether it keeps its rule."""

    text: str
    ok: bool


def error(found: Array, wanted: Array) -> float:
    """Return the relative error in the norm; infinite when shapes differ or a value is not finite."""
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.linalg.norm(found.astype(np.float64) - wanted) / np.linalg.norm(wanted))


def write_tokenizer(path: Path, vocab: int) -> None:
    """Write a tokenizer of as many words as a variant's vocabulary."""
    from tokenizers import Tokenizer, models

    pieces = {name: i for i, name in enumerate(["<pad>", "</s>", "<unk>", *(f"w{i}" for i in range(3, vocab))])}
    Tokenizer(models.WordLevel(pieces, unk_token="<unk>")).save(str(path))  # noqa: S106 - a token of text


def variant(name: str, folder: Path, rng: np.random.Generator) -> T5ForConditionalGeneration:
    """Write a checkpoint of a variant; returns the same model in PyTorch, float64."""
    raw, model = build(name, int(rng.integers(2**31)))
    with torch.no_grad():  # float16 shall not hold the weights exactly
        for parameter in model.parameters():
            factor = torch.from_numpy(1 + 1e-3 * rng.standard_normal(tuple(parameter.shape)))
            parameter.copy_((parameter * factor).float().double())
    state = model.state_dict()
    keys = tensors(model, tied=bool(raw["tie_word_embeddings"]))
    save_file({key: state[key].numpy().astype(np.float32) for key in keys}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(raw))
    write_tokenizer(folder / "tokenizer.json", int(raw["vocab_size"]))
    return model


def batch(rng: np.random.Generator, vocab: int, lengths: tuple[int, ...]) -> Array:
    """Return random ids, padded, each row with its end token."""
    ids = np.zeros((len(lengths), max(lengths)), np.int64)
    for row, length in enumerate(lengths):
        ids[row, : length - 1] = rng.integers(2, vocab, length - 1)
        ids[row, length - 1] = 1
    return ids


def tokens_of(model: T5, ids: Array, beams: int, limit: int) -> list[list[int]]:
    """Return generated ids."""
    encoded = forward.encode(model._ready(), ids, ids != 0)
    with model._decoding(len(ids), beams, ids.shape[1], limit) as decoder:
        decoder.start(encoded, Settings(limit, beams))
        return list(iterate(generate(decoder, streaming=False), TIMEOUT_S))[-1].tokens


def compare(
    folder: Path, peer: T5ForConditionalGeneration, gpu: wg.GPU, ids: Array, target: Array, limit: int
) -> dict[str, Cell]:
    """Return a row of the table."""
    x, mask, y = torch.from_numpy(ids), torch.from_numpy((ids != 0).astype(np.int64)), torch.from_numpy(target)
    with torch.no_grad():
        encoded = peer.encoder(input_ids=x, attention_mask=mask).last_hidden_state.numpy()
        logits = peer(input_ids=x, attention_mask=mask, decoder_input_ids=y).logits.numpy()

    def both(model: T5) -> tuple[float, float]:
        return (
            error(model.encode(ids, timeout=TIMEOUT_S), encoded),
            error(model.logits(ids, target, timeout=TIMEOUT_S), logits),
        )

    row: dict[str, Cell] = {}

    def note(dtype: str, found: tuple[float, float], rule: Callable[[float, int], tuple[str, bool]]) -> None:
        for i, what in enumerate(("encode", "logits")):
            row[f"{what} {dtype}"] = Cell(*rule(found[i], i))

    with T5.from_pretrained(folder, gpu, progress=False) as model:
        config = model.config
        note("f32", both(model), lambda e, _: (f"{e:.1e}", e < 1e-4))
        # transformers 5.24 fails with its cache where there are more layers in the decoder than in the encoder
        cached = config.num_layers >= config.num_decoder_layers
        for beams in (1, 2, 4):
            with torch.no_grad():
                wanted = peer.generate(
                    input_ids=x,
                    attention_mask=mask,
                    num_beams=beams,
                    do_sample=False,
                    max_new_tokens=limit,
                    use_cache=cached,
                )
            same = tokens_of(model, ids, beams, limit) == rows_of(wanted, config.eos_token_id)
            row["greedy" if beams == 1 else f"beam {beams}"] = Cell("same" if same else "OTHER", same)
    with T5.from_pretrained(folder, gpu, "f16", progress=False) as model:
        note("f16", both(model), lambda e, _: (f"{e:.1e}", 1e-6 < e < 1e-2))
    rounded = reference.quantized(load_file(folder / "model.safetensors"))
    best = (
        error(reference.encode(rounded, config, ids), encoded),
        error(reference.logits(rounded, config, ids, target), logits),
    )
    with T5.from_pretrained(folder, gpu, "int8", progress=False) as model:
        note("int8", both(model), lambda e, i: (f"{e:.1e} ({e / best[i]:.2f}x)", e <= 2 * best[i]))
    return row


def main() -> int:
    """Compare all; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--skip-small", action="store_true", help="leave the shapes of flan-t5-small out")
    a = parser.parse_args()
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if a.seed is None else a.seed
    rng = np.random.default_rng(seed)
    gpu = wg.GPU(transport="headless")
    sys.stdout.write(f"{gpu.ready(120).name}; seed {seed}\n{'':18}" + "".join(f"{name:>17}" for name in COLUMNS) + "\n")
    misses = 0

    def show(name: str, row: dict[str, Cell]) -> None:
        nonlocal misses
        misses += sum(not cell.ok for cell in row.values())
        cells = (row[column].text + ("" if row[column].ok else " !") for column in COLUMNS)
        sys.stdout.write(f"{name:18}" + "".join(f"{cell:>17}" for cell in cells) + "\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as work:
        for name in VARIANTS:
            folder = Path(work) / name
            folder.mkdir()
            peer = variant(name, folder, rng)
            vocab = int(peer.config.vocab_size)
            ids = batch(rng, vocab, (19, 7, 1, 13))
            target = np.concatenate([np.zeros((len(ids), 1), np.int64), rng.integers(2, vocab, (len(ids), 8))], 1)
            show(name, compare(folder, peer, gpu, ids, target, MAX_NEW_TOKENS))
        if not a.skip_small:
            folder = build_shapes("small", Path(work) / "small", seed=seed)
            peer = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float64).eval()
            ids = batch(rng, 32100, (11,))
            target = np.concatenate([np.zeros((1, 1), np.int64), rng.integers(2, 32100, (1, 3))], 1)
            show("flan-t5-small's", compare(folder, peer, gpu, ids, target, 4))
    gpu.close()
    sys.stdout.write("all rules kept\n" if not misses else f"{misses} figures break their rule (marked !)\n")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
