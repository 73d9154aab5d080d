"""Gateway sessions, which survive their connections, and connections, which send packets in order."""

import asyncio
import importlib
import json
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.emulators.discord.state import DiscordGuildState, DiscordReader, Json

Compressor = Callable[[str], bytes]


class UnsupportedCompression(ValueError):
    """The compression is neither zlib-stream nor, with the package zstandard, zstd-stream."""


def create_compressor(kind: str) -> Compressor:
    """Return a connection's compressor: all texts pass through one stream, flushed after each."""
    if kind == "zlib-stream":
        return _zlib()
    if kind == "zstd-stream":
        return _zstd()
    raise UnsupportedCompression(kind)


def _zlib() -> Compressor:
    stream = zlib.compressobj()
    return lambda text: stream.compress(text.encode()) + stream.flush(zlib.Z_SYNC_FLUSH)


def _zstd() -> Compressor:
    """Return a zstd compressor. The package zstandard is optional here, as in discord.py."""
    try:
        library: Any = importlib.import_module("zstandard")
    except ImportError as error:
        raise UnsupportedCompression("zstd-stream needs the package zstandard") from error
    stream = library.ZstdCompressor().compressobj()
    return lambda text: bytes(stream.compress(text.encode()) + stream.flush(library.COMPRESSOBJ_FLUSH_BLOCK))


DISPATCH = 0
GUILDS, MEMBERS, PRESENCES, MESSAGES, DIRECT_MESSAGES, MESSAGE_CONTENT = (
    1 << 0,
    1 << 1,
    1 << 8,
    1 << 9,
    1 << 12,
    1 << 15,
)
REACTIONS, DIRECT_REACTIONS = 1 << 10, 1 << 13


@dataclass(eq=False)
class DiscordGatewaySession:
    """A client's state between connections. RESUME replays `events`."""

    id: str
    intents: int
    shard: int = 0
    shards: int = 1
    sequence: int = 0
    events: list[Json] = field(default_factory=list)
    connection: "DiscordGatewayConnection | None" = None

    @property
    def reader(self) -> DiscordReader:
        return DiscordReader(message_content=bool(self.intents & MESSAGE_CONTENT))

    def receives(self, event: str, guild: DiscordGuildState | None) -> bool:
        if guild is not None and (guild.id >> 22) % self.shards != self.shard:
            return False
        if guild is None and self.shard != 0:
            return False
        return event == "INTERACTION_CREATE" or bool(self.intents & _intent_of(event, guild))

    def dispatch(self, event: str, payload: Json) -> None:
        self.sequence += 1
        packet = {"op": DISPATCH, "t": event, "s": self.sequence, "d": payload}
        self.events.append(packet)
        if self.connection is not None:
            self.connection.send(packet)


def _intent_of(event: str, guild: DiscordGuildState | None) -> int:
    if event.startswith("MESSAGE_REACTION_"):
        return REACTIONS if guild is not None else DIRECT_REACTIONS
    if event.startswith("MESSAGE_"):
        return MESSAGES if guild is not None else DIRECT_MESSAGES
    if event.startswith("GUILD_MEMBER_"):
        return MEMBERS
    return GUILDS


class DiscordGatewayConnection:
    """A websocket. Packets leave in order, each after the latency."""

    def __init__(self, socket: web.WebSocketResponse, compress: Compressor | None, latency_seconds: float) -> None:
        self.socket = socket
        self.packet_times: deque[float] = deque()
        self._compress = compress
        self._latency_seconds = latency_seconds
        self._queue: asyncio.Queue[tuple[float, Json]] = asyncio.Queue()
        self._writer = asyncio.create_task(self._write())

    def send(self, packet: Json) -> None:
        self._queue.put_nowait((asyncio.get_running_loop().time() + self._latency_seconds, packet))

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, packet = await self._queue.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            text = json.dumps(packet)
            try:
                if self._compress is None:
                    await self.socket.send_str(text)
                else:
                    await self.socket.send_bytes(self._compress(text))
            except ConnectionError:
                return

    async def close(self, code: int) -> None:
        self._writer.cancel()
        await self.socket.close(code=code)

    def stop(self) -> None:
        self._writer.cancel()
