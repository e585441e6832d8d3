"""The product of matrices by blocks.

The result is cut into blocks of ``block`` rows and columns, one task each, or some blocks of a row where each browser, a GPU, has many. A task walks along a row of blocks of A and a column of blocks of B, which the exchange
brings to its browser once, and adds their products to a block that stays on the GPU until it is complete. Browsers are given blocks of the result whose operands they
have, and at first cells of a grid as square as their number allows: what has to be brought then grows with the square root of the number of browsers.

Of a browser's two tasks the second brings nothing before the first has all its operands: so the first is done sooner and is read back while the second computes.
"""

from __future__ import annotations

import math
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

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
    from webgpu_widget.link.connection import Request

__all__ = ["matmul"]

_TOLERANCE = 2e-5
_DEPTH = 512
"""Most columns of a block of A: the thinner it is, the sooner all browsers have something to do."""
_PIECES = 6
"""Tasks of a browser, at least, where there are as many blocks: two are under way at a time, and what is lost with a browser is not more."""
_CACHED = 1 << 16
"""Elements of an operand that are checked at a time."""
_FEW_COLUMNS = 16
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

    def compute(self, device: Device, member: Member, cells: Sequence[tuple[int, int]]) -> list[NDArray[np.float32]]:
        """Compute some blocks (i, j) of the result: one comes back while the next is computed."""
        made: list[NDArray[np.float32]] = []
        coming: deque[Coming] = deque()
        try:
            for cell in cells:
                coming.append(self._begin(device, member, cell))
                if len(coming) > 1:
                    made.append(self._end(device, coming[0]))
                    coming.popleft()
            while coming:
                made.append(self._end(device, coming[0]))
                coming.popleft()
        except BaseException:
            for one in coming:
                device.cancel(one.request)
            raise
        return made

    def _begin(self, device: Device, member: Member, cell: tuple[int, int]) -> Coming:
        """Queue all that makes a block, and ask for it."""
        total: GPUArray | None = None
        with self._turns.setdefault(member.id, threading.Lock()):
            for first, second in self.operands(*cell):
                part = multiply(self.exchange.get(first, member), self.exchange.get(second, member))
                total = part if total is None else total + part
                # The browser begins while the next operands are on their way.
                total._buffer()
                device.queue.flush()
            assert total is not None  # noqa: S101 - a product has at least one pair
            # Asked for before the other task's operands, which it is not to wait for.
            return Coming(cell, total, *device.queue.start_read(total._spans(), "reading a block of a product"))

    def _end(self, device: Device, coming: Coming) -> NDArray[np.float32]:
        """Wait for a block, and check it."""
        device.wait(coming.request, 120.0)
        values = coming.total._from_bytes(coming.parts)
        self._check(*coming.cell, values)
        return values


class Coming(NamedTuple):
    """A block of the result on its way here."""

    cell: tuple[int, int]
    total: GPUArray
    request: Request
    parts: list[NDArray[Any]]


