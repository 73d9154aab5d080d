"""Serves the gateway: HELLO, IDENTIFY, READY, heartbeats and RESUME, and each way in which a connection breaks."""

import json
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from tests.emulators.discord.payloads import guild_create_json, member_json, user_json
from tests.emulators.discord.sessions import (
    MEMBERS,
    MESSAGE_CONTENT,
    PRESENCES,
    DiscordGatewayConnection,
    DiscordGatewaySession,
    UnsupportedCompression,
    create_compressor,
)
from tests.emulators.discord.state import DiscordGuildState, DiscordReader, Json

if TYPE_CHECKING:
    from tests.emulators.discord.emulator import DiscordEmulator


HEARTBEAT, IDENTIFY, PRESENCE, VOICE_STATE, RESUME = 1, 2, 3, 4, 6
RECONNECT, REQUEST_MEMBERS, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 7, 8, 9, 10, 11

_ALL_INTENTS = (1 << 17) - 1 | 3 << 20 | 3 << 24
_APPLICATION_FLAGS = {PRESENCES: 3 << 12, MEMBERS: 3 << 14, MESSAGE_CONTENT: 3 << 18}
"""Application flags that allow a privileged intent, for verified and for unverified applications."""

MAX_PACKET_BYTES = 4096
MAX_PACKETS_PER_MINUTE = 120


