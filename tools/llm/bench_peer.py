"""Tokens a second of a language model's file in the browser, ours beside wllama (llama.cpp as WebAssembly), and llama.cpp's own on the same machine.

    cd bench && npm ci && cd .. && python tools/llm/bench_peer.py MODEL.gguf [--tokens 16] [--prompt 64] [--runs 2] [--wllama FOLDER] [--output FILE]

The same file, prompts and Chromium; all go on greedily. wllama (``--wllama`` is its ``esm`` folder) computes on the processor by ``--threads`` threads, ours on
the adapter that is there, which where it is SwiftShader is the same processor. llama.cpp's own figure needs the package xllamacpp. llama.cpp rounds activations
to 8 bits, so that its text may leave ours where two tokens are close: then the margin is looked up in our logits, and where it is over 2.2, which is the most
that rounding was seen to move a logit of SmolLM2, WRONG stands for the rates.
CHROMIUM, CHROMIUM_FLAGS and CHROMIUM_LIBRARY_PATH choose the peer's browser, as in bench/browser.py; the machine's load is printed with the figures.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import webgpu_widget as wg
from webgpu_widget.link.steps import iterate
from webgpu_widget.nn.sampling import Settings

ROOT = Path(__file__).parents[2]
PROMPT = "The capital of France is"
WORDS = "Once upon a time there was a small village by the sea, and "
TIMEOUT_S = 300
MARGIN = 2.2


def collect(folder: Path, limit_s: float) -> Any:
    """Open a folder's page and return what it posts: bench/browser.py does it."""
    spec = importlib.util.spec_from_file_location("browser", ROOT / "bench" / "browser.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.collect(folder, "", limit_s)


def ours(path: Path, long: str, a: argparse.Namespace) -> dict[str, Any]:
    """Return our figures and tokens."""
    gpu = wg.GPU(transport="headless")
    began = time.perf_counter()
    model = wg.LanguageModel.from_pretrained(path, gpu, progress=False)
    row: dict[str, Any] = {
        "load_s": time.perf_counter() - began,
        "adapter": gpu.info.name,
        "browser": gpu.info.user_agent,
    }
    ids = model.tokenizer.encode(PROMPT)
    model.tokenizer.ends = (model.config.vocab,)  # no token, so that nothing ends
    model._decoder = None
    row["decode_tokens_per_second"] = row["prefill_tokens_per_second"] = 0.0
    for _ in range(a.runs):
        *_, last = iterate(model._tokens([ids], Settings(a.tokens), streaming=True), TIMEOUT_S)
        row["tokens"] = last.tokens[0]
        rate = model.stats.decode_tokens_per_second or 0.0
        row["decode_tokens_per_second"] = max(row["decode_tokens_per_second"], rate)
        model._decoder = None
        began, given = time.perf_counter(), model.tokenizer.encode(long)
        list(iterate(model._tokens([given], Settings(1), streaming=False), TIMEOUT_S))
        row["prefill_tokens_per_second"] = max(
            row["prefill_tokens_per_second"], len(given) / (time.perf_counter() - began)
        )
        model._decoder = None
    row["text"] = model.tokenizer.decode(row["tokens"], after=ids)
    row["logits"] = model.logits([*ids, *row["tokens"]], TIMEOUT_S)[0, len(ids) - 1 :]
    row["encode"] = model.tokenizer.encode
    gpu.close()
    return row


def llama_cpp(path: Path, long: str, a: argparse.Namespace) -> dict[str, Any] | None:
    """Return llama.cpp's own figures; None without the package."""
    try:
        import xllamacpp
    except ImportError:
        return None
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.n_gpu_layers = str(path), 2048, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = a.threads
    server = xllamacpp.Server(params)

    def ask(text: str, count: int) -> dict[str, Any]:
        body = {"prompt": text, "n_predict": count, "temperature": 0, "cache_prompt": False, "ignore_eos": True}
        request = urllib.request.Request(f"{server.listening_address}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310 - on loopback  # fmt: skip
        with urllib.request.urlopen(request) as reply:  # noqa: S310 - as above
            return dict(json.load(reply))

    answers = [(ask(PROMPT, a.tokens), ask(long, 1)) for _ in range(a.runs + 1)]
    return {
        "text": answers[-1][0]["content"],
        "decode_tokens_per_second": max(one["timings"]["predicted_per_second"] for one, _ in answers),
        "prefill_tokens_per_second": max(one["timings"]["prompt_per_second"] for _, one in answers),
    }


def agrees(row: dict[str, Any], text: str) -> bool:
    """Whether a peer's text is ours, or leaves it where the tokens are close."""
    mine, peers = row["tokens"], row["encode"](PROMPT + text)[len(row["encode"](PROMPT)) :]
    for i, (one, other) in enumerate(zip(mine, peers, strict=False)):
        if one != other:
            logits = row["logits"][i]
            return bool(logits[one] - logits[other] <= MARGIN)
    return True


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=64, help="words of the long prompt")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2)
    modules = ROOT / "bench" / "node_modules"
    parser.add_argument("--wllama", type=Path, default=modules / "@wllama" / "wllama" / "esm")
    parser.add_argument("--output", type=Path)
    a = parser.parse_args()
    words = WORDS.split()
    long = " ".join(words[i % len(words)] for i in range(a.prompt))
    found = {"ours": ours(a.model, long, a)}
    sys.stdout.write(f"{found['ours']['adapter']}, {found['ours']['browser']}, {a.model.name}\n")
    with tempfile.TemporaryDirectory() as work:
        shutil.copytree(a.wllama, Path(work) / "wllama")
        shutil.copy(Path(__file__).parent / "peer" / "index.html", work)
        (Path(work) / "model.gguf").symlink_to(a.model.resolve())
        meta = {"prompt": PROMPT, "long": long, "tokens": a.tokens, "runs": a.runs, "threads": a.threads}
        (Path(work) / "meta.json").write_text(json.dumps(meta))
        peer = collect(Path(work), 600)
    if peer is None or "failed" in peer:
        raise SystemExit(f"the peer's page failed: {peer}")
    found[f"wllama, {peer['threads']} threads"] = peer
    own = llama_cpp(a.model, long, a)
    if own is not None:
        found[f"llama.cpp, {a.threads} threads"] = own
    for name, row in found.items():
        is_right = agrees(found["ours"], row["text"])
        rates = (
            f"decoding {row['decode_tokens_per_second']:.2f} tokens/s, prompt {row['prefill_tokens_per_second']:.1f}"
        )
        sys.stdout.write(f"{name}: {rates if is_right else 'WRONG: another text'}; {row['text'][:60]!r}\n")
    sys.stdout.write(f"load {' '.join(f'{value:.1f}' for value in os.getloadavg())}\n")
    if a.output:
        kept = {
            name: {key: value for key, value in row.items() if isinstance(value, int | float | str)}
            for name, row in found.items()
        }
        a.output.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
