"""Everything that comes in from Discord, handed to whom it concerns; what breaks there ends in a sentence and a log."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import discord

from bot.core.errors import new_reference
from bot.dispatch.dispatcher import apology
from bot.platforms.discord.acknowledging import CHOICES, Acknowledging
from bot.platforms.discord.buttons import ASK, pressed
from bot.platforms.discord.buttons import FORM as FORM_PREFIX
from bot.platforms.discord.calls import Calls
from bot.platforms.discord.commands import asked
from bot.platforms.discord.desk import Desk
from bot.platforms.discord.messages import private
from bot.platforms.discord.pressing import Pressing
from bot.platforms.discord.suggesting import suggestions
from bot.platforms.discord.talking import Talking
from bot.platforms.discord.welcoming import Welcoming

log = logging.getLogger(__name__)

QUIET_SECONDS = 5.0
"""How long a stop waits: an answer that a rate limit holds up may take minutes. What was accepted is in its row."""

RESTARTING = "I am restarting. Please ask again in a moment; nothing was charged."
_OLD = "That belongs to an older version of me, or to another bot. Please ask again with a command."
_ON_MESSAGE = 3


class Hearing:
    """One event after the other, each in a task of its own."""

    def __init__(self, desk: Desk, talking: Talking, welcoming: Welcoming) -> None:
        self._desk = desk
        self._calls = Calls(desk)
        self._pressing = Pressing(desk)
        self._talking = talking
        self._welcoming = welcoming
        self._in_hand: set[asyncio.Task[Any]] = set()
        self._is_quiet = False

    async def interaction(self, interaction: discord.Interaction) -> None:
        """Somebody used a command, a button, a form, or types an option."""
        await self._work(self._interaction(interaction), f"interaction {interaction.id}")

    async def message(self, message: discord.Message) -> None:
        """Somebody wrote something. While the bot stops, jobs take nothing new, and who asks is told."""
        await self._work(self._talking.hear(message), f"message {message.id}")

    async def joined(self, guild: discord.Guild) -> None:
        await self._work(self._welcoming.joined(guild), f"join of {guild.id}")

    async def left(self, guild: discord.Guild) -> None:
        await self._work(self._welcoming.left(guild), f"leave of {guild.id}")

    async def quiet(self) -> None:
        """Turn people away from here on, and wait a while until what was heard is accepted or answered."""
        self._is_quiet = True
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=QUIET_SECONDS)

    async def _interaction(self, interaction: discord.Interaction) -> None:
        acknowledging, kind = self._desk.acknowledging, interaction.type
        if kind is discord.InteractionType.autocomplete:
            await self._suggest(acknowledging, interaction)
        elif self._is_quiet:
            await acknowledging.refuse(interaction, RESTARTING)
        else:
            try:
                await self._answered(interaction)
            except Exception:  # anything: somebody is waiting for an answer
                await self._apologise(interaction)

    async def _answered(self, interaction: discord.Interaction) -> None:
        data: Any = interaction.data or {}
        match interaction.type:
            case discord.InteractionType.application_command if data.get("type") == _ON_MESSAGE:
                await self._calls.chosen(interaction)
            case discord.InteractionType.application_command:
                await self._calls.typed(interaction)
            case discord.InteractionType.component if what := pressed(data["custom_id"]):
                await self._pressing.press(interaction, what)
            case discord.InteractionType.modal_submit if what := pressed(data["custom_id"], prefix=FORM_PREFIX):
                await self._pressing.sent(interaction, what)
            case discord.InteractionType.modal_submit if what := pressed(data["custom_id"], prefix=ASK):
                await self._calls.sent(interaction, what.action, what.job)
            case _:
                await self._desk.acknowledging.refuse(interaction, _OLD)

    async def _suggest(self, acknowledging: Acknowledging, interaction: discord.Interaction) -> None:
        data: Any = interaction.data or {}
        choices = [] if self._is_quiet else suggestions(self._desk.dispatcher.services, asked(data))
        await acknowledging.answer(interaction, CHOICES, {"choices": choices})

    async def _work(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.create_task(work)
        self._in_hand.add(task)
        try:
            await task
        except Exception:
            log.exception("discord.failed", extra={"what": what})
        finally:
            self._in_hand.discard(task)

    async def _apologise(self, interaction: discord.Interaction) -> None:
        """What broke is ours to mend: the person gets a reference, and nobody waits for ever."""
        reference = new_reference()
        log.exception("discord.failed", extra={"what": f"interaction {interaction.id}", "reference": reference})
        if not await self._desk.acknowledging.refuse(interaction, apology(reference).text):
            await self._desk.sender.follow_up(interaction.token, private(apology(reference).text))
