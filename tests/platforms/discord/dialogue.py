"""Runs commands with private answers, as moderators do all day, and draws pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordChannelState, DiscordRoleState
from tests.platforms.discord.town import Town, finish


async def run_command(
    who: DiscordPerson,
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    channel: DiscordChannelState | None = None,
) -> DiscordMessageState:
    """Run a command and return the private answer."""
    return await (await who.use_command(name, options, channel=channel)).wait_for_private_message()


async def read_answer(
    who: DiscordPerson,
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    channel: DiscordChannelState | None = None,
) -> str:
    """Run a command and return the text of the private answer."""
    return (await run_command(who, name, options, channel=channel)).text


async def draw_picture(
    who: DiscordPerson, *, channel: DiscordChannelState | None = None, **options: object
) -> DiscordMessageState:
    """Run /imagine and return the message with the finished picture."""
    interaction = await who.use_command("imagine", {"prompt": "a fox", **options}, channel=channel)
    return await finish(interaction)


@dataclass
class DiscordStaff:
    """Further people and places of a town: Mia moderates, `gold` is a role, `studio` a channel."""

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
        """Replace "@Ana", "@Ben", "@gold" and "#studio" by the person, role or channel."""
        things = {"@Ana": self.town.ana, "@Ben": self.town.ben, "@gold": self.gold, "#studio": self.studio}
        return {name: things.get(value, value) for name, value in options.items()}

    async def ask_as_moderator(self, name: str, **options: Any) -> str:
        """Run a command as Mia and return the text of the answer."""
        return await read_answer(self.mia, name, self.resolve_options(options))

    def offer_everything(self) -> None:
        """Show every command to all members, as a server's admins can."""
        for command in self.town.emulator.state.commands.values():
            command["default_member_permissions"] = None
