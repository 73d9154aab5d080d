"""Sends the first response to an interaction: the message itself, or "is thinking" where the answer takes long.

Discord takes one first response, within three seconds. Two processes may receive the same interaction: the response of
the first counts, and the other process stops.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Any, TypeVar

import aiohttp
import discord

from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.errors import Unavailable
from bot.core.platform import MessageLost
from bot.core.replies import MessageRef
from bot.platforms.discord.channels import build_request_key, parse_interaction_id
from bot.platforms.discord.deferrals import Deferral, DeferralJournal
from bot.platforms.discord.discord_py_internals import Payload
from bot.platforms.discord.errors import (
    ALREADY_ACKNOWLEDGED,
    REQUEST_ERRORS,
    UNKNOWN_INTERACTION,
    DiscordServerError,
)
from bot.platforms.discord.messages import EPHEMERAL, LOADING, render_private_payload
from bot.platforms.discord.rest_api import DiscordRestApi

log = logging.getLogger(__name__)

T = TypeVar("T")

DEFER_AFTER_SECONDS = 1.0
"""An ask is committed within this time as a rule, and answered with its message; a slower ask shows "is thinking"."""

# Discord waits 3 seconds from sending the interaction; the rest is travel time.
RESPONSE_TIMEOUT_SECONDS = 2.7
ATTEMPT_TIMEOUT_SECONDS = 1.2
TOKEN_LIFETIME = timedelta(minutes=15)
_FIRST_DELAY_SECONDS = 0.05
_LOOKUP_DELAYS_SECONDS = (0.2, 1.0)
_RATE_LIMITED = 429
_MOST_REMEMBERED_RESPONSES = 4096

# discord.com/developers/docs/interactions/receiving-and-responding#interaction-response-object
MESSAGE_RESPONSE, DEFERRED_MESSAGE_RESPONSE, DEFERRED_UPDATE_RESPONSE, CHOICES_RESPONSE, FORM_RESPONSE = 4, 5, 6, 8, 9

_NOT_OURS = "Another process answers this interaction."


class _Outcome(Enum):
    """The end of the attempts to respond."""

    SENT = auto()
    TAKEN = auto()
    """Another process was first."""
    REFUSED = auto()
    """Discord took no response: too late, for example."""
    UNCLEAR = auto()
    """No attempt was confirmed in time; one may have arrived."""


@dataclass(eq=False, slots=True)
class InteractionResponse:
    """The first response of this process to one interaction."""

    interaction: discord.Interaction
    is_private: bool
    """Whether "is thinking" is shown to the user alone."""
    is_ask: bool = True
    """Whether a job is to begin, rather than a command to be carried out."""
    is_update: bool = False
    """Whether the first message is the pressed message."""
    message_id: str = ""
    """The first message: the response, or the pressed message. Empty until Discord has told the id."""
    outcome: _Outcome | None = None
    """None until this process has tried to respond."""
    received_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a response is sent: a job's answer waits for the outcome of a deferral."""

    @property
    def is_sent(self) -> bool:
        return self.outcome is _Outcome.SENT


@dataclass(frozen=True, slots=True)
class GivenResponse:
    """The message that answers an interaction. `is_shown` is false if the message still has to be edited."""

    message_id: str
    is_shown: bool


