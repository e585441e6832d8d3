"""Read a socket's frames with few copies: a chunk of a large array is copied once on its way from the system to whoever takes the message.

tornado reads a message of 4 MiB in some sixty frames, makes new memory for each several times, and the system's work for that memory is most of what a large array
costs here. This reads into memory that is kept, unmasks in place and puts a message together in memory that is kept as well.
"""

from __future__ import annotations

import asyncio
from typing import cast

import numpy as np
import tornado.iostream
import tornado.websocket

from webgpu_widget.link.protocol import CHUNK_BYTES

_WINDOW_BYTES = 256 * 1024
"""Read from the system at once."""
_SMALL_BYTES = 64 * 1024
"""Messages up to this size are handed out in memory of their own."""
_KEPT_BYTES = 4 * CHUNK_BYTES
_CONTROL = 0x8
_LONGEST_CONTROL = 125
_BINARY = 2
_TOO_BIG = 1009


def turned(mask: int, count: int) -> int:
    """Return the mask, four bytes as a little-endian number, that goes on where another has masked ``count`` bytes."""
    turn = 8 * (count % 4)
    return (mask >> turn | mask << 32 - turn) & 0xFFFFFFFF


class Window:
    """Memory that is read into, and unmasked in place."""

    def __init__(self, size_bytes: int) -> None:
        room = np.empty(size_bytes, np.uint8)
        self._words = room.view("<u8")
        self.bytes = room.data

    def unmask(self, start: int, stop: int, mask: int) -> None:
        """Undo WebSocket's masking (RFC 6455, 5.3) of the bytes from ``start`` to ``stop``, whose first one has the mask's first byte."""
        first, last = -(-start // 8), stop // 8
        if first >= last:
            self._unmask_each(start, stop, mask)
            return
        self._unmask_each(start, 8 * first, mask)
        words = self._words[first:last]
        np.bitwise_xor(words, np.uint64(0x1_0000_0001 * turned(mask, 8 * first - start)), out=words)
        self._unmask_each(8 * last, stop, turned(mask, 8 * last - start))

    def _unmask_each(self, start: int, stop: int, mask: int) -> None:
        for at in range(start, stop):
            self.bytes[at] ^= mask & 0xFF
            mask = mask >> 8 | (mask & 0xFF) << 24


class Message:
    """The memory that a connection's messages are put together in, one after another."""

    def __init__(self) -> None:
        self._room = bytearray()
        self.size = 0

    def add(self, piece: memoryview) -> None:
        """Put bytes behind those that are there."""
        end = self.size + len(piece)
        if end > len(self._room):
            # The whole room is memory in use: it never grows beyond twice what has come.
            self._room.extend(bytes(max(end, min(2 * len(self._room), 2 * end)) - len(self._room)))
        self._room[self.size : end] = piece
        self.size = end

    def take(self) -> memoryview | bytes:
        """Return the message that is complete, and begin the next one.

        A small one has memory of its own: it may be kept for long, and keeps no more than its own size.
        """
        size, self.size = self.size, 0
        with memoryview(self._room) as whole:
            return (
                bytes(whole[:size]) if 2 * size < len(self._room) or size <= _SMALL_BYTES else whole[:size].toreadonly()
            )

    def give_back(self) -> None:
        """Use the memory again, unless it is much, or somebody still holds what `take` returned."""
        if len(self._room) > _KEPT_BYTES:
            self._room = bytearray()
            return
        try:
            # Memory that others look at cannot be resized.
            self._room.append(0)
            self._room.pop()
        except BufferError:
            self._room = bytearray()


class Frames(tornado.websocket.WebSocketProtocol13):
    """tornado's protocol with a reader of its own. A message is gone, or other bytes stand in it, once `on_message` has returned and nobody holds a view of it."""

    @classmethod
    def of(cls, made: tornado.websocket.WebSocketProtocol13) -> Frames:
        """Take the place of a protocol that has not begun."""
        return cls(made.handler, made.mask_outgoing, made.params)

    async def _receive_frame_loop(self) -> None:
        self._window = Window(_WINDOW_BYTES)
        self._from = self._to = 0
        self._message = Message()
        self._opcode = 0
        self._unyielded = 0
        try:
            while not self.client_terminated:
                await self._take_frame()
        except tornado.iostream.StreamClosedError:
            self._abort()
        finally:
            self.handler.on_ws_connection_close(self.close_code, self.close_reason)

    async def _fill(self, needed: int) -> None:
        """Read on until so many bytes are in the window."""
        room = self._window.bytes
        while self._to - self._from < needed:
            if self._from == self._to:
                self._from = self._to = 0
            elif self._from + needed > len(room):
                left = bytes(room[self._from : self._to])
                self._from, self._to = 0, len(left)
                room[: self._to] = left
            read = await self.stream.read_into(cast("bytearray", room[self._to :]), partial=True)
            self._to += read
            self._unyielded += read
            if self._unyielded >= _WINDOW_BYTES:
                # What is here already is read without waiting: others have their turn all the same.
                self._unyielded = 0
                await asyncio.sleep(0)

    async def _next(self, count: int) -> memoryview:
        if self._to - self._from < count:
            await self._fill(count)
        self._from += count
        return self._window.bytes[self._from - count : self._from]

    async def _take_frame(self) -> None:
        first, second = await self._next(2)
        final, opcode, size = first & self.FIN, first & self.OPCODE_MASK, second & 0x7F
        is_control = opcode & _CONTROL
        begins = opcode != 0
        if (
            first & self.RSV_MASK
            or (is_control and (size > _LONGEST_CONTROL or not final))
            or (not is_control and begins == (self._opcode != 0))
        ):
            self._abort()
            return
        if size > _LONGEST_CONTROL:
            size = int.from_bytes(await self._next(2 if size == _LONGEST_CONTROL + 1 else 8), "big")
        if (0 if is_control else self._message.size) + size > self.params.max_message_size:
            self.close(_TOO_BIG, "message too big")
            self._abort()
            return
        mask = int.from_bytes(await self._next(4), "little") if second & 0x80 else 0
        if is_control:
            payload = await self._next(size)
            self._window.unmask(self._from - size, self._from, mask)
            await self._handle(opcode, bytes(payload))
            return
        self._opcode = opcode or self._opcode
        while size:
            if self._from == self._to:
                await self._fill(1)
            stop = min(self._to, self._from + size)
            count = stop - self._from
            self._window.unmask(self._from, stop, mask)
            self._message.add(self._window.bytes[self._from : stop])
            self._from = stop
            size -= count
            mask = turned(mask, count)
        if final:
            opcode, self._opcode = self._opcode, 0
            data = self._message.take()
            await self._handle(opcode, cast("bytes", data if opcode == _BINARY else bytes(data)))
            del data
            self._message.give_back()

    async def _handle(self, opcode: int, data: bytes) -> None:
        handled = self._handle_message(opcode, data)
        if handled is not None:
            await handled
