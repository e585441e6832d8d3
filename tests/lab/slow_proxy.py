"""A proxy as there is before a hub: each way takes its time, and so many bytes pass in a second."""

from __future__ import annotations

import asyncio
import threading
import time

_PIECE = 65536


class SlowProxy:
    """TCP from a port of its own to another one on loopback.

    Parameters
    ----------
    target : int
        The port that it leads to.
    delay_s : float
        What each way takes.
    bytes_per_second : float
        What passes each way, over all connections.
    """

    def __init__(self, target: int, delay_s: float, bytes_per_second: float) -> None:
        self.target, self.delay_s, self.rate = target, delay_s, bytes_per_second
        self.passed = [0, 0]
        self._free_at = [0.0, 0.0]
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", 0))
        self.port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._carry(reader, far_writer, 0), self._carry(far_reader, writer, 1))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: int) -> None:
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)

        async def give() -> None:
            while True:
                due, piece = await line.get()
                self._free_at[way] = max(self._free_at[way], due) + len(piece) / self.rate
                await asyncio.sleep(max(0.0, self._free_at[way] - time.monotonic()))
                if not piece:
                    return
                writer.write(piece)
                self.passed[way] += len(piece)
                await writer.drain()

        giving = asyncio.ensure_future(give())
        try:
            while True:
                piece = await reader.read(_PIECE)
                await line.put((time.monotonic() + self.delay_s, piece))
                if not piece:
                    break
            await giving
        except (OSError, asyncio.CancelledError):
            giving.cancel()
        finally:
            writer.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
