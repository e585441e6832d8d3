"""Greedy decoding of flan-t5 shapes by onnxruntime-web (WebGPU) beside ours, on the same weights and the same source.

    cd bench && npm ci && cd .. && python tools/t5/bench_peer.py [small|base] [--tokens 64] [--runs 2]

Needs the package onnx, and onnxruntime-web in bench/node_modules. The tokens of both are compared. CHROMIUM and CHROMIUM_FLAGS choose
the peer's browser, as in bench/browser.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx_step import build as build_step
from random_checkpoint import build
from safetensors.numpy import load_file

import webgpu_widget as wg
from webgpu_widget.reference import t5 as reference
from webgpu_widget.t5 import T5

ROOT = Path(__file__).parents[2]
PROMPT = "translate English to German: The house is wonderful and the garden is large."


def collect(folder: Path, limit_s: float) -> Any:
    """Open a folder's page and return what it posts: bench/browser.py does it."""
    spec = importlib.util.spec_from_file_location("browser", ROOT / "bench" / "browser.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.collect(folder, "", limit_s)


def prepare(folder: Path, model: T5, weights: dict[str, np.ndarray[Any, Any]], tokens: int, runs: int) -> None:
    """Write the peer's page: graph, the source's keys and values, position biases by distance."""
    c = model.config
    ids = np.array([model.tokenizer.encode(PROMPT, limit=512, truncation=False)])
    encoded = reference.encode(weights, c, ids)
    parts = []
    for i in range(c.num_decoder_layers):
        prefix = f"decoder.block.{i}.layer.1.EncDecAttention"
        k, v = (reference.heads(encoded @ weights[f"{prefix}.{part}.weight"].T, c.num_heads)[0] for part in "kv")
        parts += [k.swapaxes(1, 2), v]
    table = weights["decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    bias = reference.bias_table(table, bidirectional=False, max_distance=c.relative_attention_max_distance)
    by_distance = bias[:, : c.relative_attention_max_distance + 1][:, ::-1]
    (folder / "cross.bin").write_bytes(b"".join(np.ascontiguousarray(part, np.float32).tobytes() for part in parts))
    (folder / "bias.bin").write_bytes(np.ascontiguousarray(by_distance, np.float32).tobytes())
    meta = {
        "layers": c.num_decoder_layers,
        "heads": c.num_heads,
        "width": c.d_kv,
        "source": ids.shape[1],
        "tokens": tokens,
        "runs": runs,
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    onnx.save(build_step(c, weights, ids.shape[1]), str(folder / "model.onnx"))
    shutil.copy(Path(__file__).parent / "peer" / "index.html", folder)
    (folder / "ort").mkdir()
    for name in (
        "ort.webgpu.bundle.min.mjs",
        "ort-wasm-simd-threaded.asyncify.mjs",
        "ort-wasm-simd-threaded.asyncify.wasm",
    ):
        shutil.copy(ROOT / "bench" / "node_modules" / "onnxruntime-web" / "dist" / name, folder / "ort")


def main() -> None:
    """Time both, one after the other."""
    parser = argparse.ArgumentParser(description="Time the T5 beside onnxruntime-web.")
    parser.add_argument("size", nargs="?", default="small", choices=["small", "base"])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--runs", type=int, default=2)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        checkpoint, page = build(a.size, Path(work) / a.size), Path(work) / "page"
        page.mkdir()
        weights = load_file(checkpoint / "model.safetensors")
        gpu = wg.GPU(transport="headless")
        with T5.from_pretrained(checkpoint, gpu, progress=False) as model:
            prepare(page, model, weights, a.tokens, a.runs)
            speeds, tokens = [], []
            for _ in range(a.runs + 1):
                steps = list(
                    model._drive(model._run([PROMPT], wg_settings(a.tokens), truncation=False, streaming=False), 300)
                )
                tokens = steps[-1].tokens[0]
                speeds.append(model.stats.tokens_per_second)
            adapter = gpu.info.name
        gpu.close()
        peer = collect(page, 900)
    if peer is None or "failed" in peer:
        raise SystemExit(f"the peer's page failed: {peer}")
    ours = max(speeds[1:])
    report = {
        "model": f"flan-t5-{a.size} shapes, f32, batch 1, {a.tokens} tokens",
        "adapter": adapter,
        "ours_tokens_per_second": ours,
        "onnxruntime_web_tokens_per_second": peer["tokens_per_second"],
        "ratio": ours / peer["tokens_per_second"],
        "same_tokens": tokens == peer["tokens"],
        "onnxruntime_web_load_s": peer["load_s"],
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


def wg_settings(tokens: int) -> Any:
    """Greedy, to the limit."""
    from webgpu_widget.t5.generate import Settings

    return Settings(tokens)


if __name__ == "__main__":
    main()
