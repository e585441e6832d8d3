"""No GPU: an error with the reason, and what to do."""

from __future__ import annotations

import contextlib
import json
import socket
import time

import pytest

import webgpu_widget as wg
from webgpu_widget.__main__ import main
from webgpu_widget.link import recovery
from webgpu_widget.link.transports._chromium import Browser


def own_address() -> str | None:
    """An address of this machine that is not loopback, or None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


def test_browser_without_an_adapter_says_why(monkeypatch):
    monkeypatch.setenv(
        "WEBGPU_WIDGET_BROWSER_FLAGS", "--use-webgpu-adapter=none-such --disable-gpu --disable-software-rasterizer"
    )
    # Where work of a test before has hung, new browsers would be tried for as long as drivers hold on to it.
    monkeypatch.setattr(recovery, "_hung_until", 0.0)
    made = wg.GPU(transport="headless")
    try:
        with pytest.raises(wg.NoAdapterError, match="(?i)adapter|webgpu") as caught:
            made.ready()
        assert len(str(caught.value)) > 40, "the message says what to try"
        with pytest.raises(wg.NoAdapterError):
            made.run("@compute @workgroup_size(1) fn main() {}", threads=1)
    finally:
        made.close()


def test_insecure_page_says_so():
    address = own_address()
    if address is None:
        # Some sandboxes have loopback only; every loopback address is a secure context, so there is no insecure page to open.
        address = "127.0.0.1"
    opened = contextlib.nullcontext() if address == "127.0.0.1" else pytest.warns(UserWarning, match="(?i)certificate")
    with opened:
        made = wg.GPU(transport="page", host=address)
    browser = Browser(made.url)
    try:
        if address == "127.0.0.1":
            assert made.ready().name
            return
        with pytest.raises(wg.NoAdapterError, match="(?i)secure|https"):
            made.ready()
    finally:
        made.close()
        browser.close()


def test_no_browser_says_what_to_install(monkeypatch):
    monkeypatch.setenv("WEBGPU_WIDGET_BROWSER", "no-such-browser")
    with pytest.raises(wg.NoFrontendError, match="no-such-browser"):
        wg.GPU(transport="headless")
    monkeypatch.delenv("WEBGPU_WIDGET_BROWSER")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(wg.NoFrontendError, match="apt-get install chromium"):
        wg.GPU(transport="headless")


def test_browser_that_ends_at_once_says_what_it_said(monkeypatch):
    monkeypatch.setenv("WEBGPU_WIDGET_BROWSER", "false")
    made = wg.GPU(transport="headless")
    try:
        with pytest.raises(wg.NoFrontendError, match="ended with status"):
            made.ready()
    finally:
        made.close()


def test_browser_that_ends_for_want_of_a_font_says_what_to_install(monkeypatch, tmp_path):
    config = tmp_path / "fonts.conf"
    config.write_text("<?xml version='1.0'?><fontconfig></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(config))
    monkeypatch.setenv("WEBGPU_WIDGET_BROWSER_FLAGS", "--enable-logging=stderr")
    page = tmp_path / "page.html"
    page.write_text(
        "<select><option>a</option></select><script>for (let i = 0; i < 20; i++) console.log('said', i)</script>"
    )
    browser = Browser(page.as_uri())
    try:
        end = time.monotonic() + 30
        while (said := browser.failure()) is None and time.monotonic() < end:
            time.sleep(0.1)
    finally:
        browser.close()
    assert said is not None, "a Chromium that lives without a font needs none of this any more"
    assert "It said: FATAL:" in said
    assert "apt-get install fonts-dejavu-core" in said
    assert "CONSOLE" not in said


def test_unknown_transport_lists_those_there_are(monkeypatch):
    with pytest.raises(wg.FrontendError, match="'headless'"):
        wg.GPU(transport="telepathy")  # type: ignore[arg-type]
    with pytest.raises(wg.NoFrontendError, match="kernel"):
        wg.GPU(transport="comm")
    monkeypatch.setenv("WEBGPU_WIDGET_TRANSPORT", "telepathy")
    with pytest.raises(wg.FrontendError, match="telepathy"):
        wg.GPU()


def test_doctor_says_what_is_there_and_what_is_not(capsys, monkeypatch):
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kernel_is_right"]
    assert report["adapter"]
    assert report["font"]
    monkeypatch.setenv("WEBGPU_WIDGET_BROWSER", "no-such-browser")
    assert main(["doctor"]) == 1
    assert "no-such-browser" in capsys.readouterr().out
