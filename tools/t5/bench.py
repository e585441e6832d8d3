"""Tokens a second of T5 checkpoints in the embedded browser.

    python tools/t5/bench.py [MODEL ...] [--dtypes f32,f16,int8] [--tokens 256] [--torch] [--profile] [--encoder-only] [--widths 0,512] [--output FILE]

A MODEL is a checkpoint's folder, or "small" or "base": random weights in the exact shapes of flan-t5-small or -base, which run to the
limit of tokens. The first tokens are compared with the NumPy twin's in the same run; where they differ, WRONG stands for the rate. Reports per model: load, what a fresh page waits for the first text (kernels compiled), encoder of 512 tokens, tokens a second at
batch 1 (prefill included, and without it) and on a GPU at batch 8, the bare recorded step many times in a queue, and with ``--torch`` (needs torch and
transformers) the difference of its logits from PyTorch's and PyTorch's own speed, eager, on CUDA or the CPU. ``--profile`` adds the GPU time by kernel, of a step and
of an encoding. ``--encoder-only`` times the encoder and nothing else: many encodings in a queue, one alone, and the first of its width (compiled,
measured and recorded). ``--widths`` repeats all with the step's attentions in
fused kernels (`webgpu_widget.nn.fused`) of so many invocations; 0 is a step without them, as CPU adapters have it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from random_checkpoint import SIZES, build
from safetensors.numpy import load_file

import webgpu_widget as wg
from webgpu_widget.kernels.profile import Profile
from webgpu_widget.link.steps import iterate
from webgpu_widget.nn.fused import Fused
from webgpu_widget.nn.sampling import Settings
from webgpu_widget.reference import t5 as reference
from webgpu_widget.t5 import T5

PROMPT = "translate English to German: The house is wonderful and the garden is large, but the street in front of it is loud."
TIMEOUT_S = 300


def by_kernel(profile: Any, repeats: int) -> dict[str, list[Any]]:
    """Dispatches of one of ``repeats``, and GPU microseconds of one dispatch, by kernel."""
    return {
        row.name: [row.dispatches // repeats, row.gpu_ms and round(1e3 * row.gpu_ms / row.dispatches, 2)]
        for row in profile.rows
    }


def encoder_ms(model: T5, rows: int, repeats: int, *, profile: bool) -> dict[str, Any]:
    """Milliseconds of encodings of ``rows`` tokens, many in a queue and one alone; with its dispatches and GPU time by kernel if asked."""
    ids = np.random.default_rng(1).integers(2, model.config.vocab_size, (1, rows))
    model._ready()

    def timed(count: int) -> float:
        model._device.synchronize(TIMEOUT_S)
        began = time.perf_counter()
        for _ in range(count):
            model._encoders.encode(ids, ids != 0)
        model._device.synchronize(TIMEOUT_S)
        return 1e3 * (time.perf_counter() - began) / count

    first = timed(1)
    found: dict[str, Any] = {
        f"encoder_{rows}_first_ms": first,
        f"encoder_{rows}_alone_ms": min(timed(1) for _ in range(min(5, repeats))),
        f"encoder_{rows}_ms": min(timed(repeats) for _ in range(min(3, repeats))),
    }
    if profile:
        with Profile(model._device) as p:
            for _ in range(repeats):
                model._encoders.encode(ids, ids != 0)
        found["encoder_gpu_us_by_kernel"] = kernels = by_kernel(p, repeats)
        found["encoder_dispatches"] = sum(count for count, _ in kernels.values())
        found["encoder_gpu_ms"] = sum(count * (each or 0) for count, each in kernels.values()) / 1e3
    return found


def step_ms(model: T5, tokens: int, *, profile: bool) -> dict[str, Any]:
    """Milliseconds of one bare step, ``tokens`` of them in one message and nothing read back; with the GPU time by kernel if asked."""
    ids = np.array([model.tokenizer.encode(PROMPT, limit=512, truncation=False)])
    model._ready()
    encoded = model._encoders.encode(ids, ids != 0)
    best = np.inf
    with model._decoding(1, 1, -(-ids.shape[1] // 32) * 32, tokens) as decoder:
        for _ in range(3):
            decoder.start(encoded, Settings(tokens))
            model._device.synchronize(TIMEOUT_S)
            began = time.perf_counter()
            decoder.replay(tokens)
            model._device.synchronize(TIMEOUT_S)
            best = min(best, time.perf_counter() - began)
        steps = int(model._device.queue.read([(decoder.state, 4, 4)], TIMEOUT_S)[0].view(np.uint32)[0])
        # after the end token a step returns at once and tells nothing
        found: dict[str, Any] = {"bare_step_ms": 1e3 * best / tokens if steps == tokens else None}
        if profile:
            decoder.start(encoded, Settings(tokens))
            model._device.synchronize(TIMEOUT_S)
            with Profile(model._device) as p:
                decoder.replay(tokens)
            found["gpu_us_by_kernel"] = by_kernel(p, tokens)
    return found


def first_text_s(model: T5) -> float:
    """Seconds to the first text of a model that has just been loaded."""
    began = time.perf_counter()
    for _ in model.stream(PROMPT, max_new_tokens=8, timeout=TIMEOUT_S):
        break
    return time.perf_counter() - began


def tokens_are_right(model: T5, folder: Path, steps: int = 12) -> bool:
    """Whether the first tokens that are chosen for the prompt are those of the NumPy twin on the weights as they are in the file.

    Where the twin's best two logits are closer than what rounding to the model's format may move them, either may be chosen, and nothing after it is compared.
    """
    ids = np.array([model.tokenizer.encode(PROMPT, limit=512, truncation=False)])
    found = list(iterate(model._run([PROMPT], Settings(steps), truncation=False, streaming=False), TIMEOUT_S))
    tokens = found[-1].tokens[0]
    weights = {key: value.astype(np.float32) for key, value in load_file(folder / "model.safetensors").items()}
    target = np.array([[model.config.decoder_start_token_id, *tokens[:-1]]])
    logits = reference.logits(weights, model.config, ids, target)[0]
    slack = {"f32": 1e-4, "f16": 1e-2, "int8": 5e-2}[model._dtype] * float(np.abs(logits).max())
    for row, token in zip(logits, tokens, strict=True):
        if row[token] < row.max() - slack:
            return False
        if token != int(row.argmax()):
            return True
    return True


def speed(model: T5, prompts: str | list[str], tokens: int, runs: int) -> dict[str, float | None]:
    """Best of ``runs`` generations."""
    model.generate(prompts, max_new_tokens=tokens, timeout=TIMEOUT_S)
    best: dict[str, float | None] = {}
    for _ in range(runs):
        model.generate(prompts, max_new_tokens=tokens, timeout=TIMEOUT_S)
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


def measure(
    model: T5, a: argparse.Namespace, name: str, folder: Path, peer_logits: np.ndarray[Any, Any] | None
) -> dict[str, Any]:
    """Return one model's row."""
    fallback = model._device.info.is_fallback
    row: dict[str, Any] = {"model": name, "dtype": model._dtype, "load_s": model.stats.load_s}
    rows = a.encoder_tokens or (32 if fallback else 512)
    if a.encoder_only:
        return row | encoder_ms(model, rows, 1 if fallback else 20, profile=a.profile)
    row["first_text_s"] = first_text_s(model)
    if peer_logits is not None:
        ids = np.arange(5, 37)[None]
        found = model.logits(ids, ids[:, :16], timeout=TIMEOUT_S)
        row["logits_relative_error"] = float(np.linalg.norm(found - peer_logits) / np.linalg.norm(peer_logits))
    row["right"] = tokens_are_right(model, folder)
    row["batch_1"] = speed(model, PROMPT, a.tokens, a.runs)
    row["dispatches_per_token"] = model.stats.dispatches_per_token
    row |= step_ms(model, min(a.tokens, 64), profile=a.profile)
    row |= encoder_ms(model, rows, 1 if fallback else 20, profile=a.profile)
    if not fallback:
        row["batch_8"] = speed(model, [PROMPT] * 8, a.tokens, 1)
    return row


