"""One JupyterLab and one Chromium for all of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab_harness import Lab, Notebook
from lab_server import LabServer
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    server = LabServer(tmp_path_factory.mktemp("lab"))
    try:
        with sync_playwright() as playwright:
            made = Lab(server, playwright)
            yield made
            made.close()
    finally:
        server.close()


@pytest.fixture
def notebook(lab: Lab) -> Iterator[Notebook]:
    """A new notebook in a new page with a new kernel."""
    made = lab.notebook()
    yield made
    made.close()
