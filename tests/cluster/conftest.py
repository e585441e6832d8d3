from __future__ import annotations

from collections.abc import Iterator

import pytest

import webgpu_widget as wg

JOIN_S = 120.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[wg.Cluster]:
    """Two headless browsers, blocks from one to the other by WebRTC."""
    with wg.Cluster(exchange="peer") as made:
        made.launch(2)
        made.wait(2, timeout=JOIN_S)
        yield made


@pytest.fixture
def empty() -> Iterator[wg.Cluster]:
    """No browser yet."""
    with wg.Cluster() as made:
        yield made
