"""What a transport is."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from webgpu_widget.link.hosts import Host

if TYPE_CHECKING:
    from webgpu_widget.link.connection import Connection
    from webgpu_widget.link.protocol import Lane
    from webgpu_widget.link.transports._hub import Hub


class Transport(abc.ABC):
    """A way to a page.

    A transport opens links on its connection (`Connection.open_link`), passes on what arrives (`receive`) and says when a link is gone
    (`close_link`). It promises that a link delivers whole messages in order, or closes; the session does the rest. ``send`` never waits.
    """

    name: str
    host: Host = Host()
    """Where a cell waits for messages: the one whose comm carries them, else one that holds none back."""
    reconnect_s = 3.0
    """Seconds that a page without a link has to come back in."""
    page_ended = "the page was closed or reloaded"
    """What is said of one that has not."""
    starts_pages = False
    """Whether it starts another page by itself when one is gone; elsewhere a person has to."""

    @abc.abstractmethod
    def start(self, connection: Connection) -> None:
        """Begin; must not wait for the page."""

    @abc.abstractmethod
    def advice(self) -> str:
        """Say what a user does when no page has answered."""

    @abc.abstractmethod
    def close(self) -> None:
        """End links and processes. May be called twice."""

    @property
    def url(self) -> str | None:
        """What to open in a browser, if anything."""
        return None

    @property
    def hub(self) -> Hub:
        """The hub that serves this process's files to the page."""
        from webgpu_widget.link.transports._hub import Hub

        return Hub.shared()

    def address_for_page(self, url: str) -> str:
        """Return how the page calls what its hub serves: by the path alone, since the same hub served the page, under whatever name."""
        return "/" + url.split("/", 3)[3]

    def offer_lane(self, hello: dict[str, Any]) -> Lane | None:  # noqa: ARG002
        """Return a WebSocket for the page that said hello to open beside the comm, if it makes sense."""
        return None

    def connected(self, hello: dict[str, Any]) -> None:  # noqa: B027
        """Hear that a page leads. Called with the connection's lock held: be quick."""

    def page_lost(self, *, left: bool) -> None:  # noqa: B027
        """Hear that the page that led is given up; ``left`` when it is known to be gone. As `connected`."""

    def device_lost(self) -> None:  # noqa: B027
        """Hear that the page that leads has lost its device. As `connected`."""

    def worn_out(self) -> str | None:
        """Say why the page that leads should do no more work and be replaced, if so."""
        return None

    def revive(self) -> None:  # noqa: B027
        """Bring a page, if that is in our hands: a wait begins, and none leads."""

    def nudge(self, silent_s: float) -> None:  # noqa: B027
        """Hear, now and then during a wait, that no page has answered for ``silent_s`` seconds."""

    def comes_back(self, gone_at: float) -> bool:  # noqa: ARG002
        """Whether a page is known to be on its way since one said goodbye, at ``gone_at`` (monotonic seconds): asked when none has come at once."""
        return False

    def restart(self) -> bool:
        """Replace a page whose GPU hangs or is gone, if that is in our hands; returns whether it was done."""
        return False

    def obituary(self) -> str | None:
        """Say why a page that had answered is gone, if that is known."""
        return None

    def failure(self) -> str | None:
        """Say why no page can come any more, if so."""
        return None
