"""Socket Mode: connection tickets, hello, envelopes to a random socket, and acknowledgements.

Frames follow docs.slack.dev/apis/events-api/using-socket-mode and slack_sdk.socket_mode.
"""

import asyncio
import json
import random
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, WSMsgType, web

from tests.emulators.slack.delivery import EVENTS, SlackDelivery, SlackDeliveryAttempt

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator


_LOST = "connection_closed"
_CLOSING_SECONDS = 0.5  # for an app that does not answer a close frame


@dataclass(eq=False)
class SlackEnvelopeState:
    """A payload sent over a socket."""

    id: str
    label: str
    takes_payload: bool
    sent_at: float
    socket: web.WebSocketResponse
    attempt: asyncio.Future[SlackDeliveryAttempt] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    is_late: bool = False


class SlackSocketServer:
    """The app's open sockets; each envelope goes to a random socket."""

    def __init__(self, slack: "SlackEmulator", *, seed: int = 1) -> None:
        self._slack = slack
        self._random = random.Random(seed)
        self._tickets: dict[str, float] = {}
        self._envelopes: dict[str, SlackEnvelopeState] = {}
        self._transports: dict[web.WebSocketResponse, asyncio.Transport | None] = {}
        self.open: list[web.WebSocketResponse] = []
        self.opened_count = 0

    # Connections.

    def issue_ticket_url(self) -> str:
        ticket = secrets.token_urlsafe(16)
        self._tickets[ticket] = self._slack.clock.now()
        return f"ws{self._slack.url.removeprefix('http')}/link/?ticket={ticket}&app_id={self._slack.app_id}"

    async def accept(self, request: web.Request) -> web.StreamResponse:
        """Serve a socket until its end."""
        issued_at = self._tickets.pop(request.query.get("ticket", ""), None)
        if issued_at is None or self._slack.clock.now() - issued_at > self._slack.options.lifetimes.ticket_seconds:
            self._slack.request_log.record_violation("A socket was opened with a ticket that is unknown, used or old.")
            return web.Response(status=401)
        socket = web.WebSocketResponse(timeout=_CLOSING_SECONDS)
        await socket.prepare(request)
        if len(self.open) >= self._slack.options.max_sockets:
            await self._disconnect(socket, "too_many_websockets")
            return socket
        self.open.append(socket)
        self._transports[socket] = request.transport
        self.opened_count += 1
        try:
            await socket.send_json(self._hello())
            self._slack.changes.notify()
            await self._listen(socket)
        except ConnectionError:
            pass  # the app disconnected during the hello
        finally:
            self._drop(socket)
        return socket

    def _hello(self) -> dict[str, Any]:
        debug = {"host": "applink-emulator", "build_number": 1, "approximate_connection_time": 18060}
        info = {"app_id": self._slack.app_id}
        return {"type": "hello", "num_connections": len(self.open), "debug_info": debug, "connection_info": info}

    async def _listen(self, socket: web.WebSocketResponse) -> None:
        async for frame in socket:
            if frame.type == WSMsgType.TEXT:
                self._slack.delivery_service.spawn(self._handle_acknowledgement(frame.data))

    async def _handle_acknowledgement(self, data: str) -> None:
        await self._slack.wait_half_round_trip()
        try:
            acknowledgement = json.loads(data)
            envelope = self._envelopes.get(acknowledgement["envelope_id"])
        except (ValueError, KeyError, TypeError):
            self._slack.request_log.record_violation(f"A socket said what is no acknowledgement: {data[:80]}.")
            return
        if envelope is None:
            self._slack.request_log.record_violation(
                f"An envelope was acknowledged that was never sent: {acknowledgement['envelope_id']}."
            )
        elif envelope.attempt.done() and not envelope.is_late:
            self._slack.request_log.record_violation(f"{envelope.label} was acknowledged twice.")
        elif not envelope.attempt.done():
            payload = acknowledgement.get("payload")
            if payload and not envelope.takes_payload:
                self._slack.request_log.record_violation(
                    f"{envelope.label} was acknowledged with a payload, which it cannot take."
                )
            envelope.attempt.set_result(
                SlackDeliveryAttempt(self._slack.clock.now() - envelope.sent_at, payload=payload)
            )

    def _drop(self, socket: web.WebSocketResponse) -> None:
        if socket in self.open:
            self.open.remove(socket)
            del self._transports[socket]
        for envelope in self._envelopes.values():
            if envelope.socket is socket and not envelope.attempt.done():
                envelope.attempt.set_result(SlackDeliveryAttempt(self._slack.clock.now() - envelope.sent_at, _LOST))
                envelope.is_late = True  # the acknowledgement may still arrive over another socket
        self._slack.changes.notify()

    # Envelopes.

    async def deliver(self, delivery: SlackDelivery, retry: int, reason: str) -> SlackDeliveryAttempt:
        if not await self._has_socket(is_patient=delivery.kind == EVENTS):
            return SlackDeliveryAttempt(0.0, "dispatch_failed")
        socket = self._random.choice(self.open)
        takes_payload = delivery.kind != EVENTS
        envelope = SlackEnvelopeState(
            self._envelope_id(), delivery.label, takes_payload, self._slack.clock.now(), socket
        )
        self._envelopes[envelope.id] = envelope
        frame: dict[str, Any] = {
            "envelope_id": envelope.id,
            "type": delivery.kind,
            "payload": delivery.payload,
            "accepts_response_payload": takes_payload,
        }
        if delivery.kind == EVENTS:
            frame |= {"retry_attempt": retry, "retry_reason": reason}
        await self._slack.wait_half_round_trip()
        try:
            await socket.send_json(frame)
        except ConnectionError:
            return SlackDeliveryAttempt(0.0, _LOST)
        return await self._wait_for_acknowledgement(envelope)

    async def _wait_for_acknowledgement(self, envelope: SlackEnvelopeState) -> SlackDeliveryAttempt:
        timer = asyncio.ensure_future(self._slack.clock.sleep(self._slack.options.lifetimes.acknowledgement_seconds))
        waits: set[asyncio.Future[Any]] = {envelope.attempt, timer}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        if not envelope.attempt.done():
            envelope.is_late = True
            envelope.attempt.set_result(
                SlackDeliveryAttempt(self._slack.options.lifetimes.acknowledgement_seconds, "timeout")
            )
        return envelope.attempt.result()

    async def _has_socket(self, *, is_patient: bool) -> bool:
        """Return whether a socket is open. Events wait for a reconnect; commands and interactions fail at once."""
        if not self.open and is_patient:
            await self._slack.changes.wait_for(lambda: self.open, "a socket", timeout_seconds=3600.0)
        return bool(self.open)

    def _envelope_id(self) -> str:
        return f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-{secrets.token_hex(6)}"

    # Injected failures and waits.

    async def wait_for_connections(self, count: int = 1, timeout_seconds: float = 5.0) -> None:
        """Wait until the app has at least `count` open sockets."""
        await self._slack.changes.wait_for(lambda: len(self.open) >= count, f"{count} open sockets", timeout_seconds)

    async def request_reconnect(self, reason: str = "refresh_requested") -> None:
        """Send `disconnect` to all sockets: `warning`, `refresh_requested` or `link_disabled`. The app reconnects by
        itself.
        """
        for socket in list(self.open):
            await self._disconnect(socket, reason, close=False)

    async def drop_connections(self, *, is_abrupt: bool = False) -> None:
        """Close all sockets without `disconnect`; with `is_abrupt` without a close frame, as a dead network does."""
        for socket in list(self.open):
            transport = self._transports.get(socket)
            self._drop(socket)
            if is_abrupt and transport:
                transport.abort()
            else:
                await socket.close(code=WSCloseCode.GOING_AWAY)

    async def _disconnect(self, socket: web.WebSocketResponse, reason: str, *, close: bool = True) -> None:
        await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-emulator"}})
        if close:
            await socket.close()
