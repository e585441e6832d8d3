"""A second GPU, for what must not mix, and plans of GPUs on an adapter that is a CPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fourier_errors import WORKGROUPS

import webgpu_widget as wg
from webgpu_widget.arrays.fourier import transform


@pytest.fixture(scope="session")
def other_gpu() -> Iterator[wg.GPU]:
    """Another headless GPU, in a browser of its own."""
    made = wg.GPU(transport="headless")
    yield made
    made.close()


@pytest.fixture
def in_workgroups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan transforms as for a GPU."""
    monkeypatch.setattr(transform, "limits_of", lambda _runtime: WORKGROUPS)
