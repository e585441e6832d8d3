"""Whether there is a font, for a browser that ends without one, and what the set-up and the doctor do where there is none."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from webgpu_widget.link.transports import _fonts

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "ensure_browser.sh"


def _config(path: pathlib.Path, *lines: str) -> str:
    path.write_text(f"<?xml version='1.0'?><fontconfig>{''.join(lines)}</fontconfig>")
    return str(path)


@pytest.fixture
def no_fonts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A machine whose fontconfig looks in one folder, which is empty."""
    folder = tmp_path / "fonts"
    folder.mkdir()
    monkeypatch.setenv("FONTCONFIG_FILE", _config(tmp_path / "fonts.conf", f"<dir prefix='default'>{folder}</dir>"))
    return folder


def test_a_font_anywhere_below_a_folder_counts_and_a_bitmap_does_not(no_fonts: pathlib.Path) -> None:
    assert _fonts.find_font() is None
    (no_fonts / "a").mkdir()
    (no_fonts / "a" / "fixed.pcf.gz").touch()
    assert _fonts.find_font() is None
    font = no_fonts / "a" / "Some.TTF"
    font.touch()
    assert _fonts.find_font() == font
    assert _fonts.report() == str(font)


def test_the_usual_folders_are_looked_in_unless_a_file_rules_them_out(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    font = tmp_path / "share" / "fonts" / "some.otf"
    font.parent.mkdir(parents=True)
    font.touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.delenv("FONTCONFIG_FILE", raising=False)
    assert _fonts.find_font() == font
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "missing.conf"))
    assert _fonts.find_font() == font
    monkeypatch.setenv("FONTCONFIG_FILE", _config(tmp_path / "more.conf", "<include>conf.d</include>"))
    assert _fonts.find_font() == font
    monkeypatch.setenv("FONTCONFIG_FILE", _config(tmp_path / "none.conf"))
    assert _fonts.find_font() is None


def test_the_report_says_what_to_install(no_fonts: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    said = _fonts.report()
    assert str(no_fonts) in said
    assert "apt-get install fonts-dejavu-core" in said
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "install" not in _fonts.report()


def _ensure(tmp_path: pathlib.Path, apt_get: str | None, browser: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the set-up with an apt-get of ours, or none; returns what apt-get was asked too."""
    tools, asked = tmp_path / "bin", tmp_path / "asked"
    tools.mkdir()
    scripts = {"sudo": 'exec "$@"'} | ({} if apt_get is None else {"apt-get": f'echo "$@" >>{asked}; {apt_get}'})
    for name, text in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    for name in ("id", "env", "sh"):
        (tools / name).symlink_to(f"/usr/bin/{name}" if pathlib.Path(f"/usr/bin/{name}").exists() else f"/bin/{name}")
    environment = {**os.environ, "PATH": str(tools), "WEBGPU_WIDGET_BROWSER": browser}
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT), sys.executable],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done, asked.read_text() if asked.exists() else ""


def test_the_set_up_installs_a_font_where_there_is_none(no_fonts: pathlib.Path, tmp_path: pathlib.Path) -> None:
    done, asked = _ensure(tmp_path, f"touch {no_fonts}/DejaVuSans.ttf", sys.executable)
    assert done.returncode == 0, done.stderr
    assert asked.splitlines()[-1] == "install -y -qq fonts-dejavu-core"
    assert " chromium" not in asked, "a browser was there"


@pytest.mark.usefixtures("no_fonts")
@pytest.mark.parametrize("apt_get", [None, "exit 100"], ids=["no apt-get", "apt-get fails"])
def test_the_set_up_goes_on_without_a_font_that_it_cannot_install(tmp_path: pathlib.Path, apt_get: str | None) -> None:
    done, _ = _ensure(tmp_path, apt_get, sys.executable)
    assert done.returncode == 0
    assert "no font was found" in done.stderr


def test_the_set_up_asks_for_nothing_where_all_is_there(no_fonts: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (no_fonts / "some.ttf").touch()
    done, asked = _ensure(tmp_path, "", sys.executable)
    assert (done.returncode, asked, done.stderr) == (0, "", "")


def test_the_set_up_installs_a_browser_and_then_sees_whether_a_font_came_along(
    no_fonts: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (no_fonts / "some.ttf").touch()
    browser = tmp_path / "bin" / "a-browser"
    done, asked = _ensure(tmp_path, f"/bin/ln -sf /bin/sh {browser}", "a-browser")
    assert done.returncode == 0, done.stderr
    assert asked.splitlines() == ["update -qq", "install -y -qq chromium"]
    assert str(browser) in done.stdout
