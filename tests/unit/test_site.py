"""The site of the documents builds without a warning, and its pages link to nothing that is not there."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
from urllib.parse import unquote, urldefrag

import pytest

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "docs.py"


@pytest.mark.long
@pytest.mark.no_adapter
def test_the_site_builds_and_its_links_hold(tmp_path: pathlib.Path) -> None:
    site = tmp_path / "site"
    done = subprocess.run([sys.executable, TOOL, site], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list(site.rglob("*.html"))
    assert len(pages) >= 25
    for name in ("08_live", "gallery/game_of_life", "gallery/ray_marcher"):
        assert "<img" in (site / f"notebooks/{name}.html").read_text("utf-8"), "a live view has its saved picture there"
    broken = set()
    for page in pages:
        for link in re.findall(r'(?:href|src)="([^"#][^"]*)"', page.read_text("utf-8")):
            target = unquote(urldefrag(link)[0].split("?")[0])
            if target and ":" not in target and not (page.parent / target).exists():
                broken.add(f"{page.name}: {link}")
    assert not broken
