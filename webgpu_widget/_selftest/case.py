"""What a case of the selftest is, and the measures of how far a result is from what was wanted."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget.arrays.lazy.node import node_of
from webgpu_widget.device.default import as_device

if TYPE_CHECKING:
    from webgpu_widget.arrays.lazy.node import Node
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.gpu import GPU

__all__ = ["Area", "Bench", "Case", "Unavailable", "differing", "relative", "ulps", "units"]

Array = NDArray[Any]
TINY = float(np.finfo(np.float32).tiny)
"""The least float32 that is not subnormal: adapters may take what is nearer to zero for zero."""


class Unavailable(Exception):  # noqa: N818 - it is no error
    """Raised by a case that has found out that this adapter cannot run it, and why."""


class Bench:
    """What a case works with: a GPU, random numbers of its own, and buffers in and out of NumPy.

    Parameters
    ----------
    gpu : GPU
        Where.
    rng : numpy.random.Generator
        Of this case alone, so that it gives the same numbers whichever cases run beside it.
    """

    def __init__(self, gpu: GPU, rng: np.random.Generator) -> None:
        self.gpu, self.rng, self.device = gpu, rng, as_device(gpu)
        self.queue = self.device.queue

    def put(self, values: Any) -> Buffer:
        """Upload whole numbers and truth values as 32-bit integers, all else as float32."""
        kind = np.asarray(values).dtype.kind
        data = np.ascontiguousarray(values, np.uint32 if kind in "iub" else np.float32)
        buffer = self.queue.alloc(data.nbytes)
        self.queue.write(buffer, data)
        return buffer

    def poison(self, *shape: int) -> Buffer:
        """Make a buffer of NaN, which is right nowhere."""
        return self.put(np.full(shape, np.nan, np.float32))

    def get(self, buffer: Buffer, shape: Sequence[int], dtype: Any = np.float32) -> Array:
        """Read a buffer."""
        (raw,) = self.queue.read([(buffer, 0, 4 * int(np.prod(shape)))])
        return raw.view(dtype).reshape(shape)

    def node(self, values: Array) -> Node:
        """Upload an array, as the lazy expressions' functions want it."""
        return node_of(self.gpu.array(values))

    def read(self, node: Node) -> Array:
        """Compute and read an expression."""
        from webgpu_widget.arrays.lazy.value import wrap

        result: Array = wrap(self.device, node).numpy()
        return result


@dataclass(frozen=True)
class Case:
    """One comparison of the GPU with NumPy.

    Attributes
    ----------
    name : str
        What it checks: a shader's file below ``shaders/`` without the ending, or what a generator makes.
    label : str
        Which input.
    run : callable
        Takes a `Bench`; returns the worst error, in ``unit``.
    unit : str
        What the error counts.
    allowed : float
        The largest error that is right.
    needs : tuple of str
        Features without which the adapter is not asked.
    """

    name: str
    label: str
    run: Callable[[Bench], float]
    unit: str
    allowed: float
    needs: tuple[str, ...] = ()

    @property
    def key(self) -> int:
        """What tells its random numbers from another case's."""
        return zlib.crc32(f"{self.name} {self.label}".encode())

    def measure(self, gpu: GPU, seed: int) -> float:
        """Run it.

        Parameters
        ----------
        gpu : GPU
            Where.
        seed : int
            Of the whole selftest.

        Returns
        -------
        float
            The worst error, in ``unit``.
        """
        with np.errstate(all="ignore"):
            return float(self.run(Bench(gpu, np.random.default_rng([seed, self.key]))))


