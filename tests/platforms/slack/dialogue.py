"""Talking with the bot by commands whose answers only the asker sees, as moderators do all day."""

from dataclasses import dataclass, field
from typing import Any

from bot.settings import Owner
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.state import SlackChannelState, SlackUserGroupState
from tests.platforms.slack.office import Office


async def run_command(who: SlackPerson, line: str, channel: SlackChannelState | None = None) -> SlackMessageState:
    """What the bot answers somebody privately to a line such as `/quota show`; without a channel, in the DM."""
    last = who.private_messages[-1] if who.private_messages else None
    command, _, text = line.partition(" ")
    await who.use_command(command, text, channel)
    return await who.wait_for_private_message(after=last)


async def read_answer(who: SlackPerson, line: str, channel: SlackChannelState | None = None) -> str:
    """The words of it."""
    return (await run_command(who, line, channel)).visible_text


async def draw_picture(who: SlackPerson, channel: SlackChannelState, words: str = "a fox") -> SlackMessageState:
    """A finished picture that somebody asked for."""
    before = channel.bot_messages[-1] if channel.bot_messages else None
    await who.use_command("/imagine", words, channel)
    return await channel.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels, after=before)


@dataclass
class SlackStaff:
    """Who and what there is besides Ana, Otto (who administers) and #general: Ben, a user group, and #studio.

    `group`, `studio_typed` and people's `escaped` are how Slack writes them into what is typed; `…_shown` is how the
    bot's answers link them.
    """

    office: Office
    ben: SlackPerson = field(init=False)
    designers: SlackUserGroupState = field(init=False)
    studio: SlackChannelState = field(init=False)

    def __post_init__(self) -> None:
        team = self.office.team
        self.ben = team.add_person("Ben")
        self.designers = team.add_user_group("designers", [self.office.ana])
        self.studio = team.add_channel("studio")

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

    async def ask_as_moderator(self, line: str) -> str:
        """What Otto reads when he types that in #general."""
        return await read_answer(self.office.otto, line, self.office.general)


async def reopen_with_owner(office: Office, owner: SlackPerson, **changes: Any) -> Office:
    """The same office, opened again, whose bot is owned by somebody."""
    await office.close()
    mine = (Owner("slack", office.team.id, owner.id),)
    office.settings = office.settings.model_copy(update={"admin_users": mine, **changes})
    return await office.open()
