"""Multiplying what was loaded by the scales beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from webgpu_widget import shaders
from webgpu_widget.shaders.uniforms import uniform
from webgpu_widget.weights.convert import GROUP
from webgpu_widget.weights.scales import grid_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.weights.convert import Part, Target
    from webgpu_widget.weights.tensors import TensorInfo

__all__ = ["multiply"]


def multiply(
    device: Device, tensor: TensorInfo, target: Target, part: Part, buffers: Sequence[Buffer], scales: Buffer
) -> None:
    """Multiply what lies in the buffers of a part of a tensor by its scales (float32), on the GPU and in place."""
    grid = grid_of(tensor.shape, tensor.scale_shape)
    if grid is None or not part.elements:
        return
    count, columns, block_columns, values = part.elements, grid.columns, grid.block_columns, buffers[0]
    if target.dtype in ("int8", "int4"):
        # The product of the scales of its groups; the whole numbers stay.
        count, columns, block_columns, values = count // GROUP, columns // GROUP, block_columns // GROUP, buffers[1]
    halves = target.dtype == "float16"
    first_row = part.first_row * math.prod(tensor.shape[1:-1])
    name = "scale_blocks_f16" if halves else "scale_blocks"
    params = uniform(f"weights/{name}").pack(
        count=count,
        columns=columns,
        rows=grid.rows,
        first_row=first_row,
        block_rows=grid.block_rows,
        block_columns=block_columns,
        scale_columns=grid.scale_columns,
        layer_scales=grid.layer_scales,
    )
    groups = -(-(-(-count // 2) if halves else count) // 64)
    x = min(groups, 32768)
    queue = device.queue
    queue.dispatch(
        queue.pipeline(shaders.load(f"weights/{name}"), name),
        [(0, 0, scales), (0, 1, values), (1, 0, params)],
        (x, -(-groups // x), 1),
    )
