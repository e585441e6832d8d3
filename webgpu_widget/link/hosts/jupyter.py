"""Jupyter kernels: ipykernel 7, ipykernel 6, and others that are shaped like them."""

from __future__ import annotations

import contextlib
import contextvars
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from webgpu_widget.link.hosts import _claim, ipykernel6, ipykernel7, unattended
from webgpu_widget.link.hosts.base import Host, Output, Send, Step


class _Displayed:
    """An output that has a display id."""

    def __init__(self, kernel: Any, display_id: str) -> None:
        self._kernel = kernel
        self._transient = {"display_id": display_id}
        self._parent: Any = None
        self._name_cell()

    def _name_cell(self) -> None:
        """Take the cell that runs, or the last: what runs a notebook unseen (nbclient) hears of the present cell alone."""
        with contextlib.suppress(LookupError, AttributeError):
            self._parent = self._kernel.shell.display_pub.parent_header

    def update(self, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """As `Output.update`."""
        kernel = self._kernel
        self._name_cell()
        content = {"data": data, "metadata": metadata, "transient": self._transient}
        kernel.session.send(
            kernel.iopub_socket,
            "update_display_data",
            content,
            parent=self._parent,
            ident=kernel._topic("update_display_data"),
        )


class Jupyter(Host):
    """A Jupyter kernel whose way of holding messages back is not known: they come when no cell runs.

    Parameters
    ----------
    kernel : ipykernel.kernelbase.Kernel
        The running kernel.
    """

    has_page = True
    transport = "comm"

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.refusal = self.refusal if "refusal" in vars(type(self)) else unattended.refusal()
        self.is_watched = unattended.is_watched()

    def claim(self, comm_id: str, receive: _claim.Receive) -> Callable[[], None]:
        """As `Host.claim`."""
        _claim.claims[comm_id] = receive
        return lambda: _claim.claims.pop(comm_id, None) and None

    def sender(self, widget: Any) -> Send:
        """As `Host.sender`."""
        parent: dict[str, Any] = {}
        with contextlib.suppress(LookupError, AttributeError):
            parent = self.kernel.get_parent()

        def send(message: Mapping[str, object], buffers: Sequence[Any]) -> None:
            try:
                widget.send(message, list(buffers))
            except LookupError:
                # ipykernel 7.0 knows no parent message, and so sends nothing, in threads that run no cell.
                contextvars.copy_context().run(send_for_cell, message, buffers)

        def send_for_cell(message: Mapping[str, object], buffers: Sequence[Any]) -> None:
            self.kernel._shell_parent.set(parent)
            widget.send(message, list(buffers))

        return send

    def show(self, widget: Any) -> None:
        """As `Host.show`."""
        from IPython.display import display

        display(widget)  # type: ignore[no-untyped-call]

    def display(self, data: dict[str, Any], metadata: dict[str, Any]) -> Output:
        """As `Host.display`."""
        from IPython.display import publish_display_data

        shown = _Displayed(self.kernel, uuid.uuid4().hex)
        publish_display_data(data, metadata, transient=shown._transient)  # type: ignore[no-untyped-call]
        return shown

    def after_cells(self, callback: Callable[[], None]) -> Callable[[], None]:
        """As `Host.after_cells`."""
        events = getattr(getattr(self.kernel, "shell", None), "events", None)
        if events is None:
            return super().after_cells(callback)

        def ended(*_: object) -> None:
            callback()

        events.register("post_run_cell", ended)
        return lambda: events.unregister("post_run_cell", ended)


class Ipykernel7(Jupyter):
    """ipykernel 7, which reads all messages in a thread: see `ipykernel7`."""

    def claim(self, comm_id: str, receive: _claim.Receive) -> Callable[[], None]:
        """As `Host.claim`."""
        ipykernel7.install(self.kernel)
        return super().claim(comm_id, receive)


class Ipykernel6(Jupyter):
    """ipykernel 6, which queues messages on the main thread: see `ipykernel6`."""

    def claim(self, comm_id: str, receive: _claim.Receive) -> Callable[[], None]:
        """As `Host.claim`."""
        ipykernel6.install(self.kernel)
        return super().claim(comm_id, receive)

    @contextlib.contextmanager
    def blocking(self) -> Iterator[Step]:
        """As `Host.blocking`."""
        drain = ipykernel6.install(self.kernel)

        def step(future: Future[Any], seconds: float) -> None:
            ipykernel6.wait(future, seconds, drain)

        yield step

    @contextlib.asynccontextmanager
    async def awaiting(self) -> AsyncIterator[Callable[[], float | None]]:
        """As `Host.awaiting`."""
        drain = ipykernel6.install(self.kernel)

        def step() -> float | None:
            drain()
            return ipykernel6.INTERVAL_S

        yield step
