"""Talking with the bot by commands whose answers only the asker sees, as moderators do all day."""

from dataclasses import dataclass, field
from typing import Any

from bot.settings import Owner
from tests.emulators.slack.messages import Message
from tests.emulators.slack.people import Person
from tests.emulators.slack.workspace import Channel, UserGroup
from tests.platforms.slack.office import Office


async def answered(who: Person, line: str, channel: Channel | None = None) -> Message:
    """What the bot answers somebody privately to a line such as `/quota show`; without a channel, in the DM."""
    last = who.ephemerals[-1] if who.ephemerals else None
    command, _, text = line.partition(" ")
    await who.slash(command, text, channel)
    return await who.told(after=last)


async def told(who: Person, line: str, channel: Channel | None = None) -> str:
    """The words of it."""
    return (await answered(who, line, channel)).shown


async def drawn(who: Person, channel: Channel, words: str = "a fox") -> Message:
    """A finished picture that somebody asked for."""
    before = channel.of_bot[-1] if channel.of_bot else None
    await who.slash("/imagine", words, channel)
    return await channel.bot_says(holds=lambda one: "Again" in one.buttons, after=before)


@dataclass
class Staff:
    """Who and what there is besides Ana, Otto (who administers) and #general: Ben, a user group, and #studio.

    `group`, `studio_typed` and people's `escaped` are how Slack writes them into what is typed; `…_shown` is how the
    bot's answers link them.
    """

    office: Office
    ben: Person = field(init=False)
    designers: UserGroup = field(init=False)
    studio: Channel = field(init=False)

    def __post_init__(self) -> None:
        team = self.office.team
        self.ben = team.user("Ben")
        self.designers = team.user_group("designers", [self.office.ana])
        self.studio = team.channel("studio")

    @property
    def group(self) -> str:
        return f"<!subteam^{self.designers.id}|@designers>"

    @property
    def group_shown(self) -> str:
        return f"<!subteam^{self.designers.id}>"

    @property
    def studio_typed(self) -> str:
        return f"<#{self.studio.id}|studio>"

    @property
    def studio_shown(self) -> str:
        return f"<#{self.studio.id}>"

    async def asks(self, line: str) -> str:
        """What Otto reads when he types that in #general."""
        return await told(self.office.otto, line, self.office.general)


async def owned(office: Office, owner: Person, **changes: Any) -> Office:
    """The same office, opened again, whose bot is owned by somebody."""
    await office.close()
    mine = (Owner("slack", office.team.id, owner.id),)
    office.settings = office.settings.model_copy(update={"admin_users": mine, **changes})
    return await office.open()
