"""ipykernel 7: a hook in the thread that reads all shell messages.

ipykernel 7 reads the shell socket in a thread, "Shell channel", and hands each message to the main thread or a subshell. User code never blocks
that thread, so our messages are delivered from there. It replaces the socket's callback, which ipykernel offers no hook for; delete this when a
kernel can be asked to deliver a comm's messages out of turn. Works on 7.0 to 7.4, with subshells and without.

Before 7.4 the thread sends replies on the bare shell socket, which it reads through a stream. Such a send can swallow the socket's edge-triggered
wake-up (https://github.com/ipython/ipykernel/pull/1529): a message that arrives at that moment is never read, and the kernel stands still. A page
that answers a cell while the cell's own reply goes out meets that often, so the replies are sent through the stream here, as 7.4 does.
"""

from __future__ import annotations

from typing import Any

from webgpu_widget.link.hosts._claim import claim

_NEEDS = ("shell_channel_thread", "shell_stream", "shell_channel_thread_main")


def fits(kernel: Any) -> bool:
    """Whether the kernel has such a thread."""
    return all(getattr(kernel, name, None) is not None for name in _NEEDS)


def install(kernel: Any) -> None:
    """Put the hook in place, once per kernel."""
    if getattr(kernel, "_webgpu_widget_hook", False):
        return
    original = kernel.shell_channel_thread_main

    async def hooked(frames: list[Any]) -> None:
        if not claim(kernel, frames):
            await original(frames)

    stream = kernel.shell_stream
    manager = kernel.shell_channel_thread.manager
    if getattr(manager, "_shell_socket", None) is stream.socket:
        manager._shell_socket = stream  # it only calls send_multipart(), in the thread of the stream
    stream.io_loop.add_callback(lambda: stream.on_recv(hooked, copy=False))
    kernel._webgpu_widget_hook = True
