"""A relay of TCP connections to a broker, whose connections can be cut at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Self

from chaos.rounds import free_ports

_HOST = "127.0.0.1"
_Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


class Relay:
    """Passes bytes between three ports of its own and a broker's.

    Attributes:
        url: where it listens.
        connections: how many connections it has taken.
    """

    def __init__(self, broker: str) -> None:
        self._back = int(broker.rpartition(":")[2])
        self._front = free_ports()
        self.url = f"tcp://{_HOST}:{self._front}"
        self.connections = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Cut all connections."""
        self._do(self._cut())

    def _do(self, what: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def _listen(self) -> None:
        self._servers = [
            await asyncio.start_server(self._relaying(self._back + n), _HOST, self._front + n)
            for n in range(3)
        ]

    def _relaying(self, port: int) -> _Handler:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._open.add(writer)
            self.connections += 1
            with contextlib.suppress(OSError, asyncio.CancelledError):
                there_reader, there = await asyncio.open_connection(_HOST, port)
                await asyncio.gather(_pump(reader, there), _pump(there_reader, writer))
            self._open.discard(writer)
            writer.close()

        return relay

    async def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()
