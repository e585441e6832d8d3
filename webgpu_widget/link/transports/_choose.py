"""Which transport a GPU gets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from webgpu_widget import errors
from webgpu_widget.link import hosts
from webgpu_widget.link.hosts import Host
from webgpu_widget.link.transports.base import Transport
from webgpu_widget.link.transports.comm import CommTransport

if TYPE_CHECKING:
    import anywidget

TransportName = Literal["auto", "comm", "page", "headless"]
_NAMES = ("auto", "comm", "page", "headless")


@dataclass(frozen=True)
class Choice:
    """A transport by name, to be bound to its widget."""

    name: str
    host: str
    port: int
    where: Host
    token: str | None = None
    certificate: tuple[str, str] | None = None

    def bind(self, widget: anywidget.AnyWidget) -> Transport:
        """Make it."""
        if self.name == "comm":
            return CommTransport(widget, self.where)
        if self.name == "page":
            from webgpu_widget.link.transports.page import PageTransport

            return PageTransport(self.host, self.port, token=self.token, certificate=self.certificate)
        from webgpu_widget.link.transports.headless import HeadlessTransport

        return HeadlessTransport()


@dataclass(frozen=True)
class Given:
    """A transport that the caller has made."""

    transport: Transport

    @property
    def name(self) -> str:
        """Its name."""
        return self.transport.name

    def bind(self, widget: anywidget.AnyWidget) -> Transport:  # noqa: ARG002
        """Return it."""
        return self.transport


def make_transport(
    name: TransportName | Transport,
    host: str,
    port: int,
    token: str | None = None,
    certificate: tuple[str, str] | None = None,
) -> Choice | Given:
    """Choose: the name given, else ``WEBGPU_WIDGET_TRANSPORT``, else by where this code runs.

    Raises
    ------
    FrontendError
        For an unknown name, or ``comm`` in a host whose page cannot compute for its cells.
    """
    if isinstance(name, Transport):
        return Given(name)
    chosen = name
    if chosen == "auto":
        chosen = cast("TransportName", os.environ.get("WEBGPU_WIDGET_TRANSPORT", "auto") or "auto")
    if chosen not in _NAMES:
        raise errors.FrontendError(f"transport is {chosen!r}; it is one of {', '.join(map(repr, _NAMES))}")
    where = hosts.here()
    if chosen == "auto":
        chosen = cast("TransportName", where.transport)
    if chosen == "comm" and where.refusal:
        raise errors.NoFrontendError(where.refusal)
    return Choice(chosen, host, port, where, token, certificate)
