"""Golden ids for tests/llm: what llama.cpp makes of lines with a SentencePiece vocabulary, of a few hundred pieces and of a real model's.

    python tools/llm/golden_sentencepiece.py tests/llm/data/golden_sentencepiece.json   makes the file
    python tools/llm/golden_sentencepiece.py --check FILE.model                         compares 4,000 lines, with a vocabulary as SentencePiece writes it

Both need sentencepiece and xllamacpp (llama.cpp with its server, 2026.10 was used), in an environment of their own beside this package. The small
vocabulary is trained on the package's own words; Mistral's comes with mistral_common (``data/tokenizer.model.v1``, ``...240323.model.v3``).
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import random
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from webgpu_widget.llm.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]
OWN = ("[INST]", "[/INST]", "\n\n")
"""Tokens of the kind that stands for its text wherever it is."""
FLAGS: tuple[dict[str, bool], ...] = (
    {},
    {"add_space_prefix": False},
    {"add_bos_token": False, "add_eos_token": True},
)
LINES = (
    "Hello world", " hello", "  two", "a</s> b", "<s>x", "x<unk>y", "[INST] hi [/INST]there", "a   b", "\u2581 \u2581\u2581", "\n", "\t\n ",
    "\U0001f44d\U0001f44d", "caf\u00e9 \u4f60\u597d", "<0x41>", "</", "s>", "aaaaaaa", "=======", "\u00a0", "\x00\x7f",
)  # fmt: skip


def _lines(count: int, seed: int) -> list[str]:
    """Return lines of all kinds, runs of one character and fragments of control tokens among them."""
    spec = importlib.util.spec_from_file_location("golden", Path(__file__).with_name("golden.py"))
    assert spec is not None
    assert spec.loader is not None
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    draw = random.Random(seed)  # noqa: S311 - the same lines each time
    found = [*LINES, *golden.lines(count // 2, seed)]
    while len(found) < count:
        if draw.random() < 0.3:
            found.append(draw.choice(" =-#_*a/\n0") * draw.randint(1, 40))
        else:
            found.append("".join(draw.choice("abthe\u2581 =-_#/<s>0x[IN]") for _ in range(draw.randint(1, 40))))
    return found


def train() -> list[tuple[str, float, int]]:
    """Return pieces, their scores and kinds: of a vocabulary that is trained on the package's own words."""
    import sentencepiece

    words = [line for path in sorted((ROOT / "docs").glob("*.md")) for line in path.read_text("utf-8").splitlines()]
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(words), model_writer=made, vocab_size=700, model_type="bpe", byte_fallback=True, character_coverage=0.999,
        normalization_rule_name="identity", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, minloglevel=2,
    )  # fmt: skip
    return [*pieces_of(made.getvalue()), *((text, 0.0, 4) for text in OWN)]


def pieces_of(model: bytes) -> list[tuple[str, float, int]]:
    """Return the pieces of a SentencePiece model, their scores and kinds."""
    import sentencepiece

    read = sentencepiece.SentencePieceProcessor(model_proto=model)
    kinds = {3: read.is_control, 2: read.is_unknown, 6: read.is_byte, 5: read.is_unused}
    return [
        (read.id_to_piece(i), read.get_score(i), next((kind for kind, has in kinds.items() if has(i)), 1))
        for i in range(read.vocab_size())
    ]


def metadata(pieces: list[tuple[str, float, int]], flags: dict[str, bool]) -> dict[str, Any]:
    """Return what a GGUF file says of them."""
    texts, scores, kinds = zip(*pieces, strict=True)
    values = {
        "model": "llama",
        "pre": "default",
        "tokens": list(texts),
        "scores": list(scores),
        "token_type": list(kinds),
    }
    numbers = {"bos_token_id": 1, "eos_token_id": 2, "unknown_token_id": 0}
    return {f"tokenizer.ggml.{key}": value for key, value in {**values, **numbers, **flags}.items()}


class Peer:
    """llama.cpp's server with a model of one layer and this vocabulary."""

    def __init__(self, pieces: list[tuple[str, float, int]], flags: dict[str, bool]) -> None:
        import xllamacpp

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.gguf"
            _write(path, pieces, flags)
            params = xllamacpp.CommonParams()
            params.model.path, params.n_ctx, params.n_parallel, params.warmup = str(path), 64, 1, False
            params.n_gpu_layers, params.cpuparams.n_threads = 0, 1
            self._server = xllamacpp.Server(params)

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        data = json.dumps(body).encode()
        address, head = f"{self._server.listening_address}/{path}", {"Content-Type": "application/json"}
        request = urllib.request.Request(address, data, head)  # noqa: S310 - on loopback
        with urllib.request.urlopen(request) as reply:  # noqa: S310 - as above
            return json.load(reply)

    def ids(self, text: str, *, is_plain: bool) -> list[int]:
        """Return a text's ids, with those that the file puts around it unless it is plain."""
        asked = {"content": text, "add_special": not is_plain, "parse_special": not is_plain}
        return list(self._ask("tokenize", asked)["tokens"])


def _write(path: Path, pieces: list[tuple[str, float, int]], flags: dict[str, bool]) -> None:
    width, writer = 32, gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_context_length(64)
    writer.add_layer_norm_rms_eps(1e-5)
    for key, value in metadata(pieces, flags).items():
        kinds: dict[type, Callable[[str, Any], None]] = {
            bool: writer.add_bool,
            int: writer.add_uint32,
            str: writer.add_string,
        }
        kinds.get(type(value), writer.add_array)(key, value)
    rows = {"token_embd": len(pieces), "blk.0.attn_norm": 0, "blk.0.ffn_norm": 0, "output_norm": 0}
    rows |= {
        f"blk.0.{name}": width
        for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    }
    for name, count in rows.items():
        writer.add_tensor(f"{name}.weight", np.ones((count, width) if count else width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check(path: Path) -> int:
    """Return in how many lines the ids differ from llama.cpp's."""
    pieces = pieces_of(path.read_bytes())
    own, peer = Tokenizer.from_gguf(metadata(pieces, {}), len(pieces), where=path.name), Peer(pieces, {})
    lines = [
        line for name in ("README.md", "CHANGELOG.md") for line in (ROOT / name).read_text("utf-8").splitlines() if line
    ]
    lines = [*_lines(4000, 11), *lines, "\n".join(lines)]
    bad = 0
    for line in lines:
        for is_plain in (False, True):
            wanted, found = peer.ids(line, is_plain=is_plain), own.encode(line, is_plain=is_plain)
            if wanted[:2] == [1, 1]:
                wanted = wanted[1:]  # a line that spells <s>: this package begins with one of them
            if wanted != found:
                bad += 1
                sys.stdout.write(f"{line[:60]!r}: {found[:12]}, and not {wanted[:12]}\n")
    sys.stdout.write(f"{path.name}: {bad} of {2 * len(lines)} differ\n")
    return bad


def main() -> None:
    """Make the file, or check a vocabulary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--check", action="store_true")
    a = parser.parse_args()
    if a.check:
        raise SystemExit(check(a.path) > 0)
    pieces, cases = train(), []
    for flags in FLAGS:
        peer, lines = Peer(pieces, flags), _lines(len(LINES) + 130, 3)
        rows = [[text, peer.ids(text, is_plain=False), peer.ids(text, is_plain=True)] for text in lines]
        cases.append({"flags": flags, "lines": rows})
    made = {"metadata": metadata(pieces, {}), "cases": cases}
    a.path.write_text(json.dumps(made, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
