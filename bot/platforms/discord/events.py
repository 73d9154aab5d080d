"""Routes Discord's events to their handlers, each in a background task, and greets the servers that the bot joins."""

import logging
from typing import Any

import discord

from bot.core.background_tasks import BackgroundTasks
from bot.core.clock import Clock
from bot.core.errors import new_reference
from bot.core.people import Channel, User
from bot.core.platform import Destination
from bot.core.replies import Reply
from bot.dispatch.dispatcher import format_apology
from bot.moderation.moderation import Moderation
from bot.platforms.discord.buttons import DiscordButtons
from bot.platforms.discord.channels import NAME, find_missing_permissions
from bot.platforms.discord.chat import DiscordChat
from bot.platforms.discord.commands import DiscordCommands, list_suggestions, parse_slash_command
from bot.platforms.discord.errors import DELIVERY_ERRORS
from bot.platforms.discord.incoming import USER_MESSAGE_TYPES
from bot.platforms.discord.messages import ASK_PREFIX, FORM_PREFIX, parse_custom_id, render_private_payload
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.replies import InteractionContext
from bot.platforms.discord.responses import CHOICES_RESPONSE
from bot.platforms.discord.users import is_guild_allowed
from bot.storage.database import Database

log = logging.getLogger(__name__)

# A stop waits no longer: a response behind a rate limit may take minutes, and accepted jobs are in the database.
DRAIN_SECONDS = 5.0

RESTARTING = "I am restarting. Please ask again in a moment; nothing was charged."
_OLD = "That belongs to an older version of me, or to another bot. Please ask again with a command."
_MESSAGE_COMMAND = 3


class DiscordEventRouter:
    """Starts a background task per event, so that a slow handler delays no other event."""

    def __init__(self, context: InteractionContext, chat: DiscordChat, greeter: "GuildGreeter") -> None:
        self._context = context
        self._commands = DiscordCommands(context)
        self._buttons = DiscordButtons(context)
        self._chat = chat
        self._greeter = greeter
        self._tasks = BackgroundTasks("discord")
        self._is_stopping = False

    def route_interaction(self, interaction: discord.Interaction) -> None:
        self._tasks.spawn(self._handle_interaction(interaction), f"interaction {interaction.id}")

    def route_message(self, message: discord.Message) -> None:
        # Also while stopping: the jobs refuse new work, and the author reads why. Other bots are ignored, or two bots
        # would answer each other for ever.
        if _is_written_by_user(message):
            self._tasks.spawn(self._chat.handle_message(message), f"message {message.id}")

    def route_message_edit(self, message: discord.Message) -> None:
        # Discord also reports previews of links and new threads as edits: such a message was never edited.
        if _is_written_by_user(message) and message.edited_at is not None:
            self._tasks.spawn(self._chat.handle_edit(message), f"edit of {message.id}")

    def route_guild_join(self, guild: discord.Guild) -> None:
        self._tasks.spawn(self._greeter.handle_join(guild), f"join of {guild.id}")

    def route_guild_leave(self, guild: discord.Guild) -> None:
        self._tasks.spawn(self._greeter.handle_leave(guild), f"leave of {guild.id}")

    async def stop_listening(self) -> None:
        """Refuse new interactions, and wait until running handlers have accepted or answered theirs."""
        self._is_stopping = True
        await self._tasks.drain(DRAIN_SECONDS)

    async def _handle_interaction(self, interaction: discord.Interaction) -> None:
        if interaction.type is discord.InteractionType.autocomplete:
            await self._suggest(interaction)
        elif self._is_stopping:
            await self._context.responder.refuse(interaction, RESTARTING)
        else:
            try:
                await self._dispatch(interaction)
            except Exception:  # any error: the user waits for an answer
                await self._apologise(interaction)
            # Not after a cancellation: the user has no answer yet.
            self._context.responder.settle(interaction)

    async def _dispatch(self, interaction: discord.Interaction) -> None:
        data: Any = interaction.data or {}
        match interaction.type:
            case discord.InteractionType.application_command if data.get("type") == _MESSAGE_COMMAND:
                await self._commands.handle_message_command(interaction)
            case discord.InteractionType.application_command:
                await self._commands.handle_slash(interaction)
            case discord.InteractionType.component if button := parse_custom_id(data["custom_id"]):
                await self._buttons.handle_press(interaction, button)
            case discord.InteractionType.modal_submit if form := parse_custom_id(data["custom_id"], prefix=FORM_PREFIX):
                await self._buttons.handle_submission(interaction, form)
            case discord.InteractionType.modal_submit if form := parse_custom_id(data["custom_id"], prefix=ASK_PREFIX):
                await self._commands.handle_submission(interaction, command=form.action, message_id=form.job)
            case _:
                await self._context.responder.refuse(interaction, _OLD)

    async def _suggest(self, interaction: discord.Interaction) -> None:
        services, call = self._context.dispatcher.services, parse_slash_command(interaction.data or {})
        person = interaction.user
        # The search for the home server of a direct message, and a person's ranks, would take too long.
        user = User(NAME, str(interaction.guild_id or ""), str(person.id), person.display_name)
        choices = [] if self._is_stopping else await list_suggestions(services, call, user)
        await self._context.responder.respond(interaction, CHOICES_RESPONSE, {"choices": choices})

    async def _apologise(self, interaction: discord.Interaction) -> None:
        """Log the running exception and tell the user its reference: as the response, or as a followup after one."""
        reference = new_reference()
        log.exception("discord.failed", extra={"what": f"interaction {interaction.id}", "reference": reference})
        text = format_apology(reference).text
        if not await self._context.responder.refuse(interaction, text):
            await self._context.api.create_followup(interaction.token, render_private_payload(text))


