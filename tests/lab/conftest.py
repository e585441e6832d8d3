"""One JupyterLab and one Chromium for all of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab_harness import Lab, LabServer, Notebook
from playwright.sync_api import sync_playwright


# Not for the session: an event loop that Playwright keeps running would stand in the way of the tests that follow.
@pytest.fixture(scope="package")
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
