"""What a probe of a hazard is: a small WGSL module, and what WGSL, IEEE 754 or other adapters say of its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from webgpu_widget._selftest.report import Finding

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU

__all__ = ["Probe", "Probes"]


@dataclass(frozen=True)
class Probe:
    """One question to an adapter.

    Attributes
    ----------
    name : str
        The hazard.
    number : int
        Its group.
    ask : callable
        Takes a GPU, returns a `Finding`.
    needs : tuple of str
        Features without which there is nothing to ask.
    """

    name: str
    number: int
    ask: Callable[[GPU], Finding]
    needs: tuple[str, ...] = ()


@dataclass
class Probes:
    """The probes of one group.

    Parameters
    ----------
    number : int
        Of the group.
    """

    number: int
    probes: list[Probe] = field(default_factory=list)

    def probe(
        self, name: str, *needs: str
    ) -> Callable[[Callable[[GPU], tuple[str, dict[str, str]]]], Callable[[GPU], tuple[str, dict[str, str]]]]:
        """Make a function that returns (verdict, values) a probe."""

        def add(function: Callable[[GPU], tuple[str, dict[str, str]]]) -> Callable[[GPU], tuple[str, dict[str, str]]]:
            def ask(gpu: GPU) -> Finding:
                with np.errstate(all="ignore"):
                    verdict, values = function(gpu)
                return Finding(name, self.number, verdict, values)

            self.probes.append(Probe(name, self.number, ask, needs))
            return function

        return add
