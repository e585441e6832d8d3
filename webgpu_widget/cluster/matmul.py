"""The product of matrices by blocks.

The result is cut into blocks of ``block`` rows and columns, one task each. A task walks along a row of blocks of A and a column of blocks of B, which the exchange
brings to its browser once, and adds their products to a block that stays on the GPU until it is complete. Browsers are given blocks of the result whose operands they
have, and at first cells of a grid as square as their number allows: what has to be brought then grows with the square root of the number of browsers.
"""

from __future__ import annotations

import math
import uuid
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from distributed import get_worker
from numpy.typing import NDArray

from webgpu_widget import errors
from webgpu_widget.cluster.dask import GarbageError
from webgpu_widget.cluster.exchange import Block, Exchange
from webgpu_widget.cluster.tasks import Flow, Piece
from webgpu_widget.matrix import matmul as multiply

if TYPE_CHECKING:
    from webgpu_widget.array import GPUArray
    from webgpu_widget.cluster.dask import BrowserWorker
    from webgpu_widget.cluster.hub import Member
    from webgpu_widget.cluster.pool import Cluster
    from webgpu_widget.gpu import GPU

__all__ = ["matmul"]

_TOLERANCE = 2e-5
_jobs: weakref.WeakValueDictionary[str, Product] = weakref.WeakValueDictionary()


