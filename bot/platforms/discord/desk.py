"""What everybody who answers interactions has at hand."""

from dataclasses import dataclass

import discord

from bot.core.people import Channel
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.parser import Menu
from bot.platforms.discord.acknowledging import InteractionResponder
from bot.platforms.discord.files import DiscordFiles
from bot.platforms.discord.people import DiscordUsers
from bot.platforms.discord.places import build_channel
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.sending import DiscordRestApi
from bot.platforms.discord.showing import DiscordReplies


@dataclass(frozen=True, slots=True)
class InteractionContext:
    """The dispatcher, and the ways to hear and answer people."""

    dispatcher: Dispatcher
    responder: InteractionResponder
    replies: DiscordReplies
    users: DiscordUsers
    files: DiscordFiles
    platform: DiscordPlatform
    api: DiscordRestApi

    @property
    def menu(self) -> Menu:
        return self.dispatcher.services.menu


def resolve_channel(interaction: discord.Interaction, workspace: str) -> Channel:
    """Where an interaction came from."""
    return build_channel(interaction.channel, workspace)


def build_request_key(interaction: discord.Interaction) -> str:
    """Discord's own id of one act: one key, one job."""
    return f"discord:{interaction.id}"
