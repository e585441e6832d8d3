"""The address of a started browser's page: nowhere to be read, and good for one page."""

from __future__ import annotations

import asyncio
import os
import signal
import stat

import numpy as np
import pytest
import tornado.httpclient
from stranger import Pipe, command_lines, join, leave, token_of, until

import webgpu_widget as wg
from webgpu_widget.link.transports import _chromium
from webgpu_widget.link.transports._chromium import Browser


async def _joined(url: str, **query: str) -> None:
    await leave(await join(url, **query))


def refused(url: str, **query: str) -> bool:
    try:
        asyncio.run(_joined(url, **query))
    except tornado.httpclient.HTTPClientError as error:
        return error.code == 403
    return False


def works(gpu: wg.GPU) -> None:
    """What was lost may be said first."""
    for _ in range(3):
        try:
            np.testing.assert_array_equal(gpu.arange(3).numpy(timeout=60), [0, 1, 2])
        except wg.FrontendLostError:
            continue
        return
    raise AssertionError("the GPU did not come back")


@pytest.fixture
def own() -> wg.GPU:
    made = wg.GPU(transport="headless")
    made.ready(timeout=60)
    yield made
    made.close()


def test_no_command_line_holds_the_token_of_a_headless_browser(own: wg.GPU) -> None:
    token = token_of(own.url)
    said = list(command_lines())
    assert any(str(own._device.transport._browser.profile) in line for line in said), (
        "the browser was looked for in vain"
    )
    assert not [line for line in said if token in line]


def test_no_command_line_holds_a_token_of_the_cluster() -> None:
    with wg.Cluster() as cluster:
        cluster.launch(1)
        cluster.wait(1, timeout=120)
        tokens = list(cluster._hub.endpoints)
        assert len(tokens) == 2
        assert not [line for line in command_lines() if any(token in line for token in tokens)]


def test_a_page_with_the_token_of_a_launched_member_is_refused() -> None:
    with wg.Cluster() as cluster:
        cluster.launch(1)
        cluster.wait(1, timeout=120)
        [token] = set(cluster._hub.endpoints) - {token_of(cluster.url)}
        assert refused(cluster._hub.page_url(token), page="another", instance="another")
        assert cluster.submit(lambda gpu: 5).result(60) == 5


def test_a_browser_without_a_pipe_is_led_by_a_private_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_chromium, "_HAS_PIPE", False)
    made = wg.GPU(transport="headless")
    try:
        np.testing.assert_array_equal(made.arange(3).numpy(timeout=60), [0, 1, 2])
        profile = made._device.transport._browser.profile
        assert stat.S_IMODE(profile.stat().st_mode) == 0o700
        assert stat.S_IMODE((profile / "start.html").stat().st_mode) & 0o077 == 0
        assert not [line for line in command_lines() if token_of(made.url) in line]
    finally:
        made.close()


def test_a_second_page_with_the_token_is_refused(own: wg.GPU, caplog: pytest.LogCaptureFixture) -> None:
    array = own.arange(3)
    array.numpy()
    second = Browser(own.url)
    try:
        until(lambda: "made for one page" in caplog.text)
    finally:
        second.close()
    page, instance = (
        own._device.transport._hub.endpoints[token_of(own.url)]._page,
        own._device.connection._session.instance,
    )
    assert refused(own.url)
    assert refused(own.url, page="another", instance="another")
    # Not even the page's own secret lets another load of it in while it is open.
    assert refused(own.url, page=page, instance="another")
    assert page not in {instance, token_of(own.url)}
    np.testing.assert_array_equal(array.numpy(), [0, 1, 2])
    assert token_of(own.url) not in caplog.text
    assert page not in caplog.text


def test_the_page_itself_is_let_in_after_a_reload(own: wg.GPU) -> None:
    before = own._device.connection._session.instance
    pipe = Pipe(own._device.transport._browser)
    pipe.call("Page.reload")
    until(lambda: own._device.connection._session.instance not in {before, None})
    assert refused(own.url)
    works(own)


def test_a_browser_started_in_place_of_another_has_a_token_of_its_own(own: wg.GPU) -> None:
    first = own.url
    os.killpg(own._device.transport.browser_pid, signal.SIGKILL)
    until(lambda: not own._device.connection._links)
    works(own)
    assert own.url != first
    assert refused(first)
    # Not even if no page had shown it yet.
    assert token_of(first) not in own._device.transport.hub.endpoints