class Operand:
    """A matrix as blocks."""

    def __init__(self, values: NDArray[np.float32], block: int, name: str) -> None:
        self.rows = -(-values.shape[0] // block)
        self.columns = -(-values.shape[1] // block)
        self.blocks = {
            (i, j): Block(
                f"{name}.{i}.{j}",
                np.ascontiguousarray(values[i * block : (i + 1) * block, j * block : (j + 1) * block]),
            )
            for i in range(self.rows)
            for j in range(self.columns)
        }


class Product:
    """One product under way: what its tasks share in this process."""

    def __init__(self, exchange: Exchange, a: NDArray[np.float32], b: NDArray[np.float32], block: int) -> None:
        self.name = f"matmul-{uuid.uuid4().hex[:10]}"
        self.exchange = exchange
        self.left = Operand(a, block, f"{self.name}.a")
        self.right = Operand(b, block, f"{self.name}.b")
        self.block = block
        self.shape = (a.shape[0], b.shape[1])
        self._check = Check(a, b, block) if np.isfinite(a).all() and np.isfinite(b).all() else None
        _jobs[self.name] = self

    def operands(self, i: int, j: int) -> list[tuple[Block, Block]]:
        """Return the pairs of blocks whose products make block (i, j), in the order in which they are added."""
        return [(self.left.blocks[i, k], self.right.blocks[k, j]) for k in range(self.left.columns)]

    def compute(self, gpu: GPU, member: Member, i: int, j: int) -> NDArray[np.float32]:
        """Compute block (i, j) of the result."""
        total: GPUArray | None = None
        for first, second in self.operands(i, j):
            part = multiply(self.exchange.get(first, member), self.exchange.get(second, member), gpu=gpu)
            total = part if total is None else total + part
            # The browser begins while the next operands are on their way.
            total._buffer()
            gpu._queue.flush()
        assert total is not None  # noqa: S101 - a product has at least one pair
        values = total.numpy(timeout=120.0)
        if self._check is not None:
            self._check(i, j, values)
        return values


class Check:
    """Freivalds' check: a block times a random vector is what A and B make of that vector, or the block is wrong.

    It costs as much as reading the operands. The vector's entries are drawn from an interval, not from two signs, so that errors alike in all
    columns do not cancel: a wrong block passes only when its error is within rounding.
    """

    def __init__(self, a: NDArray[np.float32], b: NDArray[np.float32], block: int) -> None:
        random = np.random.default_rng()
        self._a, self._block = a, block
        vector = random.uniform(0.5, 1.5, (b.shape[1], 1)) * random.choice((-1.0, 1.0), (b.shape[1], 1))
        self._vector = vector.astype(np.float32)
        columns = range(0, b.shape[1], block)
        self._right = [b[:, start : start + block] @ self._vector[start : start + block] for start in columns]
        self._size = [
            np.abs(b[:, start : start + block]) @ np.abs(self._vector[start : start + block]) for start in columns
        ]

    def __call__(self, i: int, j: int, values: NDArray[np.float32]) -> None:
        """Raise `GarbageError` when block (i, j) is wrong."""
        rows = self._a[i * self._block : (i + 1) * self._block]
        expected = rows @ self._right[j]
        # How large the sum of all products' sizes is bounds what rounding can do.
        bound = np.abs(rows) @ self._size[j] * _TOLERANCE + 1e-30
        with np.errstate(invalid="ignore", over="ignore"):
            wrong = ~(np.abs(values @ self._vector[j * self._block : (j + 1) * self._block] - expected) <= bound)
        if wrong.any():
            raise GarbageError(f"block ({i}, {j}) of a product is wrong in {int(wrong.sum())} rows")


def compute_block(gpu: GPU, name: str, i: int, j: int) -> NDArray[np.float32]:
    """Compute a block of a product in a task."""
    product = _jobs.get(name)
    if product is None:
        raise errors.ClusterError(f"the product {name} is over, or it belongs to another process")
    return product.compute(gpu, cast("BrowserWorker", get_worker()).member, i, j)


def grid(n: int) -> tuple[int, int]:
    """Return rows and columns of the squarest grid of ``n`` cells."""
    rows = max(r for r in range(1, math.isqrt(n) + 1) if n % r == 0)
    return rows, n // rows


def chooser(product: Product, members: Sequence[Member]) -> Callable[[Member, Sequence[Piece]], int]:
    """Return how a browser's next block is picked: the one that wants the fewest bytes brought, at first from its own cell of the grid."""
    rows, columns = grid(max(1, len(members)))
    cells = {member.id: divmod(n, columns) for n, member in enumerate(members)}

    def choose(member: Member, pending: Sequence[Piece]) -> int:
        cell = cells.get(member.id)

        def price(position: int) -> tuple[int, bool]:
            _, i, j = pending[position].args
            blocks = {block for pair in product.operands(i, j) for block in pair}
            mine = cell == (i * rows // product.left.rows, j * columns // product.right.columns)
            return sum(product.exchange.missing_bytes(block, member) for block in blocks), not mine

        return min(range(len(pending)), key=price)

    return choose


def matmul(
    cluster: Cluster, a: Any, b: Any, block: int = 1024, progress: bool | Callable[[float], None] = False
) -> NDArray[np.float32]:
    """See `Cluster.matmul`."""
    from webgpu_widget.cluster.views import meter

    left, right = np.asarray(a), np.asarray(b)
    for name, operand in (("a", left), ("b", right)):
        if operand.ndim != 2:
            raise errors.ShapeError(f"{name} has shape {operand.shape}; cluster.matmul multiplies matrices")
        if operand.dtype != np.float32:
            raise errors.DTypeError(f"{name} is {operand.dtype.name}; pass {name}.astype(np.float32)")
    if left.shape[1] != right.shape[0]:
        raise errors.ShapeError(
            f"a has {left.shape[1]} columns and b has {right.shape[0]} rows ({left.shape} @ {right.shape}); they have to be equal"
        )
    if block < 1:
        raise errors.ClusterError(f"block is {block}; it is a positive number of rows")
    out = np.zeros((left.shape[0], right.shape[1]), np.float32)
    if 0 in left.shape or 0 in right.shape:
        return out
    product = Product(cluster._exchange, left, right, block)
    pieces = [
        Piece(i * product.right.columns + j, (product.name, i, j))
        for i in range(product.left.rows)
        for j in range(product.right.columns)
    ]
    try:
        with meter(progress, "blocks", float(len(pieces))) as advance:

            def arrived(piece: Piece, values: NDArray[np.float32]) -> None:
                _, i, j = piece.args
                out[i * block : i * block + values.shape[0], j * block : j * block + values.shape[1]] = values
                advance(1.0)

            Flow(cluster, compute_block, chooser(product, cluster._roster.present("ready"))).run(pieces, arrived)
    finally:
        product.exchange.release([*product.left.blocks.values(), *product.right.blocks.values()])
    return out
