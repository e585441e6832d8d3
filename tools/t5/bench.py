"""Tokens a second of flan-t5-small and -base shapes with random weights, in the embedded browser.

    python tools/t5/bench.py [--sizes small,base] [--dtypes f32,f16,int8] [--tokens 256] [--torch] [--output FILE]

Reports per model: load, encoder of 512 tokens, tokens a second at batch 1 (prefill included, and without it), at batch 8, and the
difference of its logits from the same model in PyTorch where ``--torch`` asks for it (needs torch and transformers; then also the
speed of PyTorch eager on CUDA or the CPU).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from random_checkpoint import build

import webgpu_widget as wg
from webgpu_widget.t5 import T5, forward

PROMPT = "translate English to German: The house is wonderful and the garden is large, but the street in front of it is loud."


def encoder_ms(model: T5, rows: int, repeats: int) -> float:
    """Milliseconds of one encoding of ``rows`` tokens, many in a queue."""
    ids = np.random.default_rng(1).integers(2, model.config.vocab_size, (1, rows))
    parts = model._ready()
    forward.encode(parts, ids, ids != 0)
    model._gpu.synchronize(120)
    began = time.perf_counter()
    for _ in range(repeats):
        forward.encode(parts, ids, ids != 0)
    model._gpu.synchronize(120)
    return 1e3 * (time.perf_counter() - began) / repeats


def speed(model: T5, prompts: str | list[str], tokens: int, runs: int) -> dict[str, float | None]:
    """Best of ``runs`` generations."""
    model.generate(prompts, max_new_tokens=tokens, timeout=120)
    best: dict[str, float | None] = {}
    for _ in range(runs):
        model.generate(prompts, max_new_tokens=tokens, timeout=120)
        stats = model.stats
        if stats.tokens_per_second > (best.get("tokens_per_second") or 0):
            best = {
                "tokens": stats.tokens,
                "tokens_per_second": stats.tokens_per_second,
                "decode_tokens_per_second": stats.decode_tokens_per_second,
                "prefill_ms": stats.prefill_ms,
            }
    return best


def torch_peer(folder: Path, tokens: int) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """PyTorch eager on the same weights: its speed, and logits to compare."""
    import torch
    from transformers import T5ForConditionalGeneration

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = False
    model = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval().to(device)
    ids = torch.arange(5, 37, device=device)[None]
    with torch.no_grad():
        logits = model(input_ids=ids, decoder_input_ids=ids[:, :16]).logits.cpu().numpy()
        seconds = []
        for _ in range(2):
            began = time.perf_counter()
            out = model.generate(input_ids=ids, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)
            count = out.shape[1] - 1
            seconds.append(time.perf_counter() - began)
    return {
        "device": device,
        "torch": torch.__version__,
        "tokens": count,
        "tokens_per_second": count / min(seconds),
    }, logits


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description="Time the T5.")
    parser.add_argument("--sizes", default="small,base")
    parser.add_argument("--dtypes", default="f32")
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--output", type=Path)
    a = parser.parse_args()
    gpu = wg.GPU(transport="headless")
    report: dict[str, Any] = {"adapter": gpu.ready(120).name, "user_agent": gpu.info.user_agent, "models": []}
    with tempfile.TemporaryDirectory() as work:
        for size in a.sizes.split(","):
            folder = build(size, Path(work) / size)
            peer = torch_peer(folder, min(a.tokens, 128)) if a.torch else None
            for dtype in a.dtypes.split(","):
                with T5.from_pretrained(folder, gpu, dtype, progress=False) as model:
                    row: dict[str, Any] = {
                        "model": f"flan-t5-{size} shapes",
                        "dtype": dtype,
                        "load_s": model.stats.load_s,
                    }
                    if peer:
                        ids = np.arange(5, 37)[None]
                        found = model.logits(ids, ids[:, :16])
                        row["logits_relative_error"] = float(np.linalg.norm(found - peer[1]) / np.linalg.norm(peer[1]))
                    row["batch_1"] = speed(model, PROMPT, a.tokens, a.runs)
                    row["dispatches_per_token"] = model.stats.dispatches_per_token
                    rows = 32 if gpu.info.is_fallback else 512
                    row[f"encoder_{rows}_ms"] = encoder_ms(model, rows, 1 if gpu.info.is_fallback else 20)
                    if not gpu.info.is_fallback:
                        row["batch_8"] = speed(model, [PROMPT] * 8, a.tokens, 1)
                    report["models"].append(row)
                    sys.stdout.write(json.dumps(row) + "\n")
                    sys.stdout.flush()
            if peer:
                report["models"].append({"model": f"flan-t5-{size} shapes", "peer": peer[0]})
                sys.stdout.write(json.dumps(peer[0]) + "\n")
    gpu.close()
    if a.output:
        a.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
