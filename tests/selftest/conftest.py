"""What the tests of the selftest share."""

from __future__ import annotations

import pytest

from webgpu_widget._selftest.runner import Runner


@pytest.fixture
def seed(rng) -> int:
    """Of the cases; it changes from run to run as that of ``rng`` does."""
    return int(rng.integers(2**31))


@pytest.fixture
def runner(gpu, seed) -> Runner:
    return Runner(gpu, gpu.info, seed, lambda _name: None)


@pytest.fixture(autouse=True)
def _cache_of_its_own(monkeypatch, tmp_path):
    """Kernels are broken here on purpose: nobody's doctor shall hear of it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
