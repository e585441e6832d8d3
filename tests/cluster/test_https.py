"""Joining from another machine's point of view: by https, at this machine's own address."""

from __future__ import annotations

import pathlib
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from certificate import make_certificate
from fake_browser import FakeBrowser, until

import webgpu_widget as wg

JOIN_S = 120.0


@pytest.fixture
def paths(tmp_path: pathlib.Path) -> tuple[str, str]:
    return make_certificate(tmp_path)


@pytest.fixture
def cluster(paths: tuple[str, str]) -> Iterator[wg.Cluster]:
    with (
        pytest.warns(UserWarning, match="listens on 0.0.0.0"),
        wg.Cluster(host="0.0.0.0", certificate=paths) as made,  # noqa: S104
    ):
        yield made


def fetch(url: str, trusted: str | None = None) -> dict[str, str]:
    """Return the headers of the page."""
    context = ssl.create_default_context(cafile=trusted) if url.startswith("https") else None
    with urllib.request.urlopen(url, context=context, timeout=10) as page:  # noqa: S310 - http or https
        return dict(page.headers)


def test_a_page_joins_by_https_and_checks_the_certificate(cluster: wg.Cluster, paths: tuple[str, str]) -> None:
    assert urlsplit(cluster.url).scheme == "https"
    here = cluster._hub.page_url(cluster._token)
    assert fetch(here, paths[0])["Referrer-Policy"] == "no-referrer"
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(here)
    FakeBrowser(here, certificate=paths[0])
    cluster.wait(1)
    assert cluster.submit(lambda gpu, x: gpu.array(x).numpy() * 2, np.float32([1, 2])).result(60).tolist() == [2, 4]


def test_plain_http_disturbs_nobody(cluster: wg.Cluster, paths: tuple[str, str]) -> None:
    here = cluster._hub.page_url(cluster._token)
    good = FakeBrowser(here, certificate=paths[0])
    cluster.wait(1)
    with pytest.raises(OSError, match=r"."):
        fetch(here.replace("https", "http"))
    assert cluster.submit(lambda gpu: float(gpu.array([3.0]).numpy()[0])).result(60) == 3.0
    assert not good.closed.is_set()


def test_a_certificate_that_is_none_is_said(paths: tuple[str, str]) -> None:
    for wrong in ((paths[0], paths[0]), (paths[0], "nowhere.pem"), paths[0]):
        with pytest.raises(wg.ClusterError, match=r"cannot be used: .*both in PEM"):
            wg.Cluster(certificate=wrong)  # type: ignore[arg-type]


def test_a_browser_computes_for_this_machines_own_address(cluster: wg.Cluster, rng: np.random.Generator) -> None:
    """As from another machine: not loopback, so the browser offers WebGPU because of https alone."""
    public = urlsplit(cluster.url)
    local = cluster._hub.page_url
    cluster._hub.page_url = lambda token: local(token, public=True)  # type: ignore[method-assign]
    # It signs itself, which a user would have to accept in the browser; a proxy of the environment need not reach this machine.
    cluster.launch(1, flags=["--ignore-certificate-errors", "--no-proxy-server"])
    until(lambda: cluster._roster.present("ready") or cluster._launched.failures(), JOIN_S)
    for why in cluster._launched.failures():
        if "nss_error" in why:
            pytest.skip(f"this browser came without its library for https: {why}")
    cluster.wait(1, timeout=JOIN_S)
    assert {member.remote for member in cluster._roster.present()} == {public.hostname}
    a, b = rng.standard_normal((40, 30), np.float32), rng.standard_normal((30, 20), np.float32)
    made = cluster.matmul(a, b, block=16)
    # 30 products, each rounded once and added with one rounding.
    np.testing.assert_allclose(made, a.astype(np.float64) @ b, atol=30 * 2**-23 * 30)
    cluster._launched.browsers[0].close()
    until(lambda: not cluster._roster.present())


@pytest.mark.parametrize("open_to_all", [False, True])
def test_a_page_of_one_gpu_is_reached_by_https_alone(
    paths: tuple[str, str], *, open_to_all: bool, recwarn: pytest.WarningsRecorder
) -> None:
    gpu = wg.GPU(transport="page", host="0.0.0.0" if open_to_all else "127.0.0.1", certificate=paths)  # noqa: S104
    said = [str(warning.message) for warning in recwarn]
    assert len(said) == open_to_all
    assert not any("without a certificate" in text for text in said)
    try:
        assert urlsplit(gpu.url).scheme == "https"
        here = gpu._device.transport._hub.page_url(gpu._device.transport._token)
        assert fetch(here, paths[0])["Referrer-Policy"] == "no-referrer"
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            fetch(here)
        with pytest.raises(OSError, match=r"."):
            fetch(here.replace("https", "http"))
        with pytest.raises(OSError, match=r"."):
            FakeBrowser(here.replace("https", "http"))
        assert not gpu._device.connection.connected
        FakeBrowser(here, certificate=paths[0])
        assert gpu.array(np.float32([1, 2])).numpy(timeout=20).tolist() == [1, 2]
    finally:
        gpu.close()


def test_a_page_says_so_when_its_certificate_is_none(paths: tuple[str, str]) -> None:
    for wrong in ((paths[0], paths[0]), (paths[0], "nowhere.pem")):
        with pytest.raises(wg.FrontendError, match=r"cannot be used: .*both in PEM"):
            wg.GPU(transport="page", certificate=wrong)