def as_line(row: dict[str, Any]) -> str:
    """Return a row for a reader."""
    if "peer" in row:
        peer = row["peer"]
        return f"{row['model']}: PyTorch {peer['torch']} eager on {peer['device']} {peer['tokens_per_second']:.1f} tokens/s"
    parts = [f"loaded in {row['load_s']:.2f} s"]
    if "batch_1" in row and not row["right"]:
        parts.append("WRONG: other tokens than the NumPy twin's")
    elif "batch_1" in row:
        one = row["batch_1"]
        parts[0] += f", first text {row['first_text_s']:.2f} s later"
        parts.append(f"{one['tokens_per_second']:.1f} tokens/s")
        if one["decode_tokens_per_second"]:
            parts[-1] += f" ({one['decode_tokens_per_second']:.1f} after the first chunk)"
        if row["bare_step_ms"]:
            parts.append(f"a bare step {row['bare_step_ms']:.3f} ms")
        parts.append(f"{row['dispatches_per_token']} dispatches a token")
    for key, alone_ms in row.items():
        if key.startswith("encoder_") and key.endswith("_alone_ms"):
            name = key.removesuffix("_alone_ms")
            parts.append(
                f"encoder of {name.split('_')[1]} tokens {row[f'{name}_ms']:.2f} ms ({alone_ms:.2f} alone, {row[f'{name}_first_ms']:.0f} at first)"
            )
    if "batch_8" in row and row["right"]:
        parts.append(f"batch 8 {row['batch_8']['tokens_per_second']:.0f} tokens/s")
    if "logits_relative_error" in row:
        parts.append(f"logits differ from PyTorch's by {row['logits_relative_error']:.1e}")
    fused = f", fused in workgroups of {row['fused_width']}" if row["fused_width"] else ""
    lines = [f"{row['model']} {row['dtype']}{fused}: " + ", ".join(parts)]
    for title, kernels in (("step", "gpu_us_by_kernel"), ("encoder", "encoder_gpu_us_by_kernel")):
        for name, (count, microseconds) in row.get(kernels, {}).items():
            lines.append(f"  {title} {count:3} {name} {microseconds or 0:8.2f} us each")
    if "encoder_dispatches" in row:
        lines.append(
            f"  encoder {row['encoder_dispatches']} dispatches, {row['encoder_gpu_ms']:.2f} ms of the GPU in all"
        )
    return "\n".join(lines)


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["small", "base"])
    parser.add_argument("--dtypes", default="f32")
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--encoder-only", action="store_true")
    parser.add_argument("--encoder-tokens", type=int, help="512 on a GPU when left out, 32 on a CPU")
    parser.add_argument("--widths", help="workgroup sizes of the fused attentions, 0 for none")
    parser.add_argument("--output", type=Path)
    a = parser.parse_args()
    gpu = wg.GPU(transport="headless")
    report: dict[str, Any] = {"adapter": gpu.ready(120).name, "user_agent": gpu.info.user_agent, "models": []}
    sys.stdout.write(f"{report['adapter']}, {report['user_agent']}\n")

    def note(row: dict[str, Any]) -> None:
        report["models"].append(row)
        sys.stdout.write(as_line(row) + "\n")
        sys.stdout.flush()
        if a.output:
            a.output.write_text(json.dumps(report, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as work:
        for wanted in a.models:
            if wanted in SIZES:
                name, folder = f"flan-t5-{wanted} shapes", build(wanted, Path(work) / wanted)
            else:
                name, folder = Path(wanted).name, Path(wanted)
            peer = torch_peer(folder, min(a.tokens, 128)) if a.torch else None
            for width, dtype in itertools.product(a.widths.split(",") if a.widths else [None], a.dtypes.split(",")):
                if width is not None:
                    Fused.widths = (int(width),) if int(width) else ()
                with T5.from_pretrained(folder, gpu, dtype, progress=False) as model:
                    row = measure(model, a, name, folder, peer[1] if peer else None)
                    note({**row, "fused_width": model._parts.fused.width})
            if peer:
                note({"model": name, "peer": peer[0]})
    gpu.close()


if __name__ == "__main__":
    main()