class GatewayClosed(Exception):
    """Close the connection with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class DiscordGatewayServer:
    """All gateway sessions. `ignores_heartbeats` leaves heartbeats unacknowledged: a zombie connection."""

    def __init__(self, emulator: "DiscordEmulator") -> None:
        self._emulator = emulator
        self.sessions: dict[str, DiscordGatewaySession] = {}
        self.ignores_heartbeats = False
        self.is_down = False
        """While True, new connections are refused."""
        self.identify_count = 0
        self.resume_count = 0
        self.heartbeat_count = 0
        self.heartbeat_seconds = 41.25
        self.identify_interval_seconds = 0.0
        """Minimum seconds between two IDENTIFYs, else INVALID_SESSION. Discord's value is 5."""
        self.close_codes: list[int] = []
        """Close codes sent for a client's mistake."""
        self._last_identify = float("-inf")
        self._connections: set[DiscordGatewayConnection] = set()

    @property
    def connected_sessions(self) -> list[DiscordGatewaySession]:
        """Return the sessions that have a connection."""
        return [session for session in self.sessions.values() if session.connection is not None]

    def announce(
        self, event: str, guild: DiscordGuildState | None, build_payload: Callable[[DiscordReader], Json]
    ) -> None:
        for session in self.sessions.values():
            if (guild is None or guild.has_bot or event == "INTERACTION_CREATE") and session.receives(event, guild):
                session.dispatch(event, build_payload(session.reader))

    def has_listener(self, guild: DiscordGuildState | None) -> bool:
        """Return whether a client would receive an interaction sent now."""
        return any(session.receives("INTERACTION_CREATE", guild) for session in self.connected_sessions)

    # Injected failures.

    def request_reconnect(self) -> None:
        """Send RECONNECT to all sessions: clients reconnect and resume."""
        for session in self.connected_sessions:
            assert session.connection is not None
            session.connection.send({"op": RECONNECT, "d": None})

    def invalidate_sessions(self, *, resumable: bool = False) -> None:
        """Send INVALID_SESSION to all sessions; missed events are lost unless `resumable`."""
        for session in self.connected_sessions:
            assert session.connection is not None
            session.connection.send({"op": INVALID_SESSION, "d": resumable})
            if not resumable:
                del self.sessions[session.id]

    async def close_connections(self, code: int) -> None:
        """Close each connection with a code; sessions can be resumed."""
        for connection in list(self._connections):
            self._forget(connection)
            await connection.close(code)

    def drop_connections(self) -> None:
        """Abort each connection without a close frame."""
        for connection in list(self._connections):
            self._forget(connection)
            connection.stop()
            transport = connection.socket._req.transport if connection.socket._req else None
            if transport is not None:
                transport.abort()

    def _forget(self, connection: DiscordGatewayConnection) -> None:
        self._connections.discard(connection)
        for session in self.sessions.values():
            if session.connection is connection:
                session.connection = None

    # Protocol.

    async def handle(self, http: web.Request) -> web.StreamResponse:
        if self.is_down:
            return web.Response(status=503)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(http)
        kind = http.query.get("compress")
        try:
            compress = create_compressor(kind) if kind else None
        except UnsupportedCompression:
            await socket.close(code=4002)
            return socket
        connection = DiscordGatewayConnection(socket, compress, self._emulator.gateway_latency_seconds)
        self._connections.add(connection)
        connection.send({"op": HELLO, "d": {"heartbeat_interval": int(self.heartbeat_seconds * 1000)}})
        session: DiscordGatewaySession | None = None
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    session = self._handle_packet(connection, session, message.data)
        except GatewayClosed as closed:
            self.close_codes.append(closed.code)
            self._emulator.request_log.record_violation("gateway", f"{closed}, closed with {closed.code}")
            await connection.close(closed.code)
        finally:
            connection.stop()
            self._handle_disconnect(connection, session)
        return socket

    def _handle_disconnect(self, connection: DiscordGatewayConnection, session: DiscordGatewaySession | None) -> None:
        """Detach a session from its connection. A client's close code 1000 or 1001 ends the session."""
        was_current = session is not None and session.connection is connection
        self._forget(connection)
        if session is not None and was_current and connection.socket.close_code in (1000, 1001):
            self.sessions.pop(session.id, None)
        self._emulator.state.changes.notify()

    def _handle_packet(
        self, connection: DiscordGatewayConnection, session: DiscordGatewaySession | None, text: str
    ) -> DiscordGatewaySession | None:
        if len(text.encode()) > MAX_PACKET_BYTES:
            raise GatewayClosed(4002, "a payload is longer than 4096 bytes")
        self._count_packet(connection)
        try:
            packet = json.loads(text)
            op, data = packet["op"], packet.get("d")
        except (ValueError, KeyError, TypeError):
            raise GatewayClosed(4002, "a payload is no packet") from None
        if op == HEARTBEAT:
            self.heartbeat_count += 1
            if not self.ignores_heartbeats:
                connection.send({"op": HEARTBEAT_ACK, "d": None})
            return session
        if op in (IDENTIFY, RESUME):
            if session is not None:
                raise GatewayClosed(4005, "identified twice")
            return self._identify(connection, data) if op == IDENTIFY else self._resume(connection, data)
        if session is None:
            raise GatewayClosed(4003, f"operation {op} before IDENTIFY")
        if op == REQUEST_MEMBERS:
            self._send_members(session, data)
        elif op not in (PRESENCE, VOICE_STATE):
            raise GatewayClosed(4001, f"operation {op} is unknown")
        return session

    def _count_packet(self, connection: DiscordGatewayConnection) -> None:
        now = self._emulator.clock.now()
        commands = connection.packet_times
        commands.append(now)
        while commands[0] < now - 60:
            commands.popleft()
        if len(commands) > MAX_PACKETS_PER_MINUTE:
            raise GatewayClosed(4008, "more than 120 packets in a minute")

    def _identify(self, connection: DiscordGatewayConnection, data: Json) -> DiscordGatewaySession | None:
        self._check_token(data)
        intents = self._check_intents(data.get("intents"))
        shard, shards = data.get("shard") or (0, 1)
        if not 0 <= shard < shards:
            raise GatewayClosed(4010, f"shard {shard} of {shards}")
        if shards < self._emulator.min_shards:
            raise GatewayClosed(4011, "sharding is required")
        now = self._emulator.clock.now()
        if now - self._last_identify < self.identify_interval_seconds:
            connection.send({"op": INVALID_SESSION, "d": False})
            return None
        self._last_identify = now
        self.identify_count += 1
        session = DiscordGatewaySession(secrets.token_hex(16), intents, shard, shards, connection=connection)
        self.sessions[session.id] = session
        self._greet(session)
        self._emulator.state.changes.notify()
        return session

    def _check_token(self, data: Json) -> None:
        if str(data.get("token")).removeprefix("Bot ") != self._emulator.token:
            raise GatewayClosed(4004, "authentication failed")

    def _check_intents(self, intents: Any) -> int:
        if not isinstance(intents, int) or intents & ~_ALL_INTENTS:
            raise GatewayClosed(4013, f"intents {intents} are invalid")
        for intent, flags in _APPLICATION_FLAGS.items():
            if intents & intent and not self._emulator.application_flags & flags:
                raise GatewayClosed(4014, f"intent {intent} is privileged and not enabled")
        return intents

    def _greet(self, session: DiscordGatewaySession) -> None:
        emulator = self._emulator
        guilds = [guild for guild in emulator.list_bot_guilds() if session.receives("GUILD_CREATE", guild)]
        ready: Json = {
            "v": 10,
            "user": user_json(emulator.bot) | {"verified": True, "mfa_enabled": False, "email": None},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": emulator.gateway_url,
            "shard": [session.shard, session.shards],
            "application": {"id": str(emulator.state.application_id), "flags": emulator.application_flags},
            "private_channels": [],
            "relationships": [],
            "session_type": "normal",
        }
        session.dispatch("READY", ready)
        for guild in guilds:
            session.dispatch("GUILD_CREATE", guild_create_json(guild, emulator.bot) | {"unavailable": False})

    def _resume(self, connection: DiscordGatewayConnection, data: Json) -> DiscordGatewaySession | None:
        self._check_token(data)
        session = self.sessions.get(str(data.get("session_id")))
        if session is None:
            connection.send({"op": INVALID_SESSION, "d": False})
            return None
        sequence = data.get("seq")
        if not isinstance(sequence, int) or sequence > session.sequence:
            raise GatewayClosed(4007, f"sequence {sequence} was never sent")
        self.resume_count += 1
        session.connection = connection
        for packet in session.events:
            if packet["s"] > sequence:
                connection.send(packet)
        session.dispatch("RESUMED", {})
        self._emulator.state.changes.notify()
        return session

    def _send_members(self, session: DiscordGatewaySession, data: Json) -> None:
        guild = self._emulator.state.guilds[int(data["guild_id"])]
        if not session.intents & MEMBERS and not data.get("user_ids") and not data.get("query"):
            raise GatewayClosed(4014, "the whole member list needs the members intent")
        wanted_ids = {int(user_id) for user_id in _as_list(data.get("user_ids"))}
        query = (data.get("query") or "").lower()
        found = [
            member
            for member in guild.members.values()
            if (member.user.id in wanted_ids if wanted_ids else member.user.name.lower().startswith(query))
        ]
        payload: Json = {
            "guild_id": str(guild.id),
            "members": [member_json(member) for member in found],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [str(user_id) for user_id in wanted_ids if user_id not in guild.members],
        }
        session.dispatch("GUILD_MEMBERS_CHUNK", payload | ({"nonce": data["nonce"]} if data.get("nonce") else {}))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
