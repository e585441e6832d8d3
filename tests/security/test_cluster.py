"""A cluster opens nothing by which strangers run code or read what it does."""

from __future__ import annotations

import logging
import os
import pathlib
import sys

import distributed
import psutil
import pytest
from distributed import LocalCluster, Security

import webgpu_widget as wg
from webgpu_widget.cluster import reach
from webgpu_widget.link.transports import _names

sys.path.append(str(pathlib.Path(__file__).parent.parent / "cluster"))
from certificate import make_certificate
from fake_browser import FakeBrowser


def listening() -> set[tuple[str, int]]:
    """Addresses that this process listens on."""
    found = psutil.Process(os.getpid()).net_connections(kind="inet")
    return {(one.laddr.ip, one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN}


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "distributed")


def test_a_cluster_listens_with_its_hub_and_nothing_else() -> None:
    before = listening()
    with wg.Cluster() as cluster:
        FakeBrowser(cluster.url)
        cluster.wait(1)
        assert cluster.submit(lambda gpu: 1).result(60) == 1
        assert listening() - before == {("127.0.0.1", cluster._hub.port)}


def test_dasks_pages_are_there_when_they_are_asked_for() -> None:
    before = listening()
    with wg.Cluster(dashboard_address="127.0.0.1:0") as cluster:
        FakeBrowser(cluster.url)
        cluster.wait(1)
        opened = listening() - before
        assert len(opened) == 3, "hub, scheduler's pages, worker's pages"
        assert {address for address, _ in opened} == {"127.0.0.1"}


def local_scheduler(**more: object) -> LocalCluster:
    return LocalCluster(n_workers=0, processes=False, dashboard_address=None, host="127.0.0.1", **more)


def test_workers_of_a_scheduler_on_loopback_listen_on_loopback() -> None:
    with local_scheduler(protocol="tcp://") as plain:
        before = listening()
        with wg.Cluster(scheduler=plain.scheduler_address) as cluster:
            FakeBrowser(cluster.url)
            cluster.wait(1)
            assert cluster.submit(lambda gpu: 2).result(60) == 2
            opened = listening() - before
            assert len(opened) == 2, "hub and worker"
            assert {address for address, _ in opened} == {"127.0.0.1"}


def test_a_scheduler_with_certificates_is_joined_with_them(tmp_path: pathlib.Path) -> None:
    certificate, key = make_certificate(tmp_path)
    roles = {
        f"tls_{role}_{kind}": path
        for role in ("scheduler", "worker", "client")
        for kind, path in (("cert", certificate), ("key", key))
    }
    security = Security(tls_ca_file=certificate, require_encryption=True, **roles)
    with local_scheduler(protocol="tls://", security=security) as guarded:
        with pytest.raises(wg.ClusterError, match="no certificate for workers: pass security="):
            wg.Cluster(scheduler=guarded.scheduler_address)
        with wg.Cluster(scheduler=guarded.scheduler_address, security=security) as cluster:
            FakeBrowser(cluster.url)
            cluster.wait(1)
            assert cluster.submit(lambda gpu: 3).result(60) == 3
            address = cluster._roster.present()[0].address
            assert address.startswith("tls://127.0.0.1:")
            # A stranger without a certificate gets no word with the worker.
            with pytest.raises(OSError, match=r"."):
                distributed.Client(address.replace("tls://", "tcp://"), timeout=3)


@pytest.mark.parametrize("address", ["tcp://192.0.2.7:8786", "192.0.2.7:8786", "ws://192.0.2.7:8786"])
def test_an_open_interface_without_certificates_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Towards whatever network there is, as if there were one.
    monkeypatch.setattr(reach, "get_local_address_for", lambda _: "tcp://10.1.2.3")
    before = listening()
    with pytest.raises(wg.ClusterError, match=r"on 10\.1\.2\.3\) without TLS .* security=distributed\.Security"):
        wg.Cluster(scheduler=address)
    assert listening() == before


def test_this_machines_own_address_is_an_open_interface() -> None:
    own = _names.outward_address()
    if own is None or _names.is_loopback(own):
        own = "203.0.113.9"
        with pytest.raises(wg.ClusterError, match="leads nowhere"):
            reach.host_for(f"tcp://{own}:8786", Security())
        return
    with pytest.raises(wg.ClusterError, match="without TLS"):
        reach.host_for(f"tcp://{own}:8786", Security())


def test_encryption_that_is_asked_for_is_not_left_out() -> None:
    with pytest.raises(wg.ClusterError, match="tls:// address"):
        wg.Cluster(scheduler="tcp://127.0.0.1:8786", security=Security(require_encryption=True))


@pytest.mark.parametrize("address", ["nonsense://x", "tcp://no.such.host.invalid:1", "tcp://"])
def test_an_address_that_leads_nowhere_is_said(address: str) -> None:
    with pytest.raises(wg.ClusterError, match="leads nowhere"):
        wg.Cluster(scheduler=address)
