"""What the README shows is run, and it stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.no_adapter
def test_the_readme_is_two_screens() -> None:
    assert len(TEXT.split()) <= 1000


@pytest.mark.no_adapter
def test_pages_that_the_documents_name_are_there() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")]
    missing = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert not missing


def test_the_snippets_of_the_readme_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WEBGPU_WIDGET_TRANSPORT", "headless")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    names: dict[str, object] = {}
    assert len(SNIPPETS) == 5
    for snippet in SNIPPETS:
        exec(compile(snippet, "README.md", "exec"), names)  # noqa: S102 - the README is ours
    assert (tmp_path / "valley.png").stat().st_size > 1000
    assert names["product"][0, 0] == 256  # type: ignore[index]
    answer = names["t5"].generate("spell out the number: 42")  # type: ignore[attr-defined]
    assert f"# '{answer}'" in TEXT
    names["gpu"].close()  # type: ignore[attr-defined]
