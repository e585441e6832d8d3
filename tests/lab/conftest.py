"""One JupyterLab and one Chromium for all of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab_harness import Lab, Notebook
from lab_server import LabServer
from playwright.sync_api import Playwright, sync_playwright


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The only one of the process: a second would find the first one's loop running."""
    with sync_playwright() as made:
        yield made


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, playwright: Playwright) -> Iterator[Lab]:
    server = LabServer(tmp_path_factory.mktemp("lab"))
    try:
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
