"""The product of matrices by blocks.

The result is cut into blocks of ``block`` rows and columns, one task each. A task walks along a row of blocks of A and a column of blocks of B, which the exchange
brings to its browser once, and adds their products to a block that stays on the GPU until it is complete. Browsers are given blocks of the result whose operands they
have, and at first cells of a grid as square as their number allows: what has to be brought then grows with the square root of the number of browsers.

Of a browser's two tasks the second brings nothing before the first has all its operands: so the first is done sooner and is read back while the second computes.
"""

from __future__ import annotations

import math
import threading
import uuid
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from distributed import get_worker
from numpy.typing import NDArray

from webgpu_widget import errors
from webgpu_widget.arrays.matrix import matmul as multiply
from webgpu_widget.cluster.dask import GarbageError
from webgpu_widget.cluster.exchange import Block, Exchange
from webgpu_widget.cluster.tasks import Flow, Piece
from webgpu_widget.device.default import as_device

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.cluster.dask import BrowserWorker
    from webgpu_widget.cluster.hub import Member
    from webgpu_widget.cluster.pool import Cluster
    from webgpu_widget.device.device import Device
    from webgpu_widget.gpu import GPU

__all__ = ["matmul"]

_TOLERANCE = 2e-5
_DEPTH = 512
"""Most columns of a block of A: the thinner it is, the sooner all browsers have something to do."""
_jobs: weakref.WeakValueDictionary[str, Product] = weakref.WeakValueDictionary()


class Operand:
    """A matrix as blocks of some height and width; they are copied when they are sent, not before."""

    def __init__(self, values: NDArray[np.float32], height: int, width: int, name: str) -> None:
        self.rows = -(-values.shape[0] // height)
        self.columns = -(-values.shape[1] // width)
        self.blocks = {
            (i, j): Block(f"{name}.{i}.{j}", values[i * height : (i + 1) * height, j * width : (j + 1) * width])
            for i in range(self.rows)
            for j in range(self.columns)
        }


class Product:
    """One product under way: what its tasks share in this process."""

    def __init__(self, exchange: Exchange, a: NDArray[np.float32], b: NDArray[np.float32], block: int) -> None:
        self.name = f"matmul-{uuid.uuid4().hex[:10]}"
        self.exchange = exchange
        depth = min(block, _DEPTH)
        self.left = Operand(a, block, depth, f"{self.name}.a")
        self.right = Operand(b, depth, block, f"{self.name}.b")
        self._check = Check(a, b, block)
        self._turns: dict[str, threading.Lock] = {}
        _jobs[self.name] = self

    def operands(self, i: int, j: int) -> list[tuple[Block, Block]]:
        """Return the pairs of blocks whose products make block (i, j), in the order in which they are added."""
        return [(self.left.blocks[i, k], self.right.blocks[k, j]) for k in range(self.left.columns)]

    def compute(self, device: Device, member: Member, i: int, j: int) -> NDArray[np.float32]:
        """Compute block (i, j) of the result."""
        total: GPUArray | None = None
        with self._turns.setdefault(member.id, threading.Lock()):
            for first, second in self.operands(i, j):
                part = multiply(self.exchange.get(first, member), self.exchange.get(second, member))
                total = part if total is None else total + part
                # The browser begins while the next operands are on their way.
                total._buffer()
                device.queue.flush()
        assert total is not None  # noqa: S101 - a product has at least one pair
        values = total.numpy(timeout=120.0)
        self._check(i, j, values)
        return values


class Check:
    """Freivalds' check: a block times a random vector is what A and B make of that vector, or the block is wrong.

    It costs as much as reading the operands. The vector's entries are drawn from an interval, not from two signs, so that errors alike in all
    columns do not cancel: a wrong block passes only when its error is within rounding.
    """

    def __init__(self, a: NDArray[np.float32], b: NDArray[np.float32], block: int) -> None:
        random = np.random.default_rng()
        self._a, self._b, self._block = a, b, block
        vector = random.uniform(0.5, 1.5, (b.shape[1], 1)) * random.choice((-1.0, 1.0), (b.shape[1], 1))
        self._vector = vector.astype(np.float32)
        self._columns: dict[int, NDArray[np.float32]] = {}
        self._lock = threading.Lock()

    def _column(self, j: int) -> NDArray[np.float32]:
        """Return B's blocks of one column times the vector, and their sizes times its size; made when the first result is there, while browsers compute."""
        with self._lock:
            if j not in self._columns:
                part = slice(j * self._block, (j + 1) * self._block)
                b, vector = self._b[:, part], self._vector[part]
                self._columns[j] = np.hstack([b @ vector, np.abs(b) @ np.abs(vector)])
            return self._columns[j]

    def __call__(self, i: int, j: int, values: NDArray[np.float32]) -> None:
        """Raise `GarbageError` when block (i, j) is wrong."""
        rows = self._a[i * self._block : (i + 1) * self._block]
        vector = self._vector[j * self._block : (j + 1) * self._block]
        with np.errstate(invalid="ignore", over="ignore"):
            column = self._column(j)
            expected = rows @ column[:, :1]
            # How large the sum of all products' sizes is bounds what rounding can do. Where an operand is infinite or NaN, nothing can be said.
            bound = np.abs(rows) @ column[:, 1:] * _TOLERANCE + 1e-30
            wrong = ~(np.abs(values @ vector - expected) <= bound) & np.isfinite(bound)
        if wrong.any():
            raise GarbageError(f"block ({i}, {j}) of a product is wrong in {int(wrong.sum())} rows")


def compute_block(gpu: GPU, name: str, i: int, j: int) -> NDArray[np.float32]:
    """Compute a block of a product in a task."""
    product = _jobs.get(name)
    if product is None:
        raise errors.ClusterError(f"the product {name} is over, or it belongs to another process")
    return product.compute(as_device(gpu), cast("BrowserWorker", get_worker()).member, i, j)


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
