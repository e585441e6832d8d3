"""Greedy decoding by onnxruntime-web (WebGPU) beside ours, on the same weights and the same source.

    cd bench && npm ci && cd .. && python tools/t5/bench_peer.py [MODEL ...] [--tokens 64] [--runs 2] [--ort FOLDER] [--output FILE]

A MODEL is a checkpoint's folder, or "small" or "base": random weights in the exact shapes of flan-t5-small or -base. Needs the package
onnx, and onnxruntime-web (``--ort`` is its dist folder). The tokens of both are compared. Ours includes the encoder; the peer is given
the source's keys and values. CHROMIUM, CHROMIUM_FLAGS and CHROMIUM_LIBRARY_PATH choose the peer's browser, as in bench/browser.py.
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
from random_checkpoint import SIZES, build
from safetensors.numpy import load_file

import webgpu_widget as wg
from webgpu_widget.link.steps import iterate
from webgpu_widget.nn.sampling import Settings
from webgpu_widget.reference import t5 as reference
from webgpu_widget.t5 import T5

ROOT = Path(__file__).parents[2]
PROMPT = "translate English to German: The house is wonderful and the garden is large."
FILES = ("ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")


def collect(folder: Path, limit_s: float) -> Any:
    """Open a folder's page and return what it posts: bench/browser.py does it."""
    spec = importlib.util.spec_from_file_location("browser", ROOT / "bench" / "browser.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.collect(folder, "", limit_s)


def prepare(
    folder: Path, model: T5, weights: dict[str, np.ndarray[Any, Any]], ort: Path, tokens: int, runs: int
) -> None:
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
        "end": c.eos_token_id,
        "runs": runs,
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    onnx.save(build_step(c, weights, ids.shape[1]), str(folder / "model.onnx"))
    shutil.copy(Path(__file__).parent / "peer" / "index.html", folder)
    (folder / "ort").mkdir()
    for name in FILES:
        shutil.copy(ort / name, folder / "ort")


def compare(checkpoint: Path, name: str, a: argparse.Namespace) -> dict[str, Any]:
    """Time both, one after the other."""
    weights = {key: value.astype(np.float32) for key, value in load_file(checkpoint / "model.safetensors").items()}
    gpu = wg.GPU(transport="headless")
    with tempfile.TemporaryDirectory() as work:
        with T5.from_pretrained(checkpoint, gpu, progress=False) as model:
            prepare(Path(work), model, weights, a.ort, a.tokens, a.runs)
            speeds, steps = [], []
            for _ in range(a.runs + 1):
                run = model._run([PROMPT], Settings(a.tokens), truncation=False, streaming=False)
                steps = list(iterate(run, 300))
                speeds.append(model.stats.tokens_per_second)
            adapter = gpu.info.name
        gpu.close()
        peer = collect(Path(work), 900)
    if peer is None or "failed" in peer:
        raise SystemExit(f"the peer's page failed: {peer}")
    ours = max(speeds[1:])
    return {
        "model": name,
        "what": f"f32, batch 1, {len(peer['tokens'])} tokens",
        "adapter": adapter,
        "ours_tokens_per_second": ours,
        "onnxruntime_web_tokens_per_second": peer["tokens_per_second"],
        "ratio": ours / peer["tokens_per_second"],
        "same_tokens": steps[-1].tokens[0] == peer["tokens"],
        "onnxruntime_web_load_s": peer["load_s"],
    }


def as_line(row: dict[str, Any]) -> str:
    """Return a row for a reader."""
    what = f"{row['model']}, {row['what']}, {row['adapter']}: "
    if not row["same_tokens"]:
        return what + "WRONG: ours and onnxruntime-web choose other tokens"
    return (
        f"{what}ours {row['ours_tokens_per_second']:.1f} tokens/s, "
        f"onnxruntime-web {row['onnxruntime_web_tokens_per_second']:.1f}, ratio {row['ratio']:.1f}, the same tokens"
    )


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["small"])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--ort", type=Path, default=ROOT / "bench" / "node_modules" / "onnxruntime-web" / "dist")
    parser.add_argument("--output", type=Path)
    a = parser.parse_args()
    reports = []
    with tempfile.TemporaryDirectory() as work:
        for wanted in a.models:
            if wanted in SIZES:
                found = compare(build(wanted, Path(work) / wanted), f"flan-t5-{wanted} shapes", a)
            else:
                found = compare(Path(wanted), Path(wanted).name, a)
            reports.append(found)
            sys.stdout.write(as_line(found) + "\n")
            sys.stdout.flush()
            if a.output:
                a.output.write_text(json.dumps(reports, indent=1) + "\n")


if __name__ == "__main__":
    main()
