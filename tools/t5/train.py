"""Train the small T5 from scratch in plain PyTorch, with the hub's parameter names, and report exact match on held-out prompts.

    python tools/t5/train.py --tokenizer notebooks/tiny_t5/tokenizer.json --output OUT --seconds 300

Writes model.safetensors (float16), config.json, loss.tsv, report.json and answers.tsv to OUT. Wants a GPU; ``--device cpu --seconds 20``
shows that it runs. The learning rate follows the clock, so that the run ends when it was told to.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import Example, make
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

CONFIG: dict[str, Any] = {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "vocab_size": 640,
    "d_model": 256,
    "d_kv": 64,
    "d_ff": 512,
    "num_heads": 4,
    "num_layers": 4,
    "num_decoder_layers": 4,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "gated-gelu",
    "is_encoder_decoder": True,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
    "dropout_rate": 0.0,
}


class Norm(nn.Module):
    """RMSNorm without bias."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), 1e-6)


def buckets(queries: int, keys: int, *, bidirectional: bool, device: torch.device) -> Tensor:
    """Relative position buckets (32 of them, up to a distance of 128)."""
    distance = torch.arange(keys, device=device)[None, :] - torch.arange(queries, device=device)[:, None]
    count, base = 32, torch.zeros_like(distance)
    if bidirectional:
        count = 16
        base = (distance > 0) * count
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    exact = count // 2
    far = exact + (torch.log(distance.clamp(min=1).float() / exact) / math.log(128 / exact) * (count - exact)).long()
    return base + torch.where(distance < exact, distance, far.clamp(max=count - 1))


