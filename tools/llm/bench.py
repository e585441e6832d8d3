"""Tokens a second of language models in the embedded browser, with random weights in the exact shapes of real ones.

    python tools/llm/bench.py [--shapes smollm2|1.7b] [--format Q4_1|Q8_0|Q4_K] [--model FILE] [--tokens 128] [--prompt 512] [--runs 3] [--profile] [--output FILE]

Makes a GGUF file of random blocks (or takes the file of ``--model``), loads it twice, the second time from the browser's cache, and reports: load, first token
of a short prompt, tokens a second of decoding at batch 1 (after the prompt, nothing but the tokens read), the bare recorded step (by the clock, and what
it takes of the processor), as many dependent
dispatches of a kernel that does nothing much, the prompt's tokens a second, and the share of the bytes that a token reads of the adapter's memory bandwidth
where ``--bandwidth`` (in TB/s) gives it. The logits of a short prompt are compared with the NumPy twin's in the same run; where they differ, WRONG stands
for the rates.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import psutil

import webgpu_widget as wg
from webgpu_widget.kernels.profile import Profile
from webgpu_widget.kernels.program import Program
from webgpu_widget.link.steps import iterate
from webgpu_widget.link.transports.headless import HeadlessTransport
from webgpu_widget.llm.decoder import Decoder
from webgpu_widget.nn.sampling import Settings
from webgpu_widget.reference import llm as reference

TIMEOUT_S = 300
SHAPES = {
    "smollm2": {"layers": 30, "width": 576, "hidden": 1536, "heads": 9, "kv_heads": 3, "vocab": 49152},
    "1.7b": {"layers": 24, "width": 2048, "hidden": 8192, "heads": 32, "kv_heads": 32, "vocab": 49152},
    "tiny": {"layers": 2, "width": 256, "hidden": 512, "heads": 4, "kv_heads": 2, "vocab": 512},
}
BLOCKS = {"Q4_1": (32, 20), "Q8_0": (32, 34), "Q4_K": (256, 144)}


def random_blocks(rng: np.random.Generator, rows: int, columns: int, stored: str) -> np.ndarray[Any, Any]:
    """Return blocks (rows, bytes) whose values are spread as those of a trained matrix are."""
    values, size = BLOCKS[stored]
    raw = rng.integers(0, 256, (rows * columns // values, size), np.uint8)
    spread = 2 / np.sqrt(columns)
    scales = {"Q4_1": (spread / 8, -spread * 7.5 / 8), "Q8_0": (spread / 128,), "Q4_K": (spread / 150, 7.5 * spread / 150)}[stored]  # fmt: skip
    raw[:, : 2 * len(scales)] = np.array(scales, np.float16).view(np.uint8)
    return raw.reshape(rows, -1)


def make_file(path: Path, shapes: dict[str, int], stored: str) -> None:
    """Write a model of random weights; its embedding is Q8_0 as SmolLM2's is."""
    rng = np.random.default_rng(1)
    width, hidden, heads = shapes["width"], shapes["hidden"], shapes["heads"]
    kv = width // heads * shapes["kv_heads"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(shapes["layers"])
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(shapes["kv_heads"])
    writer.add_rope_freq_base(100_000.0)
    writer.add_context_length(8192)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    letters = [chr(ord("!") + i) for i in range(94)]
    writer.add_token_list(["<|endoftext|>", *letters, *(f"t{i}" for i in range(95, shapes["vocab"]))])
    writer.add_token_types([3] + [1] * (shapes["vocab"] - 1))
    writer.add_token_merges([])
    writer.add_eos_token_id(0)

    def matrix(name: str, rows: int, columns: int, kind: str = stored) -> None:
        raw = random_blocks(rng, rows, columns, kind)
        writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType[kind])

    matrix("token_embd.weight", shapes["vocab"], width, "Q8_0")
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for i in range(shapes["layers"]):
        for name, rows, columns in (
            ("attn_q", width, width), ("attn_k", kv, width), ("attn_v", kv, width), ("attn_output", width, width),
            ("ffn_gate", hidden, width), ("ffn_up", hidden, width), ("ffn_down", width, hidden),
        ):  # fmt: skip
            matrix(f"blk.{i}.{name}.weight", rows, columns)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{i}.{name}.weight", np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def is_right(model: wg.LanguageModel, path: Path) -> bool:
    """Whether the logits of four tokens are the twin's on the decoded weights: float32 on both sides, sums in other orders."""
    reader = gguf.GGUFReader(path)
    weights = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}
    ids = np.random.default_rng(2).integers(1, model.config.vocab, 4)
    wanted = reference.logits(weights, model.config, ids.tolist())
    found = model.logits(ids, timeout=TIMEOUT_S)[0]
    return bool(np.linalg.norm(found - wanted) < 1e-3 * np.linalg.norm(wanted))


def timed(model: wg.LanguageModel, work: Any) -> float:
    """Seconds of work on the GPU."""
    model._device.synchronize(TIMEOUT_S)
    began = time.perf_counter()
    work()
    model._device.synchronize(TIMEOUT_S)
    return time.perf_counter() - began


def processor_seconds(model: wg.LanguageModel) -> float:
    """Processor time of the browser's GPU process so far: on a CPU adapter and a busy machine it tells kernels apart where the clock cannot."""
    transport = model._device.transport
    assert isinstance(transport, HeadlessTransport), "the processor time is read from a browser that was started here"
    browser = psutil.Process(transport.browser_pid)
    [found] = [one for one in browser.children(recursive=True) if "--type=gpu-process" in " ".join(one.cmdline())]
    return float(sum(found.cpu_times()[:2]))


