"""One decoding step of a T5 checkpoint as an ONNX graph, for onnxruntime-web.

Why this and not transformers.js: that library runs the same onnxruntime-web, but only checkpoints in an export of its own layout (an encoder
and a "merged" decoder, whose ``If`` chooses between the first step and the cached ones), and it reads each step's logits back to choose in
JavaScript. Here the cached step stands alone, caches and the source's keys and values stay on the GPU, and the graph ends with the greedy
choice, so that 8 bytes a step come back: the runtime's own speed, which transformers.js can only stay below.

Needs the package onnx. Inputs: ``token`` (1), ``bias`` (1, heads, 1, past + 1), and per layer ``k``, ``v`` (1, heads, past, d) and the
source's ``ck`` (1, heads, d, source), ``cv`` (1, heads, source, d). Outputs: ``next`` (1, 1) and per layer ``nk``, ``nv``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webgpu_widget.t5.config import T5Config


class Graph:
    """Nodes and initializers as they are made."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._count = 0

    def constant(self, values: np.ndarray[Any, Any] | np.float32) -> str:
        """Add an initializer."""
        self._count += 1
        name = f"c{self._count}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        """Add a node; returns its output."""
        self._count += 1
        name = to or f"t{self._count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


def build(config: T5Config, weights: Mapping[str, np.ndarray[Any, Any]], source: int) -> onnx.ModelProto:
    """Return the model; ``weights`` are float32."""
    g, c = Graph(), config
    heads, width = c.num_heads, c.d_kv
    apart, together = (
        g.constant(np.array([1, 1, heads, width], np.int64)),
        g.constant(np.array([1, 1, heads * width], np.int64)),
    )
    epsilon = g.constant(np.float32(c.layer_norm_epsilon))

    def matrix(name: str) -> str:
        return g.constant(weights[name].T)

    def norm(x: str, name: str) -> str:
        mean = g.add("ReduceMean", g.add("Mul", x, x), axes=[-1], keepdims=1)
        scaled = g.add("Div", x, g.add("Sqrt", g.add("Add", mean, epsilon)))
        return g.add("Mul", scaled, g.constant(weights[name]))

    def by_head(x: str) -> str:
        return g.add("Transpose", g.add("Reshape", x, apart), perm=[0, 2, 1, 3])

    def out(shares: str, v: str, name: str) -> str:
        rows = g.add("Reshape", g.add("Transpose", g.add("MatMul", shares, v), perm=[0, 2, 1, 3]), together)
        return g.add("MatMul", rows, matrix(name))

    def gelu(x: str) -> str:
        cube = g.add("Mul", g.add("Mul", g.add("Mul", x, x), x), g.constant(np.float32(0.044715)))
        inner = g.add("Tanh", g.add("Mul", g.add("Add", x, cube), g.constant(np.float32(np.sqrt(2 / np.pi)))))
        return g.add(
            "Mul", g.add("Mul", x, g.constant(np.float32(0.5))), g.add("Add", inner, g.constant(np.float32(1)))
        )

    def value(name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    inputs = [value("token", [1, 1], TensorProto.INT32), value("bias", [1, heads, 1, "total"])]
    outputs = [value("next", [1, 1], TensorProto.INT64)]
    x = g.add("Gather", g.constant(weights["shared.weight"]), "token")
    for i in range(c.num_decoder_layers):
        block = f"decoder.block.{i}.layer"
        own, cross, last = f"{block}.0.SelfAttention", f"{block}.1.EncDecAttention", f"{block}.2.DenseReluDense"
        inputs += [value(f"{part}{i}", [1, heads, "past", width]) for part in "kv"]
        inputs += [value(f"ck{i}", [1, heads, width, source]), value(f"cv{i}", [1, heads, source, width])]
        outputs += [value(f"n{part}{i}", [1, heads, "total", width]) for part in "kv"]
        y = norm(x, f"{block}.0.layer_norm.weight")
        q, k, v = (by_head(g.add("MatMul", y, matrix(f"{own}.{part}.weight"))) for part in "qkv")
        k = g.add("Concat", f"k{i}", k, axis=2, to=f"nk{i}")
        v = g.add("Concat", f"v{i}", v, axis=2, to=f"nv{i}")
        scores = g.add("Add", g.add("MatMul", q, g.add("Transpose", k, perm=[0, 1, 3, 2])), "bias")
        x = g.add("Add", x, out(g.add("Softmax", scores, axis=-1), v, f"{own}.o.weight"))
        q = by_head(g.add("MatMul", norm(x, f"{block}.1.layer_norm.weight"), matrix(f"{cross}.q.weight")))
        shares = g.add("Softmax", g.add("MatMul", q, f"ck{i}"), axis=-1)
        x = g.add("Add", x, out(shares, f"cv{i}", f"{cross}.o.weight"))
        y = norm(x, f"{block}.2.layer_norm.weight")
        gate = gelu(g.add("MatMul", y, matrix(f"{last}.wi_0.weight")))
        inner = g.add("Mul", gate, g.add("MatMul", y, matrix(f"{last}.wi_1.weight")))
        x = g.add("Add", x, g.add("MatMul", inner, matrix(f"{last}.wo.weight")))
    logits = g.add("MatMul", norm(x, "decoder.final_layer_norm.weight"), matrix("lm_head.weight"))
    g.add("ArgMax", logits, axis=-1, keepdims=0, to="next")
    graph = helper.make_graph(g.nodes, "t5 step", inputs, outputs, g.initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