class Check:
    """Freivalds' check: a block times a random vector is what A and B make of that vector, or the block is wrong.

    It costs as much as reading the operands, a row of blocks once for all columns that were met before. The vector's entries are drawn from an interval, not from
    two signs, so that errors alike in all columns do not cancel: a wrong block passes only when its error is within rounding.
    """

    def __init__(self, a: NDArray[np.float32], b: NDArray[np.float32], block: int) -> None:
        random = np.random.default_rng()
        self._a, self._b, self._block = a, b, block
        vector = random.uniform(0.5, 1.5, (b.shape[1], 1)) * random.choice((-1.0, 1.0), (b.shape[1], 1))
        self._vector = vector.astype(np.float32)
        self._columns: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self._expected: dict[tuple[int, int], tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self._lock = threading.Lock()

    def _part(self, index: int) -> slice:
        return slice(index * self._block, (index + 1) * self._block)

    def _expect(self, i: int, j: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what block (i, j) times the vector is, and how large the sum of all products' sizes is; made when the first result is there, while browsers compute."""
        with self._lock:
            if j not in self._columns:
                part = self._part(j)
                self._columns[j] = _times(self._b[:, part], self._vector[part], np.abs(self._vector[part]))
            if (i, j) not in self._expected:
                wanted = [k for k in self._columns if (i, k) not in self._expected]
                values, sizes = (np.hstack([self._columns[k][which] for k in wanted]) for which in (0, 1))
                values, sizes = _times(self._a[self._part(i)], values, sizes)
                for n, k in enumerate(wanted):
                    self._expected[i, k] = values[:, n : n + 1], sizes[:, n : n + 1]
            return self._expected[i, j]

    def __call__(self, i: int, j: int, values: NDArray[np.float32]) -> None:
        """Raise `GarbageError` when block (i, j) is wrong."""
        with np.errstate(invalid="ignore", over="ignore"):
            expected, sizes = self._expect(i, j)
            # That bounds what rounding can do. Where an operand is infinite or NaN, nothing can be said.
            bound = sizes * _TOLERANCE + 1e-30
            wrong = ~(np.abs(_product(values, self._vector[self._part(j)]) - expected) <= bound) & np.isfinite(bound)
        if wrong.any():
            raise GarbageError(f"block ({i}, {j}) of a product is wrong in {int(wrong.sum())} rows")


def _times(
    matrix: NDArray[np.float32], columns: NDArray[np.float32], sizes: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a matrix times some columns, and its absolute values times others, by parts that stay in a processor's cache."""
    count = max(1, _CACHED // max(1, matrix.shape[1]))
    made = [np.empty((matrix.shape[0], columns.shape[1]), np.float32) for _ in range(2)]
    for start in range(0, matrix.shape[0], count):
        part = np.ascontiguousarray(matrix[start : start + count])
        made[0][start : start + count] = _product(part, columns)
        made[1][start : start + count] = _product(np.abs(part), sizes)
    return made[0], made[1]


def _product(matrix: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a product with few columns by this thread alone: those of a BLAS spin for a while after each, on cores that browsers could use."""
    if columns.shape[1] > _FEW_COLUMNS:
        return np.asarray(matrix @ columns)
    return np.asarray(np.einsum("ij,kj->ik", matrix, np.ascontiguousarray(columns.T)))


def compute_blocks(gpu: GPU, name: str, cells: Sequence[tuple[int, int]]) -> list[NDArray[np.float32]]:
    """Compute some blocks of a product in a task."""
    product = _jobs.get(name)
    if product is None:
        raise errors.ClusterError(f"the product {name} is over, or it belongs to another process")
    return product.compute(as_device(gpu), cast("BrowserWorker", get_worker()).member, cells)


def bundles(rows: int, columns: int, on_cpu: Sequence[bool]) -> list[list[tuple[int, int]]]:
    """Put blocks of a row together to be computed in one task, where each browser has many: between two tasks it waits for Python some milliseconds.

    Parameters
    ----------
    rows, columns : int
        Of blocks.
    on_cpu : sequence of bool
        Of each browser, whether a CPU does the work: there a block takes long enough.

    Returns
    -------
    list of list of (int, int)
        Which blocks are in each, at least `_PIECES` for each browser unless there are fewer blocks.
    """
    length = 1 if any(on_cpu) else max(1, min(columns, rows * columns // (_PIECES * max(len(on_cpu), 1))))
    return [
        [(i, j) for j in range(start, min(start + length, columns))]
        for i in range(rows)
        for start in range(0, columns, length)
    ]


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
            _, blocks_made = pending[position].args
            i, j = blocks_made[0]
            blocks = {block for made in blocks_made for pair in product.operands(*made) for block in pair}
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
    members = cluster._roster.present("ready")
    on_cpu = [member.info is None or member.info.is_fallback for member in members]
    cells = bundles(product.left.rows, product.right.columns, on_cpu)
    pieces = [Piece(n, (product.name, some), float(len(some))) for n, some in enumerate(cells)]
    try:
        with meter(progress, "blocks", float(product.left.rows * product.right.columns)) as advance:

            def arrived(piece: Piece, blocks: list[NDArray[np.float32]]) -> None:
                for (i, j), values in zip(cells[piece.index], blocks, strict=True):
                    out[i * block : i * block + values.shape[0], j * block : j * block + values.shape[1]] = values
                advance(piece.cost)

            Flow(cluster, compute_blocks, chooser(product, members)).run(pieces, arrived)
    finally:
        product.exchange.release([*product.left.blocks.values(), *product.right.blocks.values()])
    return out
