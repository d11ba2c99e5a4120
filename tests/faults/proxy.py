"""A TCP proxy before a server that loses replies, refuses, stalls, or cuts everything, when a test says so."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

Writer = asyncio.StreamWriter


class FaultProxy:
    """``port`` is where it listens. ``cut_reply_to``: once a client has sent these bytes, the server gets them, and
    its answer is lost with the connection (once). ``stall_reply_to``: its answer and all that follows wait instead.
    ``stall()``: nothing goes through any more until ``flow()``."""

    def __init__(self, port: int) -> None:
        self._server_port, self.port = port, 0
        self.cut_reply_to: bytes | None = None
        self.stall_reply_to: bytes | None = None
        self.cuts = 0
        self.refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[Writer] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._listener:
            self._listener.close()
        self.cut_all()
        self._flowing.set()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def stall(self) -> None:
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    def cut_all(self) -> None:
        """Resets every connection."""
        for writer in list(self._open):
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, client: Writer) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            await self._between(reader, client)
        finally:
            self._tasks.discard(task)

    async def _between(self, reader: asyncio.StreamReader, client: Writer) -> None:
        if self.refusing:
            _reset(client)
            return
        answers, server = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._open |= {client, server}
        armed = asyncio.Event()
        try:
            await asyncio.gather(self._there(reader, server, armed), self._back(answers, client, armed))
        finally:
            self._open -= {client, server}
            _reset(client)
            _reset(server)

    async def _there(self, reader: asyncio.StreamReader, server: Writer, armed: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                if self.cut_reply_to and self.cut_reply_to in data:
                    self.cut_reply_to = None
                    armed.set()
                if self.stall_reply_to and self.stall_reply_to in data:
                    self.stall_reply_to = None
                    self.stall()
                server.write(data)
                await server.drain()
        server.close()

    async def _back(self, answers: asyncio.StreamReader, client: Writer, armed: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await answers.read(65536):
                await self._flowing.wait()
                if armed.is_set():
                    self.cuts += 1
                    _reset(client)
                    return
                client.write(data)
                await client.drain()
        client.close()


def _reset(writer: Writer) -> None:
    """RST instead of FIN: what the other side sees when a machine or a firewall goes away."""
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
