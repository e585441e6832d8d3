"""The model's matrices and norms on the GPU, each made when it is first wanted, so that the encoder runs while the decoder still loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from webgpu_widget.nn import layers
from webgpu_widget.nn.fused import Fused
from webgpu_widget.nn.layers import Attention, FeedForward
from webgpu_widget.t5.positions import bias_table

if TYPE_CHECKING:
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.nn.kernels import Kernels, Matrix
    from webgpu_widget.t5.config import T5Config
    from webgpu_widget.t5.source import Tensors

__all__ = ["DecoderLayer", "EncoderLayer", "Parts"]


@dataclass(frozen=True)
class EncoderLayer:
    """Self-attention and feed-forward."""

    attention: Attention
    feed_forward: FeedForward


@dataclass(frozen=True)
class DecoderLayer:
    """Self-attention, cross-attention (``cross.into`` is q alone), the source's stacked k and v, and feed-forward.

    ``vectors`` are those of both attentions for the kernels of `Fused`, where the adapter is for them.
    """

    attention: Attention
    cross: Attention
    source: Matrix
    feed_forward: FeedForward
    vectors: tuple[Buffer, Buffer] | None


class Parts(layers.Parts["Tensors"]):
    """Layers by number.

    Parameters
    ----------
    kernels
        What brings matrices into their format.
    config
        Of the model.
    tensors
        The checkpoint's tensors by name; asking for one waits for that one alone.
    """

    def __init__(self, kernels: Kernels, config: T5Config, tensors: Tensors) -> None:
        super().__init__(kernels, tensors)
        self.config = config
        self.fused = Fused(kernels)
        self._encoder: dict[int, EncoderLayer] = {}
        self._decoder: dict[int, DecoderLayer] = {}
        self._single: dict[str, Matrix] = {}
        self._bias: dict[str, Buffer] = {}

    @property
    def embedding(self) -> Matrix:
        """The shared embedding."""
        if "shared" not in self._single:
            self._single["shared"] = self.matrix("shared.weight")
        return self._single["shared"]

    @property
    def head(self) -> Matrix:
        """The vocabulary projection: the shared embedding itself where the checkpoint has no other."""
        if not self.tensors.has_head:
            return self.embedding
        if "head" not in self._single:
            self._single["head"] = self.matrix("lm_head.weight")
        return self._single["head"]

    def bias(self, stack: str) -> Buffer:
        """Position bias by head and clamped distance."""
        if stack not in self._bias:
            name = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
            table = self.tensors[name].numpy()
            self.tensors.release([name])
            values = bias_table(
                table, bidirectional=stack == "encoder", max_distance=self.config.relative_attention_max_distance
            )
            queue = self.kernels.queue
            self._bias[stack] = queue.alloc(values.nbytes, label="position bias")
            queue.write(self._bias[stack], values)
        return self._bias[stack]

    def _attention(self, prefix: str, name: str, parts: str) -> Attention:
        return Attention(
            self.gain(f"{prefix}.layer_norm.weight"),
            self.matrix(*(f"{prefix}.{name}.{part}.weight" for part in parts)),
            self.matrix(f"{prefix}.{name}.o.weight"),
        )

    def _feed_forward(self, prefix: str) -> FeedForward:
        names = ("wi_0", "wi_1") if self.config.is_gated else ("wi",)
        return FeedForward(
            self.gain(f"{prefix}.layer_norm.weight"),
            self.matrix(*(f"{prefix}.DenseReluDense.{part}.weight" for part in names)),
            self.matrix(f"{prefix}.DenseReluDense.wo.weight"),
        )

    def encoder(self, i: int) -> EncoderLayer:
        """Layer ``i`` of the encoder, waiting for its tensors."""
        if i not in self._encoder:
            block = f"encoder.block.{i}.layer"
            self._encoder[i] = EncoderLayer(
                self._attention(f"{block}.0", "SelfAttention", "qkv"), self._feed_forward(f"{block}.1")
            )
        return self._encoder[i]

    def decoder(self, i: int) -> DecoderLayer:
        """Layer ``i`` of the decoder, waiting for its tensors."""
        if i not in self._decoder:
            block = f"decoder.block.{i}.layer"
            cross = f"{block}.1.EncDecAttention"
            own = self._attention(f"{block}.0", "SelfAttention", "qkv")
            other = self._attention(f"{block}.1", "EncDecAttention", "q")
            vectors = None
            if self.fused.width:
                vectors = self.fused.vectors(own.out, self.bias("decoder")), self.fused.vectors(other.out)
            self._decoder[i] = DecoderLayer(
                own,
                other,
                self.matrix(f"{cross}.k.weight", f"{cross}.v.weight"),
                self._feed_forward(f"{block}.2"),
                vectors,
            )
        return self._decoder[i]

    def load_encoder(self) -> None:
        """Wait for the encoder."""
        _ = self.embedding
        self.bias("encoder")
        for i in range(self.config.num_layers):
            self.encoder(i)
        self.gain("encoder.final_layer_norm.weight")

    def load_decoder(self) -> None:
        """Wait for the decoder."""
        self.bias("decoder")
        for i in range(self.config.num_decoder_layers):
            self.decoder(i)
        self.gain("decoder.final_layer_norm.weight")
        _ = self.embedding, self.head