@dataclass
class Area:
    """The cases of one part of the package.

    Parameters
    ----------
    name : str
        As ``selftest(areas=...)`` takes it.
    """

    name: str
    cases: list[Case] = field(default_factory=list)

    def case(
        self, name: str, unit: str, allowed: float, needs: tuple[str, ...] = (), /, **inputs: Iterable[Any]
    ) -> Callable[[Callable[..., float]], Callable[..., float]]:
        """Make a function a case, or one for each combination of ``inputs``.

        Parameters
        ----------
        name, unit, allowed, needs
            As in `Case`; ``{}`` in a name stands for inputs by name.
        **inputs : iterable
            Values of the function's keywords.
        """

        def add(function: Callable[..., float]) -> Callable[..., float]:
            for values in itertools.product(*inputs.values()):
                chosen = dict(zip(inputs, values, strict=True))
                label = " ".join([function.__name__, *(f"{key}={_short(value)}" for key, value in chosen.items())])
                run = _bound(function, chosen)
                self.cases.append(Case(name.format(**chosen), label, run, unit, allowed, needs))
            return function

        return add

    def first(self) -> Area:
        """Return the area with one case of each name."""
        return Area(self.name, list({case.name: case for case in reversed(self.cases)}.values())[::-1])

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)


def _short(value: Any) -> str:
    if isinstance(value, type):
        return value.__name__
    return str(getattr(value, "name", value))


def _bound(function: Callable[..., float], chosen: dict[str, Any]) -> Callable[[Bench], float]:
    return lambda bench: function(bench, **chosen)


# ------------------------------------------------------------ measures


def differing(found: Any, wanted: Any) -> float:
    """Count elements that are not equal; NaN equals NaN, and a zero another of either sign. A wrong shape is infinite."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape:
        return np.inf
    both = np.isnan(found) & np.isnan(wanted) if found.dtype.kind == wanted.dtype.kind == "f" else False
    return float(np.sum((found != wanted) & ~np.asarray(both)))


def relative(found: Array, wanted: Array) -> float:
    """Length of the difference beside the length of what was wanted; infinite for a wrong shape or what is not finite."""
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return np.inf
    return float(np.linalg.norm(found.astype(np.float64) - wanted) / max(float(np.linalg.norm(wanted)), TINY))


def units(found: Array, wanted: Array, size: Any) -> float:
    """Largest difference in units of ``size``, which broadcasts; NaN and infinity must be where they are wanted."""
    if found.shape != wanted.shape:
        return np.inf
    finite = np.isfinite(wanted)
    if differing(found[~finite], wanted[~finite]):
        return np.inf
    off = np.abs(found.astype(np.float64) - wanted) / size
    worst = np.where(finite, np.where(np.isnan(off), np.inf, off), 0).max(initial=0.0)
    return float(worst)


def ulps(found: Array, wanted: Sequence[Array]) -> float:
    """Largest error in units in the last place of float32, beside the nearest of several answers that are right.

    Parameters
    ----------
    found : ndarray of float32
        The GPU's.
    wanted : sequence of ndarray
        Answers in float64. Subnormal ones may be zero.

    Returns
    -------
    float
        Infinite where a NaN, an infinity or the sign of a zero is not what any answer has.
    """
    best = np.full(found.shape, np.inf)
    for exact in wanted:
        single = exact.astype(np.float32)
        last = np.maximum(np.abs(np.spacing(single.astype(np.float32))).astype(np.float64), 2.0**-149)
        off = np.abs(found.astype(np.float64) - exact) / last
        off = np.where(np.isnan(single), np.where(np.isnan(found), 0, np.inf), off)
        off = np.where(np.isinf(single), np.where(found == single, 0, np.inf), off)
        off = np.where(np.isnan(found) & ~np.isnan(single), np.inf, off)
        # What is subnormal on the way may be taken for zero: then only a zero that is wanted has a sign.
        near = (np.abs(exact) < 4 * TINY) & (np.abs(found - exact) <= TINY)
        zero = (exact == 0) & (found == 0)
        off = np.where(near, np.where(zero & (np.signbit(found) != np.signbit(single)), np.inf, 0), off)
        best = np.minimum(best, off)
    return float(best.max(initial=0.0))
