"""Stages of several models under one GPU's budget: the least recently used give way."""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, ClassVar, Protocol

from webgpu_widget.errors import WeightsError
from webgpu_widget.process.fork import Lock

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device

__all__ = ["Budget"]


class Evictable(Protocol):
    """Something whose stages can be taken off the GPU."""

    def _evict(self, stage: str) -> None:
        """Free the stage's buffers; it is loaded again when asked for."""


class Budget:
    """Bytes that the weights on one GPU may take together.

    Attributes
    ----------
    limit_bytes : int or None
        None: no limit.
    """

    _all: ClassVar[weakref.WeakKeyDictionary[Device, Budget]] = weakref.WeakKeyDictionary()

    @classmethod
    def of(cls, device: Device) -> Budget:
        """Return the budget of a GPU."""
        return cls._all.setdefault(device, cls())

    def __init__(self) -> None:
        self.limit_bytes: int | None = None
        self._lock = Lock()
        self._clock = itertools.count()
        # (owner's id, stage) -> [owner, bytes, last use]
        self._held: dict[tuple[int, str], tuple[weakref.ref[Evictable], int, int]] = {}

    @property
    def used_bytes(self) -> int:
        """Bytes of the stages that are there."""
        with self._lock:
            return sum(size for _, size, _ in self._held.values())

    def touch(self, owner: Evictable, stage: str) -> None:
        """Note that a stage is being used."""
        with self._lock:
            held = self._held.get((id(owner), stage))
            if held is not None:
                self._held[id(owner), stage] = (held[0], held[1], next(self._clock))

    def fits(self, size: int) -> bool:
        """Whether ``size`` more bytes need no one to give way."""
        return self.limit_bytes is None or self.used_bytes + size <= self.limit_bytes

    def reserve(self, owner: Evictable, stage: str, size: int) -> None:
        """Make room for a stage, taking the least recently used ones off the GPU.

        Raises
        ------
        WeightsError
            The stage alone is over the budget.
        """
        evicted: list[tuple[Evictable, str]] = []
        with self._lock:
            if self.limit_bytes is not None and size > self.limit_bytes:
                raise WeightsError(
                    f"stage {stage!r} takes {size:,} bytes on the GPU and the budget is {self.limit_bytes:,}: raise "
                    "budget_bytes, cut the stage up with stages=, or use quantize='int8'"
                )
            key = (id(owner), stage)
            self._held.pop(key, None)
            used = sum(held[1] for held in self._held.values())
            for other, (reference, bytes_, _) in sorted(self._held.items(), key=lambda item: item[1][2]):
                if self.limit_bytes is None or used + size <= self.limit_bytes:
                    break
                del self._held[other]
                used -= bytes_
                gives_way = reference()
                if gives_way is not None:
                    evicted.append((gives_way, other[1]))
            self._held[key] = (weakref.ref(owner), size, next(self._clock))
        for gives_way, name in evicted:
            gives_way._evict(name)

    def release(self, owner: Evictable, stage: str) -> None:
        """Note that a stage is gone."""
        self.release_id(id(owner), stage)

    def release_id(self, owner_id: int, stage: str | None) -> None:
        """Do the same for an owner that is gone, or all its stages."""
        with self._lock:
            for key in [key for key in self._held if key[0] == owner_id and stage in (None, key[1])]:
                del self._held[key]
