"""Under which names and addresses a hub is reached, and by which it refuses to be.

A web page can have its own name resolve to this machine's address (DNS rebinding) and then counts as of the same origin as what listens here. Such a request
says the page's name in its Host header, so a hub answers only to names that are its own.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import warnings
from urllib.parse import urlsplit

__all__ = [
    "hostname",
    "is_address",
    "is_any",
    "is_loopback",
    "outward_address",
    "own_names",
    "server_context",
    "warn_if_open",
    "with_port",
]

_ANY = frozenset({"", "0.0.0.0", "::"})  # noqa: S104
_DOCUMENTATION = "192.0.2.1"
"""An address that belongs to nobody (RFC 5737)."""


def hostname(netloc: str) -> str:
    """Return the name or address of ``host:port`` in lower case; empty when there is none, or it is malformed."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def is_any(host: str) -> bool:
    """Say whether listening on a host means all interfaces."""
    return host in _ANY


def is_address(name: str) -> bool:
    """Say whether a name is an IP address, which nobody can have resolve elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Say whether a host name or address (with or without port) means this machine."""
    name = host if is_address(host) else hostname(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return is_address(name) and ipaddress.ip_address(name).is_loopback


def own_names() -> frozenset[str]:
    """Return this machine's name, as it is and as the local network calls it."""
    name = socket.gethostname().lower()
    return frozenset({name, f"{name}.local"}) if name else frozenset()


def outward_address(host: str = _DOCUMENTATION, port: int = 9) -> str | None:
    """Return the address that this machine has towards a host, or towards others at large; None where there is no route."""
    with contextlib.suppress(OSError):
        family, kind, protocol, _, there = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # Connecting a UDP socket sends nothing; it only picks the address.
            probe.connect(there)
            return str(probe.getsockname()[0])
    return None


def with_port(host: str, port: int) -> str:
    """Return ``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def warn_if_open(host: str, what: str, then: str, stacklevel: int) -> None:
    """Warn when others than this machine's users reach what listens on a host."""
    if not is_loopback(host):
        warnings.warn(f"{what} listens on {host or 'all interfaces'}: {then}", stacklevel=stacklevel + 1)


def server_context(certificate: tuple[str, str]) -> ssl.SSLContext:
    """Make the context of an https server.

    Parameters
    ----------
    certificate : (str, str)
        Paths of a certificate and its key, both in PEM.

    Raises
    ------
    OSError
        When they cannot be used; the message says what to pass.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(*certificate)
    except (OSError, TypeError) as error:
        raise OSError(
            f"the certificate {certificate!r} cannot be used: {error}; pass the paths of a certificate and of its key, both in PEM"
        ) from error
    return context
