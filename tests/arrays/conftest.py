"""A second GPU, for what must not mix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import webgpu_widget as wg


@pytest.fixture(scope="session")
def other_gpu() -> Iterator[wg.GPU]:
    """Another headless GPU, in a browser of its own."""
    made = wg.GPU(transport="headless")
    yield made
    made.close()
