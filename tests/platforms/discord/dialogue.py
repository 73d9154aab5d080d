"""Talking with the bot by commands whose answers only the asker sees, as moderators do all day."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordChannelState, DiscordRoleState
from tests.platforms.discord.town import Town, is_done


async def run_command(
    who: DiscordPerson,
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    channel: DiscordChannelState | None = None,
) -> DiscordMessageState:
    """What the bot answers somebody privately."""
    return await (await who.use_command(name, options, channel=channel)).wait_for_private_message()


async def read_answer(
    who: DiscordPerson,
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    channel: DiscordChannelState | None = None,
) -> str:
    """The words of it."""
    return (await run_command(who, name, options, channel=channel)).text


async def draw_picture(
    who: DiscordPerson, *, channel: DiscordChannelState | None = None, **options: object
) -> DiscordMessageState:
    """A finished picture of a fox that somebody asked for."""
    asked = await who.use_command("imagine", {"prompt": "a fox", **options}, channel=channel)
    return await (await asked.wait_for_message()).wait_until(is_done)


@dataclass
class DiscordStaff:
    """Who and what there is besides Ana, Ben and #general: Mia moderates, `gold` is a role, `studio` a channel.

    `meant` turns "@Ana", "@gold" and "#studio" of a table's options into what a person would pick.
    """

    town: Town
    gold: DiscordRoleState = field(init=False)
    mia: DiscordPerson = field(init=False)
    studio: DiscordChannelState = field(init=False)

    def __post_init__(self) -> None:
        guild = self.town.guild
        self.gold = guild.add_role("gold")
        self.mia = guild.add_member("Mia", roles=[guild.add_role("moderators", "manage_guild")])
        self.studio = guild.add_channel("studio")

    def resolve_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        things = {"@Ana": self.town.ana, "@Ben": self.town.ben, "@gold": self.gold, "#studio": self.studio}
        return {name: things.get(value, value) for name, value in options.items()}

    async def ask_as_moderator(self, name: str, **options: Any) -> str:
        """What Mia reads when she asks that."""
        return await read_answer(self.mia, name, self.resolve_options(options))

    def offer_everything(self) -> None:
        """A server's admins may show every command to everybody, whatever the bot asked for."""
        for command in self.town.emulator.state.commands.values():
            command["default_member_permissions"] = None
