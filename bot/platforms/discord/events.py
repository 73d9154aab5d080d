"""Servers that the bot joins and leaves: a first message that names the next step, and a row that says it is gone."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import aiohttp
import discord

from bot.core.clock import Clock
from bot.core.errors import UserError, new_reference
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost
from bot.core.replies import Reply
from bot.dispatch.dispatcher import format_apology
from bot.moderation.moderation import Moderation
from bot.platforms.discord.buttons import DiscordButtons
from bot.platforms.discord.channels import NAME
from bot.platforms.discord.chat import DiscordChat
from bot.platforms.discord.commands import DiscordCommands, list_suggestions
from bot.platforms.discord.context import InteractionContext
from bot.platforms.discord.messages import ASK_PREFIX, parse_custom_id, render_private_payload
from bot.platforms.discord.messages import FORM_PREFIX as FORM_PREFIX
from bot.platforms.discord.permissions import find_missing_permissions
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.registration import parse_slash_command
from bot.platforms.discord.replies import CHOICES_RESPONSE, InteractionResponder
from bot.storage.database import Database

log = logging.getLogger(__name__)

_KNOWN = (
    "Hello! I draw, upscale, caption and chat. Try `/imagine prompt: a lighthouse at dusk`, or mention me and ask "
    "something. `/help` lists what I can do."
)
_UNKNOWN = (
    "Hello! Before I may be used here, my owner has to allow this server: they type `/setup`, which also asks for "
    "channels, moderators and a budget. Then `/help` lists what I can do."
)


class GuildGreeter:
    """Greets servers."""

    def __init__(self, platform: DiscordPlatform, moderation: Moderation, database: Database, clock: Clock) -> None:
        self._platform = platform
        self._moderation = moderation
        self._database = database
        self._clock = clock

    async def handle_join(self, guild: discord.Guild) -> None:
        """Say hello where the server wants such messages, else in the first channel that may be written in."""
        log.info("discord.joined", extra={"workspace": str(guild.id)})
        channel = _first_channel(guild)
        if channel is None:
            return
        text = _KNOWN if await self._is_allowed(guild) else _UNKNOWN
        if lacking := find_missing_permissions(guild.me.guild_permissions, include_optional=True):
            text += f"\nI also need the permission {', '.join(lacking)}."
        place = Channel(NAME, str(guild.id), str(channel.id))
        destination = Destination(User(NAME, str(guild.id), "", ""), place, "", f"w{guild.id}")
        try:
            await self._platform.post(destination, Reply(text))
        except (MessageLost, discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("discord.no_welcome", extra={"workspace": str(guild.id), "reason": repr(error)})

    async def handle_leave(self, guild: discord.Guild) -> None:
        """The bot was removed: what is kept of the server goes as retention says."""
        log.info("discord.left", extra={"workspace": str(guild.id)})
        async with self._database.write() as tx:
            await tx.people.forbid_workspace(NAME, str(guild.id), self._clock.now(), is_removed=True)

    async def _is_allowed(self, guild: discord.Guild) -> bool:
        try:
            await self._moderation.admit(User(NAME, str(guild.id), "", ""))
        except UserError:
            return False
        return True


def _first_channel(guild: discord.Guild) -> discord.TextChannel | None:
    first = [guild.system_channel] if guild.system_channel else []
    for channel in (*first, *guild.text_channels):
        may = channel.permissions_for(guild.me)
        if may.view_channel and may.send_messages:
            return channel
    return None


# MERGED Everything that comes in from Discord, handed to whom it concerns; what breaks there ends in a sentence and
# MERGED a log.

DRAIN_SECONDS = 5.0
"""How long a stop waits: an answer that a rate limit holds up may take minutes. What was accepted is in its row."""

RESTARTING = "I am restarting. Please ask again in a moment; nothing was charged."
_OLD = "That belongs to an older version of me, or to another bot. Please ask again with a command."
_ON_MESSAGE = 3


class DiscordEventRouter:
    """One event after the other, each in a task of its own."""

    def __init__(self, desk: InteractionContext, talking: DiscordChat, welcoming: GuildGreeter) -> None:
        self._context = desk
        self._commands = DiscordCommands(desk)
        self._buttons = DiscordButtons(desk)
        self._messages = talking
        self._greeter = welcoming
        self._in_hand: set[asyncio.Task[Any]] = set()
        self._is_stopping = False

    async def route_interaction(self, interaction: discord.Interaction) -> None:
        """Somebody used a command, a button, a form, or types an option."""
        await self._run(self._handle_interaction(interaction), f"interaction {interaction.id}")

    async def route_message(self, message: discord.Message) -> None:
        """Somebody wrote something. While the bot stops, jobs take nothing new, and who asks is told."""
        await self._run(self._messages.handle_message(message), f"message {message.id}")

    async def route_guild_join(self, guild: discord.Guild) -> None:
        await self._run(self._greeter.handle_join(guild), f"join of {guild.id}")

    async def route_guild_leave(self, guild: discord.Guild) -> None:
        await self._run(self._greeter.handle_leave(guild), f"leave of {guild.id}")

    async def stop_listening(self) -> None:
        """Turn people away from here on, and wait a while until what was heard is accepted or answered."""
        self._is_stopping = True
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=DRAIN_SECONDS)

    async def _handle_interaction(self, interaction: discord.Interaction) -> None:
        acknowledging, kind = self._context.responder, interaction.type
        if kind is discord.InteractionType.autocomplete:
            await self._suggest(acknowledging, interaction)
        elif self._is_stopping:
            await acknowledging.refuse(interaction, RESTARTING)
        else:
            try:
                await self._dispatch_interaction(interaction)
            except Exception:  # anything: somebody is waiting for an answer
                await self._apologise(interaction)

    async def _dispatch_interaction(self, interaction: discord.Interaction) -> None:
        data: Any = interaction.data or {}
        match interaction.type:
            case discord.InteractionType.application_command if data.get("type") == _ON_MESSAGE:
                await self._commands.handle_message_command(interaction)
            case discord.InteractionType.application_command:
                await self._commands.handle_slash(interaction)
            case discord.InteractionType.component if what := parse_custom_id(data["custom_id"]):
                await self._buttons.handle_press(interaction, what)
            case discord.InteractionType.modal_submit if what := parse_custom_id(data["custom_id"], prefix=FORM_PREFIX):
                await self._buttons.handle_submission(interaction, what)
            case discord.InteractionType.modal_submit if what := parse_custom_id(data["custom_id"], prefix=ASK_PREFIX):
                await self._commands.handle_submission(interaction, what.action, what.job)
            case _:
                await self._context.responder.refuse(interaction, _OLD)

    async def _suggest(self, acknowledging: InteractionResponder, interaction: discord.Interaction) -> None:
        data: Any = interaction.data or {}
        choices = (
            [] if self._is_stopping else list_suggestions(self._context.dispatcher.services, parse_slash_command(data))
        )
        await acknowledging.respond(interaction, CHOICES_RESPONSE, {"choices": choices})

    async def _run(self, work: Coroutine[Any, Any, None], what: str) -> None:
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
        if not await self._context.responder.refuse(interaction, format_apology(reference).text):
            await self._context.api.create_followup(
                interaction.token, render_private_payload(format_apology(reference).text)
            )
