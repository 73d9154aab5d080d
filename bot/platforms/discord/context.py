"""What everybody who answers interactions has at hand."""

from dataclasses import dataclass

import discord

from bot.core.people import Channel
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.parsing import Menu
from bot.platforms.discord.channels import build_channel
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.replies import DiscordReplies, InteractionResponder
from bot.platforms.discord.rest_api import DiscordRestApi
from bot.platforms.discord.uploads import DiscordFiles
from bot.platforms.discord.users import DiscordUsers


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
