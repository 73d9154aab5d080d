"""Talking with the bot by commands whose answers only the asker sees, as moderators do all day."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.discord.messages import Message
from tests.emulators.discord.people import Person
from tests.emulators.discord.world import Channel, Role
from tests.platforms.discord.town import Town, is_done


async def answered(
    who: Person, name: str, options: Mapping[str, Any] | None = None, *, channel: Channel | None = None
) -> Message:
    """What the bot answers somebody privately."""
    return await (await who.command(name, options, channel=channel)).private_message()


async def told(
    who: Person, name: str, options: Mapping[str, Any] | None = None, *, channel: Channel | None = None
) -> str:
    """The words of it."""
    return (await answered(who, name, options, channel=channel)).text


async def drawn(who: Person, *, channel: Channel | None = None, **options: object) -> Message:
    """A finished picture of a fox that somebody asked for."""
    asked = await who.command("imagine", {"prompt": "a fox", **options}, channel=channel)
    return await (await asked.message()).becomes(is_done)


@dataclass
class Staff:
    """Who and what there is besides Ana, Ben and #general: Mia moderates, `gold` is a role, `studio` a channel.

    `meant` turns "@Ana", "@gold" and "#studio" of a table's options into what a person would pick.
    """

    town: Town
    gold: Role = field(init=False)
    mia: Person = field(init=False)
    studio: Channel = field(init=False)

    def __post_init__(self) -> None:
        guild = self.town.guild
        self.gold = guild.add_role("gold")
        self.mia = guild.member("Mia", roles=[guild.add_role("moderators", "manage_guild")])
        self.studio = guild.add_channel("studio")

    def meant(self, options: Mapping[str, Any]) -> dict[str, Any]:
        things = {"@Ana": self.town.ana, "@Ben": self.town.ben, "@gold": self.gold, "#studio": self.studio}
        return {name: things.get(value, value) for name, value in options.items()}

    async def asks(self, name: str, **options: Any) -> str:
        """What Mia reads when she asks that."""
        return await told(self.mia, name, self.meant(options))

    def offer_everything(self) -> None:
        """A server's admins may show every command to everybody, whatever the bot asked for."""
        for command in self.town.emulator.world.commands.values():
            command["default_member_permissions"] = None
