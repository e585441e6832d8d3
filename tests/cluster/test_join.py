"""Who may join, who may not, and what is said about it."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys

import numpy as np
import pytest
import tornado.httpclient
from fake_browser import FakeBrowser, until

import webgpu_widget as wg
from webgpu_widget.link import codec
from webgpu_widget.link.transports import _hub

SECRET = "of-our-own-choice"  # noqa: S105


def test_a_page_becomes_a_worker_and_leaves(empty: wg.Cluster) -> None:
    browser = FakeBrowser(empty.url)
    empty.wait(1)
    (row,) = empty.workers
    assert (row.adapter, row.state, row.is_fallback) == ("test fake", "ready", True)
    info = empty.client.scheduler_info(n_workers=-1)["workers"]
    assert [worker["resources"] for worker in info.values()] == [{"webgpu": 1}]
    browser.say({"kind": "bye", "instance": browser.instance})
    until(lambda: empty.workers[0].state == "gone" and not empty.client.scheduler_info(n_workers=-1)["workers"])
    assert "closed or reloaded" in empty.workers[0].reason


def test_wrong_and_missing_tokens_are_refused(empty: wg.Cluster, caplog: pytest.LogCaptureFixture) -> None:
    token = empty.url.split("token=")[1]
    for query in ("token=wrong", "token=", "", f"token={token[:-1]}"):
        with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
            FakeBrowser(f"{empty.url.split('?')[0]}?{query}")
        assert caught.value.code == 403
    assert "wrong or missing token" in caplog.text
    assert token[:-1] not in caplog.text
    FakeBrowser(empty.url)
    empty.wait(1)


def test_a_foreign_origin_is_refused(empty: wg.Cluster, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        FakeBrowser(empty.url, headers={"Origin": "http://evil.example"})
    assert caught.value.code == 403
    assert "http://evil.example" in caplog.text
    assert empty.url.split("token=")[1] not in caplog.text
    assert empty.workers == []


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"xx", "malformed"),
        (struct.pack("<I", 1 << 30) + b"{}", "malformed"),
        (b"\x05\x00\x00\x00hello", "malformed"),
        ("text", "malformed"),
        (codec.encode({"kind": "batch"}), "before its hello"),
        (codec.encode({"kind": "hello", "instance": 7}), "without a proper instance"),
        (codec.encode({"kind": "hello", "instance": "x" * 65}), "without a proper instance"),
    ],
)
def test_malformed_messages_close_the_socket_and_nothing_else(
    empty: wg.Cluster, caplog: pytest.LogCaptureFixture, frame: bytes | str, said: str
) -> None:
    FakeBrowser(empty.url)
    empty.wait(1)
    bad = FakeBrowser(empty.url)
    empty.wait(2)
    roster = set(empty._roster.members)
    if said == "malformed":
        bad.raw(frame)
    else:
        # On a socket that has not said hello.
        bad = _silent(empty.url)
        bad.raw(frame)
    until(bad.closed.is_set)
    assert said in caplog.text
    assert empty.url.split("token=")[1] not in caplog.text
    assert set(empty._roster.members) == roster
    assert empty.submit(lambda gpu: float(gpu.array([2.0]).numpy()[0])).result(timeout=60) == 2.0


def _silent(url: str) -> FakeBrowser:
    class Silent(FakeBrowser):
        def say(self, *_: object) -> None:  # type: ignore[override]
            """Say nothing."""

    return Silent(url)


def test_an_oversized_frame_is_refused_and_logged(empty: wg.Cluster, caplog: pytest.LogCaptureFixture) -> None:
    good = FakeBrowser(empty.url)
    empty.wait(1)
    bad = FakeBrowser(empty.url)
    empty.wait(2)
    bad.raw(bytes(_hub.MAX_FRAME_BYTES + 1))
    until(bad.closed.is_set)
    assert f"over {_hub.MAX_FRAME_BYTES} bytes" in caplog.text
    assert not good.closed.is_set()


def test_no_page_speaks_in_another_ones_name(empty: wg.Cluster, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = FakeBrowser(empty.url), FakeBrowser(empty.url)
    empty.wait(2)
    bad.say({"kind": "bye", "instance": good.instance})
    until(lambda: "another page's name" in caplog.text)
    assert [row.state for row in empty.workers] == ["ready", "ready"]


def test_the_hub_starts_again_and_pages_rejoin(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    first = wg.Cluster(port=port, token=SECRET)
    browser = FakeBrowser(first.url)
    first.wait(1)
    # As when the process dies: no page is told anything.
    first._hub.close()
    until(browser.closed.is_set)
    with wg.Cluster(port=port, token=SECRET) as second:
        again = FakeBrowser(second.url, after=browser)
        second.wait(1)
        assert again.welcomes == 1
        assert second.submit(lambda gpu, x: gpu.array(x).numpy() * 2, np.float32([1, 2])).result(60).tolist() == [2, 4]
    first.close()
    assert SECRET not in caplog.text


def test_a_short_break_keeps_the_worker(empty: wg.Cluster) -> None:
    first = FakeBrowser(empty.url)
    empty.wait(1)
    first.close()
    FakeBrowser(empty.url, after=first)
    assert empty.submit(lambda gpu: float(gpu.array([3.0]).numpy()[0])).result(timeout=60) == 3.0
    assert [row.state for row in empty.workers if row.state != "gone"] == ["ready"]


def test_waiting_in_vain_says_why(empty: wg.Cluster) -> None:
    with pytest.raises(wg.ClusterError, match="0 of 3 browsers are ready after 0.1 s"):
        empty.wait(3, timeout=0.1)


def test_other_hosts_are_warned_of() -> None:
    with (
        pytest.warns(UserWarning, match="listens on 0.0.0.0"),
        wg.Cluster(host="0.0.0.0") as cluster,  # noqa: S104
    ):
        assert "token=" in cluster.url


def test_bad_arguments() -> None:
    with pytest.raises(wg.ClusterError, match="exchange is 'pigeon'"):
        wg.Cluster(exchange="pigeon")
    with wg.Cluster() as cluster:
        with pytest.raises(wg.ClusterError, match="start at least one"):
            cluster.launch(0)
        with pytest.raises(wg.ClusterError, match="cores"):
            cluster.launch(1000, cores=2)
        with pytest.raises(wg.ClusterError, match="cannot listen"):
            wg.Cluster(port=cluster._hub.port)
    with pytest.raises(wg.ClosedError):
        cluster.url  # noqa: B018
    cluster.close()
    assert "closed" in repr(cluster)


def test_importing_the_package_loads_no_dask() -> None:
    code = "import sys, webgpu_widget; print([m for m in ('dask', 'distributed', 'webgpu_widget.cluster') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
