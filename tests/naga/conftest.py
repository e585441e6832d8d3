"""What the whole selection of a run on naga must have reached is looked at only in such a run."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path.name == "test_coverage.py" and not config.getoption("--naga") else None
