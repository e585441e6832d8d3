"""Who reaches the Dask workers of this process: nobody where the scheduler is our own, and otherwise as few as can be.

Who reaches a Dask worker runs code in its process, unless Dask's `Security` is on: it asks for no password. So a worker listens on the one address that its
scheduler sees it by, and not at all where that is open to a network and nothing says who is there.
"""

from __future__ import annotations

from typing import Any

from distributed import Scheduler, Security, Worker
from distributed.comm.addressing import get_local_address_for, parse_address

from webgpu_widget import errors
from webgpu_widget.link.transports._names import is_loopback

__all__ = ["QuietScheduler", "QuietWorker", "host_for"]

_ENCRYPTED = ("tls", "wss")


class QuietScheduler(Scheduler):
    """A scheduler without the HTTP server that Dask starts with or without a dashboard: task names and call stacks for whoever asks."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Start none."""


class QuietWorker(Worker):
    """A worker that serves HTTP only where a dashboard was asked for."""

    serves_http = False

    def start_http_server(self, *args: Any, **options: Any) -> None:
        """Start it, or not."""
        if self.serves_http:
            super().start_http_server(*args, **options)


def host_for(scheduler: str, security: Security) -> str | None:
    """Return the address that workers of a scheduler listen on: this machine's end of the route to it.

    Parameters
    ----------
    scheduler : str
        The scheduler's address, as ``tls://10.0.0.5:8786``.
    security : distributed.Security
        What proves who is there.

    Returns
    -------
    str or None
        None for a scheduler in this process, whose workers listen nowhere.

    Raises
    ------
    ClusterError
        When the address is none, leads over a network without TLS, or needs a certificate that `security` does not have.
    """
    try:
        scheme = parse_address(scheduler, strict=False)[0]
        if scheme == "inproc":
            return None
        local = str(parse_address(get_local_address_for(scheduler))[1]).strip("[]")
    except (ValueError, OSError, TypeError) as error:
        raise errors.ClusterError(
            f"the scheduler's address {scheduler!r} leads nowhere: {error}; pass one like 'tcp://127.0.0.1:8786' or 'tls://10.0.0.5:8786'"
        ) from error
    if scheme in _ENCRYPTED:
        if security.get_listen_args("worker").get("ssl_context") is None:
            raise errors.ClusterError(
                f"the scheduler at {scheduler} speaks TLS, and there is no certificate for workers: pass "
                "security=distributed.Security(tls_ca_file=..., tls_worker_cert=..., tls_worker_key=..., tls_client_cert=..., tls_client_key=...)"
            )
    elif security.require_encryption:
        raise errors.ClusterError(
            f"security asks for encryption, and {scheduler} is an address without it: pass the scheduler's tls:// address"
        )
    elif not is_loopback(local):
        raise errors.ClusterError(
            f"the scheduler at {scheduler} is reached over a network, and a Dask worker that listens there (on {local}) without TLS runs the code of "
            "whoever connects to it. Start the scheduler with TLS and pass its tls:// address and security=distributed.Security(...), or reach it "
            "through a tunnel that ends on 127.0.0.1"
        )
    return local
