"""How this adapter computes where adapters differ: one small WGSL module a question.

Each answer is ``right``, by WGSL's text or by IEEE 754, or ``differs: ...`` with what was seen. Most of the differences are allowed by
WGSL, and none of the package's kernels hangs on them; a user's own WGSL may. ``docs/adapters.md`` has them side by side, and what to
write instead.
"""

from __future__ import annotations

from webgpu_widget._selftest.hazards import functions, memory, rounding
from webgpu_widget._selftest.probe import Probe

__all__ = ["PROBES"]

PROBES: list[Probe] = sorted(
    (probe for room in (rounding, functions, memory) for group in room.GROUPS for probe in group.probes),
    key=lambda probe: probe.number,
)
"""All of them, by group."""