def by_kernel(profile: Profile, times: int) -> dict[str, list[float | None]]:
    """Return, by kernel, its dispatches each time and microseconds of one."""
    return {
        row.name: [row.dispatches / times, row.gpu_ms and 1e3 * row.gpu_ms / row.dispatches] for row in profile.rows
    }


def steps(model: wg.LanguageModel, a: argparse.Namespace) -> dict[str, Any]:
    """Time bare steps, and of as many dependent dispatches that do nothing much."""
    decoder = Decoder(model._parts, 1, 64 + a.tokens, (model.config.vocab,))
    ids = np.random.default_rng(3).integers(1, model.config.vocab, 16).tolist()
    best = of_processor = np.inf
    for _ in range(a.runs):
        decoder.start([ids], Settings(a.tokens))
        model._device.synchronize(TIMEOUT_S)
        before = processor_seconds(model)
        best = min(best, timed(model, lambda: decoder.replay(a.tokens)) / a.tokens)
        of_processor = min(of_processor, (processor_seconds(model) - before) / a.tokens)
    done = int(model._device.queue.read([(decoder.state, 4, 4)], TIMEOUT_S)[0].view(np.uint32)[0])
    assert done == len(ids) - 1 + a.tokens, "the steps were not run to the end"
    found: dict[str, Any] = {
        "dispatches_per_token": decoder.dispatches,
        "bare_step_ms": 1e3 * best,
        "bare_step_processor_ms": 1e3 * of_processor,
    }
    if a.profile:
        decoder.start([ids], Settings(a.tokens))
        with Profile(model._device) as profile:
            decoder.replay(a.tokens)
        found["gpu_us_by_kernel"] = by_kernel(profile, a.tokens)
    k = model._parts.kernels
    program, pair = Program(model._device), (decoder.x, k.floats(model.config.width, "x"))
    with program:
        for i in range(decoder.dispatches):
            k.norm(pair[i % 2], model._parts.gain, pair[1 - i % 2], 1)
    bare = min(timed(model, lambda: program.replay(a.tokens)) / a.tokens for _ in range(a.runs))
    return {**found, "bare_dispatches_ms": 1e3 * bare}


def prefill(model: wg.LanguageModel, a: argparse.Namespace) -> dict[str, Any]:
    """Tokens a second of a prompt, best of the runs: many, for a card that idles between them takes its time to clock up."""
    decoder = Decoder(model._parts, 1, a.prompt + 1, (model.config.vocab,))
    rng, best = np.random.default_rng(4), np.inf
    for _ in range(10 * a.runs + 1):
        ids = rng.integers(1, model.config.vocab, a.prompt + 1).tolist()
        best = min(best, timed(model, lambda ids=ids: decoder.start([ids], Settings(1))))
    found: dict[str, Any] = {"prefill_tokens_per_second": a.prompt / best}
    if a.profile:
        with Profile(model._device) as profile:
            decoder.start([rng.integers(1, model.config.vocab, a.prompt + 1).tolist()], Settings(1))
        found["prefill_gpu_us_by_kernel"] = by_kernel(profile, 1)
    return found


def measure(path: Path, gpu: wg.GPU, a: argparse.Namespace) -> dict[str, Any]:
    """Return all figures of a file."""
    row: dict[str, Any] = {"model": path.name, "bytes": path.stat().st_size}
    for key in ("load_s", "load_from_cache_s"):
        began = time.perf_counter()
        model = wg.LanguageModel.from_pretrained(path, gpu, progress=False)
        row[key] = time.perf_counter() - began
        if key == "load_s":
            model.free()
    row["right"] = is_right(model, path)
    text, began = "ABCDEFGH", time.perf_counter()
    for _ in iterate(model._tokens([model.tokenizer.encode(text)], Settings(1), streaming=True), TIMEOUT_S):
        pass
    row["first_token_s"] = time.perf_counter() - began
    best = 0.0
    for _ in range(a.runs):
        model._decoder = None
        model.generate(text, a.tokens, timeout=TIMEOUT_S)
        best = max(best, model.stats.decode_tokens_per_second or model.stats.tokens_per_second)
    row["decode_tokens_per_second"] = best
    row |= steps(model, a)
    row |= prefill(model, a)
    if a.bandwidth:
        row["share_of_bandwidth"] = row["bytes"] / row["bare_step_ms"] * 1e3 / (a.bandwidth * 1e12)
    model.free()
    return row


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default="smollm2", choices=sorted(SHAPES))
    parser.add_argument("--format", default="Q4_1", choices=sorted(BLOCKS))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--bandwidth", type=float, help="of the adapter's memory, TB/s")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--output", type=Path)
    a = parser.parse_args()
    gpu = wg.GPU(transport="headless")
    sys.stdout.write(f"{gpu.ready(120).name}, {gpu.info.user_agent}\n")
    with tempfile.TemporaryDirectory() as work:
        path = a.model or Path(work) / f"{a.shapes}.{a.format}.gguf"
        if not a.model:
            make_file(path, SHAPES[a.shapes], a.format)
        row = measure(path, gpu, a)
    if not row["right"]:
        sys.stdout.write("WRONG: other logits than the NumPy twin's\n")
    for key, value in row.items():
        sys.stdout.write(f"{key}: {value:.4g}\n" if isinstance(value, float) else f"{key}: {value}\n")
    if a.output:
        a.output.write_text(json.dumps(row, indent=1) + "\n")
    gpu.close()


if __name__ == "__main__":
    main()