class Attention(nn.Module):
    """Attention without scaling; ``bias`` is added to the scores."""

    def __init__(self, has_bias: bool = False) -> None:
        super().__init__()
        d, inner = CONFIG["d_model"], CONFIG["num_heads"] * CONFIG["d_kv"]
        self.q, self.k, self.v = (nn.Linear(d, inner, bias=False) for _ in range(3))
        self.o = nn.Linear(inner, d, bias=False)
        nn.init.normal_(self.q.weight, std=(d * CONFIG["d_kv"]) ** -0.5)
        for layer in (self.k, self.v):
            nn.init.normal_(layer.weight, std=d**-0.5)
        nn.init.normal_(self.o.weight, std=inner**-0.5)
        if has_bias:
            self.relative_attention_bias = nn.Embedding(32, CONFIG["num_heads"])
            nn.init.normal_(self.relative_attention_bias.weight, std=d**-0.5)

    def forward(self, x: Tensor, source: Tensor, bias: Tensor) -> Tensor:
        def heads(y: Tensor) -> Tensor:
            return y.view(y.shape[0], y.shape[1], CONFIG["num_heads"], CONFIG["d_kv"]).transpose(1, 2)

        scores = heads(self.q(x)) @ heads(self.k(source)).transpose(2, 3)
        out = torch.softmax(scores.float() + bias, -1).to(scores.dtype) @ heads(self.v(source))
        return self.o(out.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Gated GELU (tanh form)."""

    def __init__(self) -> None:
        super().__init__()
        d, inner = CONFIG["d_model"], CONFIG["d_ff"]
        self.wi_0, self.wi_1, self.wo = (
            nn.Linear(d, inner, bias=False),
            nn.Linear(d, inner, bias=False),
            nn.Linear(inner, d, bias=False),
        )
        for layer, width in ((self.wi_0, d), (self.wi_1, d), (self.wo, inner)):
            nn.init.normal_(layer.weight, std=width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.wo(functional.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x))


class Sublayer(nn.Module):
    """A norm before ``name``, and a residual around both."""

    def __init__(self, name: str, inner: nn.Module) -> None:
        super().__init__()
        self.layer_norm = Norm(CONFIG["d_model"])
        self.name = name
        self.add_module(name, inner)

    def forward(self, x: Tensor, *rest: Tensor) -> Tensor:
        return x + getattr(self, self.name)(self.layer_norm(x), *rest)


class SelfSublayer(Sublayer):
    """Self-attention: keys come from the normed input too."""

    def forward(self, x: Tensor, *rest: Tensor) -> Tensor:
        normed = self.layer_norm(x)
        return x + getattr(self, self.name)(normed, normed, *rest)


class Block(nn.Module):
    """One layer of the encoder, or of the decoder with its cross-attention."""

    def __init__(self, first: bool, decoder: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [SelfSublayer("SelfAttention", Attention(first))]
        if decoder:
            layers.append(Sublayer("EncDecAttention", Attention()))
        layers.append(Sublayer("DenseReluDense", FeedForward()))
        self.layer = nn.ModuleList(layers)


class Stack(nn.Module):
    """The encoder or the decoder."""

    def __init__(self, decoder: bool) -> None:
        super().__init__()
        self.decoder = decoder
        self.block = nn.ModuleList([Block(i == 0, decoder) for i in range(CONFIG["num_layers"])])
        self.final_layer_norm = Norm(CONFIG["d_model"])

    def forward(self, x: Tensor, mask: Tensor, encoded: Tensor | None = None) -> Tensor:
        """``mask`` (batch, source) is True where the source is text."""
        length = x.shape[1]
        index = buckets(length, length, bidirectional=not self.decoder, device=x.device)
        table = self.block[0].layer[0].SelfAttention.relative_attention_bias.weight
        hot = (index[..., None] == torch.arange(table.shape[0], device=x.device)).to(table.dtype)
        bias = (hot @ table).permute(2, 0, 1)[None].to(x.dtype)
        closed = torch.zeros(mask.shape, dtype=x.dtype, device=x.device).masked_fill(~mask, -30000.0)[:, None, None, :]
        if self.decoder:
            later = torch.full((length, length), -30000.0, dtype=x.dtype, device=x.device).triu(1)
            self_bias = (bias + later).expand(x.shape[0], -1, -1, -1)
        else:
            self_bias = bias + closed
        for block in self.block:
            x = block.layer[0](x, self_bias)
            if self.decoder:
                x = block.layer[1](x, encoded, closed)
            x = block.layer[-1](x)
        return self.final_layer_norm(x)


class Model(nn.Module):
    """T5 v1.1."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Embedding(CONFIG["vocab_size"], CONFIG["d_model"])
        self.register_buffer("codes", torch.arange(CONFIG["vocab_size"]), persistent=False)
        nn.init.normal_(self.shared.weight, std=1.0)
        self.encoder, self.decoder = Stack(decoder=False), Stack(decoder=True)
        self.lm_head = nn.Linear(CONFIG["d_model"], CONFIG["vocab_size"], bias=False)
        nn.init.normal_(self.lm_head.weight, std=CONFIG["d_model"] ** -0.5)

    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings as a product with one-hot rows: its gradient is a product too, and can be captured."""
        return ((ids[..., None] == self.codes).to(self.shared.weight.dtype) @ self.shared.weight).float()

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        mask = source != 0
        encoded = self.encoder(self.embed(source), mask)
        return self.lm_head(self.decoder(self.embed(target_in), mask, encoded))


def _padded(tokenizer: Tokenizer, texts: list[str], width: int) -> np.ndarray:
    out = np.zeros((len(texts), width), np.int16)
    for start in range(0, len(texts), 100_000):
        encodings = tokenizer.encode_batch(texts[start : start + 100_000])
        for row, encoding in enumerate(encodings, start):
            ids = encoding.ids[:width]
            out[row, : len(ids)] = ids
    return out


def _worker(job: tuple[int, int, bool, str]) -> tuple[np.ndarray, np.ndarray]:
    count, seed, held_out, path = job
    examples = make(count, seed=seed, held_out=held_out)
    tokenizer = Tokenizer.from_file(path)
    return _padded(tokenizer, [e.prompt for e in examples], 48), _padded(tokenizer, [e.answer for e in examples], 32)


def _groups(
    source: Tensor, target: Tensor, batch: int, generator: torch.Generator
) -> dict[tuple[int, int], list[Tensor]]:
    """Batches of row numbers by padded shape: few shapes, so that each is captured once."""

    def ceiling(lengths: Tensor, widths: tuple[int, ...]) -> Tensor:
        steps = torch.tensor(widths)
        return steps[torch.searchsorted(steps, lengths)]

    ws = ceiling((source != 0).sum(1), (16, 24, 48))
    wt = ceiling((target != 0).sum(1), (8, 16, 32))
    groups: dict[tuple[int, int], list[Tensor]] = {}
    for s, t in sorted({(int(p) // 100, int(p) % 100) for p in (ws * 100 + wt).unique()}):
        rows = ((ws == s) & (wt == t)).nonzero()[:, 0]
        rows = rows[torch.randperm(len(rows), generator=generator)]
        full = [rows[i : i + batch] for i in range(0, len(rows) - batch + 1, batch)]
        if full:
            groups[s, t] = full
    return groups


class Trainer:
    """AdamW steps; on a GPU each batch shape is one captured graph, since launching the small kernels one by one takes ten times as long."""

    def __init__(self, model: Model, batch: int, rate: float) -> None:
        self.model, self.batch = model, batch
        self.device = next(model.parameters()).device
        self.on_gpu = self.device.type == "cuda"
        decay = [p for p in model.parameters() if p.ndim > 1]
        plain = [p for p in model.parameters() if p.ndim == 1]
        self.rate = torch.tensor(rate, device=self.device)
        self.optimizer = torch.optim.AdamW(
            [{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
            lr=self.rate if self.on_gpu else rate, betas=(0.9, 0.98), fused=self.on_gpu, capturable=self.on_gpu,
        )  # fmt: skip
        self.total, self.count = torch.zeros((), device=self.device), 0
        self.graphs: dict[tuple[int, int], tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}
        self.gradients: dict[tuple[int, int], list[Tensor]] = {}
        self.replays: dict[tuple[int, int], int] = {}
        self.pool = torch.cuda.graph_pool_handle() if self.on_gpu else None
        self.warm = 0

    def _run(self, x: Tensor, y: Tensor) -> None:
        x, y = x.long(), y.long()
        y_in = functional.pad(y, (1, 0))[:, :-1]
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            logits = self.model(x, y_in)
        loss = functional.cross_entropy(logits.float().flatten(0, 1), y.flatten(), ignore_index=0)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.total += loss.detach()

    def step(self, x: Tensor, y: Tensor, rate: float) -> None:
        """One step on a batch of source and target ids."""
        self.count += 1
        if not self.on_gpu:
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.zero_grad(set_to_none=True)
            self._run(x, y)
            return
        self.rate.fill_(rate)
        shape = (x.shape[1], y.shape[1])
        if self.warm < 5:
            self.warm += 1
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self.optimizer.zero_grad(set_to_none=True)
                self._run(x, y)
            torch.cuda.current_stream().wait_stream(side)
            return
        if shape not in self.graphs:
            graph, static_x, static_y = torch.cuda.CUDAGraph(), x.clone(), y.clone()
            self.optimizer.zero_grad(set_to_none=True)
            torch.cuda.synchronize()
            with torch.cuda.graph(graph, pool=self.pool):
                self._run(static_x, static_y)
            self.graphs[shape] = graph, static_x, static_y
            self.gradients[shape] = [p.grad for p in self.model.parameters()]
        graph, static_x, static_y = self.graphs[shape]
        static_x.copy_(x)
        static_y.copy_(y)
        self.replays[shape] = self.replays.get(shape, 0) + 1
        if self.replays[shape] == 1:
            self._check(shape)
        else:
            graph.replay()

    def _check(self, shape: tuple[int, int]) -> None:
        """Replay a capture and compare its gradients with eager float32 ones; end the run when they differ."""
        graph, x, y = self.graphs[shape]
        other = copy.deepcopy(self.model)
        other.zero_grad(set_to_none=True)
        logits = other(x.long(), functional.pad(y.long(), (1, 0))[:, :-1])
        functional.cross_entropy(logits.flatten(0, 1), y.long().flatten(), ignore_index=0).backward()
        graph.replay()
        ours = torch.cat([g.flatten() for g in self.gradients[shape]])
        theirs = torch.cat([p.grad.flatten() for p in other.parameters()])
        cosine = functional.cosine_similarity(ours, theirs, dim=0).item()
        parts = {
            name.split(".")[0] + " bias": round(
                functional.cosine_similarity(g.flatten(), p.grad.flatten(), dim=0).item(), 4
            )
            for g, (name, p) in zip(self.gradients[shape], other.named_parameters(), strict=True)
            if "relative_attention_bias" in name
        }
        print(f"captured {shape}: gradients agree to {cosine:.5f}, {parts}", flush=True)
        if (
            not cosine > 0.9 and sum(self.replays.values()) < 100
        ):  # later, rounding to bfloat16 outweighs small gradients
            raise SystemExit("the captured step computes other gradients than the eager one")

    def mean_loss(self) -> float:
        """Mean since the last call."""
        mean = self.total.item() / self.count
        self.total.zero_()
        self.count = 0
        return mean


@torch.no_grad()
def answers(model: Model, tokenizer: Tokenizer, prompts: list[str], device: torch.device) -> list[str]:
    """Greedy answers, uncached."""
    out: list[str] = []
    for start in range(0, len(prompts), 1024):
        source = torch.from_numpy(_padded(tokenizer, prompts[start : start + 1024], 48)).long().to(device)
        mask = source != 0
        encoded = model.encoder(model.embed(source), mask)
        target = torch.zeros(len(source), 1, dtype=torch.long, device=device)
        done = torch.zeros(len(source), dtype=torch.bool, device=device)
        for _ in range(40):
            logits = model.lm_head(model.decoder(model.embed(target), mask, encoded)[:, -1])
            token = logits.argmax(-1).masked_fill(done, 0)
            done |= token == 1
            target = torch.cat([target, token[:, None]], 1)
            if bool(done.all()):
                break
        out += tokenizer.decode_batch(target.tolist(), skip_special_tokens=True)
    return out


def evaluate(
    model: Model, tokenizer: Tokenizer, examples: list[Example], device: torch.device
) -> tuple[dict[str, float], list[str]]:
    """Exact match by task and over all, and the answers."""
    given = answers(model, tokenizer, [e.prompt for e in examples], device)
    hits: dict[str, list[bool]] = {}
    for example, answer in zip(examples, given, strict=True):
        hits.setdefault(example.task, []).append(answer == example.answer)
    every = [hit for task in hits.values() for hit in task]
    rates = {task: sum(rows) / len(rows) for task, rows in sorted(hits.items())}
    return {"all": sum(every) / len(every), **rates}, given


def main() -> None:
    """Train, evaluate, save."""
    parser = argparse.ArgumentParser(description="Train the small T5.")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--examples", type=int, default=3_000_000)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--test-examples", type=int, default=4000)
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from")
    parser.add_argument("--device", default="cuda")
    a = parser.parse_args()
    device = torch.device(a.device)
    a.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    tokenizer = Tokenizer.from_file(str(a.tokenizer))
    assert tokenizer.get_vocab_size() <= CONFIG["vocab_size"]
    began = time.perf_counter()
    jobs = [(a.examples // (4 * a.processes), 1000 + i, False, str(a.tokenizer)) for i in range(4 * a.processes)]
    with multiprocessing.get_context("spawn").Pool(a.processes) as pool:
        pairs = pool.map(_worker, jobs, chunksize=1)
    source, target = (torch.from_numpy(np.concatenate([pair[i] for pair in pairs])) for i in range(2))
    groups = _groups(source, target, a.batch, torch.Generator().manual_seed(0))
    source, target = source.to(device), target.to(device)
    print(
        f"{len(source)} examples in {time.perf_counter() - began:.1f} s, batches { ({k: len(v) for k, v in groups.items()}) }",
        flush=True,
    )
    model = Model().to(device)
    if a.start:
        model.load_state_dict({name: value.float() for name, value in load_file(str(a.start)).items()})
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters", flush=True)
    trainer = Trainer(model, a.batch, a.rate)
    log: list[str] = ["step\tseconds\tloss"]
    schedule: list[tuple[tuple[int, int], Tensor]] = []
    began, step = time.perf_counter(), 0
    while (spent := time.perf_counter() - began) < a.seconds:
        if not schedule:
            every = [(shape, rows) for shape, batches in groups.items() for rows in batches]
            schedule = [every[i] for i in torch.randperm(len(every)).tolist()]
        (ws, wt), rows = schedule.pop()
        rows = rows.to(device, non_blocking=True)
        rate = (
            a.rate
            * min(1.0, (step + 1) / 400)
            * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, spent / a.seconds))))
        )
        trainer.step(source[rows, :ws], target[rows, :wt], rate)
        step += 1
        if step % 100 == 0:
            log.append(f"{step}\t{time.perf_counter() - began:.2f}\t{trainer.mean_loss():.5f}")
            if step % 500 == 0 or step == 100:
                print(log[-1], flush=True)
    print(f"{step} steps of {a.batch}", flush=True)
    (a.output / "loss.tsv").write_text("\n".join(log) + "\n")
    state = {name: value.detach().half().contiguous().cpu() for name, value in model.state_dict().items()}
    save_file(state, str(a.output / "model.safetensors"), metadata={"format": "pt"})
    (a.output / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    model.load_state_dict({name: value.float() for name, value in state.items()})
    held_out = make(a.test_examples, seed=7, held_out=True)
    torch.set_float32_matmul_precision("highest")
    rates, given = evaluate(model, tokenizer, held_out, device)
    report = {
        "parameters": parameters,
        "steps": step,
        "batch": a.batch,
        "training_examples": len(source),
        "training_seconds": a.seconds,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "held_out_prompts": len(held_out),
        "exact_match": rates,
    }
    (a.output / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    wrong = ["\t".join((*e, g)) for e, g in zip(held_out, given, strict=True) if e.answer != g]
    (a.output / "wrong.tsv").write_text("\n".join(wrong) + "\n")
    print(json.dumps(report, indent=1), flush=True)


if __name__ == "__main__":
    main()