class InteractionResponder:
    """Sends the first responses, and finds out after a crash or a lost connection whether a response arrived."""

    def __init__(self, api: DiscordRestApi, clock: Clock, journal: DeferralJournal) -> None:
        self._api = api
        self._clock = clock
        self._journal = journal
        # By token: a job knows its interaction by the token in the address of its placeholder.
        self._responses: RecentItems[str, InteractionResponse] = RecentItems(_MOST_REMEMBERED_RESPONSES)

    def begin(self, interaction: discord.Interaction, *, is_private: bool, is_ask: bool = True) -> InteractionResponse:
        """Return the response to an interaction, not sent yet."""
        response = self._responses[interaction.token] = InteractionResponse(interaction, is_private, is_ask)
        return response

    def settle(self, interaction: discord.Interaction) -> None:
        """Note that a handler has ended: the interaction is answered, or has a job that answers."""
        self._journal.settle(interaction.token)

    async def run(self, response: InteractionResponse, work: Coroutine[Any, Any, T]) -> T | None:
        """Return the result of work that leads to a response; defer if the work takes longer than a second.

        Cancel the work and return None if the deferral finds that another process was first.
        """
        task = asyncio.create_task(work)
        try:
            elapsed_seconds = asyncio.get_running_loop().time() - response.received_at
            await asyncio.wait({task}, timeout=max(0.0, DEFER_AFTER_SECONDS - elapsed_seconds))
            if not task.done() and not await self.defer_pending(response):
                return None
            return await task
        finally:
            task.cancel()

    async def defer(self, interaction: discord.Interaction, *, is_private: bool) -> InteractionResponse | None:
        """Show "is thinking" at once, private or public for good. Return None if another process was first."""
        response = self.begin(interaction, is_private=is_private)
        return response if await self.defer_pending(response) else None

    async def defer_pending(self, response: InteractionResponse) -> bool:
        """Show "is thinking" unless the response is sent; return whether this process is to go on answering."""
        async with response.lock:
            if response.is_sent:
                return True
            self._record(response)
            data = {"flags": EPHEMERAL} if response.is_private else None
            response.outcome, told = await self._respond(response, DEFERRED_MESSAGE_RESPONSE, data)
            if not response.is_sent:
                return False
            with contextlib.suppress(Unavailable):
                response.message_id = _read_message_id(told) or await self._find_message_id(response.interaction.token)
            return bool(response.message_id)

    def _record(self, response: InteractionResponse) -> None:
        interaction, began_at = response.interaction, self._clock.now().timestamp()
        key = build_request_key(interaction)
        self._journal.record(Deferral(interaction.token, key, is_ask=response.is_ask, began_at=began_at))

    async def defer_update(self, interaction: discord.Interaction) -> InteractionResponse | None:
        """Acknowledge a press without a new message. Return None if another process was first."""
        if await self.respond(interaction, DEFERRED_UPDATE_RESPONSE, None) is None:
            return None
        pressed = str(interaction.message.id) if interaction.message else ""
        is_private = is_ephemeral(interaction)
        return InteractionResponse(interaction, is_private, is_update=True, message_id=pressed, outcome=_Outcome.SENT)

    async def refuse(self, interaction: discord.Interaction, text: str) -> bool:
        """Respond with one private sentence as the whole answer; return whether Discord took the response."""
        return await self.respond(interaction, MESSAGE_RESPONSE, render_private_payload(text)) is not None

    async def respond(self, interaction: discord.Interaction, kind: int, data: Payload | None) -> Any | None:
        """Send a response without a later edit, such as a form; return Discord's JSON, or None if Discord refused."""
        outcome, told = await self._respond(InteractionResponse(interaction, is_private=False), kind, data)
        return told if outcome is _Outcome.SENT else None

    async def answer(self, placeholder: MessageRef, request_key: str, payload: Payload) -> GivenResponse | None:
        """Answer an interaction with a message; return None if no response arrived or can arrive any more.

        A response that arrived earlier is returned in place of a second one. Raise `MessageLost` if another process
        answers, and `Unavailable` while Discord does not tell whether a response arrived.
        """
        response = self._responses.get(placeholder.token)
        if response is None:
            return await self._answer_again(placeholder, request_key, payload)
        async with response.lock:
            is_first, told = response.outcome is None, None
            if is_first:
                response.outcome, told = await self._respond(response, MESSAGE_RESPONSE, payload)
            match response.outcome:
                case _Outcome.SENT:
                    message_id = response.message_id or _read_message_id(told)
                    response.message_id = message_id or await self._find_message_id(placeholder.token)
                    return GivenResponse(response.message_id, is_shown=is_first)
                case _Outcome.TAKEN:
                    return await self._share(placeholder.token, payload)
                case _Outcome.REFUSED:
                    return None
                case _:
                    return await self._find_given(placeholder.token, is_shown=is_first)

    async def _answer_again(self, placeholder: MessageRef, request_key: str, payload: Payload) -> GivenResponse | None:
        """Answer the interaction of an earlier process, which may have answered before it died."""
        if not placeholder.token or placeholder.token_expires_at is None:
            return None
        if (given := await self._find_given(placeholder.token)) is not None:
            return given
        age_seconds = (self._clock.now() - (placeholder.token_expires_at - TOKEN_LIFETIME)).total_seconds()
        interaction_id = parse_interaction_id(request_key)
        if age_seconds >= RESPONSE_TIMEOUT_SECONDS or not interaction_id:
            return None
        give_up_at = asyncio.get_running_loop().time() + RESPONSE_TIMEOUT_SECONDS - age_seconds
        outcome, told = await self._send(interaction_id, placeholder.token, MESSAGE_RESPONSE, payload, give_up_at)
        if outcome is _Outcome.SENT and (message_id := _read_message_id(told)):
            return GivenResponse(message_id, is_shown=True)
        return await self._find_given(placeholder.token)

    async def _share(self, token: str, payload: Payload) -> GivenResponse | None:
        """Return the message of the process that was first, where the message waits for an answer.

        Return None if the other process refused what this process accepted: then the answer is another message.
        """
        told = await self._read_original(token)
        flags = int((told or {}).get("flags") or 0)
        if told is not None and flags & LOADING:
            return GivenResponse(str(told["id"]), is_shown=False)
        if told is not None and flags & EPHEMERAL and not payload["flags"] & EPHEMERAL:
            return None
        raise MessageLost(_NOT_OURS)

    async def _find_given(self, token: str, *, is_shown: bool = False) -> GivenResponse | None:
        told = await self._read_original(token)
        return GivenResponse(str(told["id"]), is_shown=is_shown) if told is not None else None

    async def _find_message_id(self, token: str) -> str:
        told = await self._read_original(token)
        return str(told["id"]) if told is not None else ""

    async def _read_original(self, token: str) -> Any | None:
        """Return Discord's JSON of the first response; None if there is none. Raise `Unavailable` after failures."""
        for delay in (*_LOOKUP_DELAYS_SECONDS, None):
            try:
                return await self._api.get_original_response(token)
            except MessageLost:
                return None
            except REQUEST_ERRORS as error:
                if delay is None:
                    log.exception("discord.answer_not_found")
                    raise Unavailable("Discord does not tell whether an answer arrived.") from error
                await asyncio.sleep(delay)
        return None

    async def _respond(self, response: InteractionResponse, kind: int, data: Payload | None) -> tuple[_Outcome, Any]:
        interaction, give_up_at = response.interaction, response.received_at + RESPONSE_TIMEOUT_SECONDS
        return await self._send(interaction.id, interaction.token, kind, data, give_up_at)

    async def _send(
        self, interaction: int, token: str, kind: int, data: Payload | None, give_up_at: float
    ) -> tuple[_Outcome, Any]:
        """Send a first response, with retries until `give_up_at`; return the outcome and Discord's JSON.

        discord.py's own retries come after one and three seconds, too late for the deadline.
        """
        loop, delay, may_have_arrived = asyncio.get_running_loop(), _FIRST_DELAY_SECONDS, False
        while True:
            try:
                async with asyncio.timeout(ATTEMPT_TIMEOUT_SECONDS):
                    return _Outcome.SENT, await self._api.create_response(interaction, token, kind, data) or {}
            except discord.HTTPException as error:
                if error.code == ALREADY_ACKNOWLEDGED and may_have_arrived:
                    return _Outcome.SENT, {}  # an earlier attempt of ours arrived; its answer was lost
                if error.status < 500 and error.status != _RATE_LIMITED:
                    refusal = _classify_refusal(interaction, error)
                    return _Outcome.UNCLEAR if may_have_arrived else refusal, None
                delay = max(delay, _read_retry_after(error))
                log.warning("discord.acknowledging_again", extra={"reason": repr(error)})
            except (aiohttp.ClientError, OSError, DiscordServerError) as error:
                log.warning("discord.acknowledging_again", extra={"reason": repr(error)})
            may_have_arrived = True
            if loop.time() + delay > give_up_at:
                log.error("discord.not_acknowledged", extra={"interaction": interaction})
                return _Outcome.UNCLEAR, None
            await asyncio.sleep(delay)
            delay *= 2


def is_ephemeral(interaction: discord.Interaction) -> bool:
    """Whether the pressed message is visible to the presser alone."""
    return interaction.message is not None and interaction.message.flags.ephemeral


def _classify_refusal(interaction: int, error: discord.HTTPException) -> _Outcome:
    is_late = error.code == UNKNOWN_INTERACTION
    event = "discord.acknowledged_too_late" if is_late else "discord.not_ours"
    log.warning(event, extra={"interaction": interaction, "code": error.code, "status": error.status})
    return _Outcome.TAKEN if error.code == ALREADY_ACKNOWLEDGED else _Outcome.REFUSED


def _read_message_id(response: Any) -> str:
    """Return the id of the created message. Empty if the JSON lacks the id, as from some proxies."""
    callback = response.get("interaction") if isinstance(response, dict) else None
    return str((callback or {}).get("response_message_id") or "")


def _read_retry_after(error: discord.HTTPException) -> float:
    """Return the seconds that Discord, or a proxy, asks to wait; 0 without a number."""
    try:
        return float(error.response.headers.get("Retry-After", 0))
    except ValueError:
        return 0.0
