"""What everybody who answers interactions has at hand."""

from dataclasses import dataclass

import discord

from bot.core.people import Channel
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.parser import Menu
from bot.platforms.discord.acknowledging import Acknowledging
from bot.platforms.discord.files import Files
from bot.platforms.discord.people import People
from bot.platforms.discord.places import channel_of
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.sending import Sender
from bot.platforms.discord.showing import Showing


@dataclass(frozen=True, slots=True)
class Desk:
    """The dispatcher, and the ways to hear and answer people."""

    dispatcher: Dispatcher
    acknowledging: Acknowledging
    showing: Showing
    people: People
    files: Files
    platform: DiscordPlatform
    sender: Sender

    @property
    def menu(self) -> Menu:
        return self.dispatcher.services.menu


def here(interaction: discord.Interaction, workspace: str) -> Channel:
    """Where an interaction came from."""
    return channel_of(interaction.channel, workspace)


def key_of(interaction: discord.Interaction) -> str:
    """Discord's own id of one act: one key, one job."""
    return f"discord:{interaction.id}"