def _is_written_by_user(message: discord.Message) -> bool:
    """Whether a user wrote the message: no bot, no webhook, no system message."""
    return not message.author.bot and not message.webhook_id and message.type in USER_MESSAGE_TYPES


_GREETING = (
    "Hello! I draw, upscale, caption and chat. Try `/imagine prompt: a lighthouse at dusk`, or mention me and ask "
    "something. `/help` lists what I can do."
)
_GREETING_IF_NOT_ALLOWED = (
    "Hello! Before I may be used here, my owner has to allow this server: they type `/setup`, which also asks for "
    "channels, moderators and a budget. Then `/help` lists what I can do."
)


class GuildGreeter:
    """Greets a server when the bot joins, and forbids the server when the bot is removed."""

    def __init__(self, platform: DiscordPlatform, moderation: Moderation, database: Database, clock: Clock) -> None:
        self._platform = platform
        self._moderation = moderation
        self._database = database
        self._clock = clock

    async def handle_join(self, guild: discord.Guild) -> None:
        """Post the next step and missing permissions in the system channel, or in the first writable channel."""
        log.info("discord.joined", extra={"workspace": str(guild.id)})
        channel = _find_first_channel(guild)
        if channel is None:
            return
        text = _GREETING if await is_guild_allowed(self._moderation, guild) else _GREETING_IF_NOT_ALLOWED
        if missing := find_missing_permissions(guild.me.guild_permissions, include_optional=True):
            text += f"\nI also need the permission {', '.join(missing)}."
        destination = Destination(
            User(NAME, str(guild.id), "", ""), Channel(NAME, str(guild.id), str(channel.id)), "", f"w{guild.id}"
        )
        try:
            await self._platform.post(destination, Reply(text))
        except DELIVERY_ERRORS as error:
            log.warning("discord.no_welcome", extra={"workspace": str(guild.id), "reason": repr(error)})

    async def handle_leave(self, guild: discord.Guild) -> None:
        """Record the removal: retention deletes the server's data later."""
        log.info("discord.left", extra={"workspace": str(guild.id)})
        async with self._database.write() as tx:
            await tx.people.forbid_workspace(NAME, str(guild.id), self._clock.now(), is_removed=True)


def _find_first_channel(guild: discord.Guild) -> discord.TextChannel | None:
    system = [guild.system_channel] if guild.system_channel else []
    for channel in (*system, *guild.text_channels):
        permissions = channel.permissions_for(guild.me)
        if permissions.view_channel and permissions.send_messages:
            return channel
    return None
