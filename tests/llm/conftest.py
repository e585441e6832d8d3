from __future__ import annotations

import gguf
import numpy as np
import pytest

VOCAB = 64


@pytest.fixture(scope="session")
def make_file(tmp_path_factory):
    """Write small random models as GGUF files: each matrix in a format of the file's own writer, what it decodes to beside it."""
    folder = tmp_path_factory.mktemp("llm")

    def make(
        rng,
        kind="Q8_0",
        *,
        heads=4,
        kv_heads=2,
        head_width=16,
        layers=2,
        context=512,
        is_tied=True,
        change=None,
        architecture="llama",
        tokens=VOCAB,
        wrong=(),
        kinds=(),
        spoil="",
        tokenizer=None,
    ):
        vocab = len(tokenizer["tokenizer.ggml.tokens"]) if tokenizer else VOCAB
        width, hidden, path = 64, 96, folder / f"{rng.integers(2**62)}.gguf"
        writer = gguf.GGUFWriter(path, architecture)
        writer.add_block_count(layers)
        writer.add_embedding_length(width)
        writer.add_feed_forward_length(hidden)
        writer.add_head_count(heads)
        writer.add_head_count_kv(kv_heads)
        writer.add_key_length(head_width)
        writer.add_rope_freq_base(1000.0)
        writer.add_context_length(context)
        writer.add_layer_norm_rms_eps(1e-5)
        texts = ["<|endoftext|>", "<|im_end|>", *(chr(ord("!") + i) for i in range(VOCAB - 2))][:tokens]
        said = {"model": "gpt2", "pre": "smollm", "tokens": texts, "token_type": [3, 3] + [1] * (tokens - 2), "merges": [], "eos_token_id": 1}  # fmt: skip
        for key, value in (tokenizer or {f"tokenizer.ggml.{key}": value for key, value in said.items()}).items():
            kinds_of = {bool: writer.add_bool, int: writer.add_uint32, str: writer.add_string}
            kinds_of.get(type(value), writer.add_array)(key, value)
        shapes = {"token_embd.weight": (vocab, width), "output_norm.weight": (width,)}
        if not is_tied:
            shapes["output.weight"] = (vocab, width)
        for i in range(layers):
            shapes |= {f"blk.{i}.{name}.weight": shape for name, shape in {
                "attn_norm": (width,), "attn_q": (heads * head_width, width), "attn_k": (kv_heads * head_width, width),
                "attn_v": (kv_heads * head_width, width), "attn_output": (width, heads * head_width), "ffn_norm": (width,),
                "ffn_gate": (hidden, width), "ffn_up": (hidden, width), "ffn_down": (width, hidden),
            }.items()}  # fmt: skip
        if architecture == "qwen2":
            shapes |= {
                name.replace("weight", "bias"): shape[:1]
                for name, shape in list(shapes.items())
                if name.split(".")[-2] in ("attn_q", "attn_k", "attn_v")
            }
        if architecture == "qwen3":
            shapes |= {f"blk.{i}.attn_{part}_norm.weight": (head_width,) for i in range(layers) for part in "qk"}
        weights = {}
        for name, shape in {**shapes, **dict(wrong)}.items():
            values = (rng.normal(size=shape) / (4 if len(shape) == 2 else 1)).astype(np.float32)
            if name == spoil:
                values[0] = np.inf
            stored = gguf.GGMLQuantizationType["F32" if len(shape) == 1 else dict(kinds).get(name, kind)]
            raw = gguf.quants.quantize(values, stored)
            weights[name] = gguf.quants.dequantize(raw, stored).astype(np.float64)
            if change is None or change(name):
                writer.add_tensor(name, raw, raw_dtype=stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path, weights

    return make
