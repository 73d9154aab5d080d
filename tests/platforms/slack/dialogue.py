"""Runs commands with ephemeral answers, as moderators do all day."""

from dataclasses import dataclass, field
from typing import Any

from bot.settings import Owner
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.state import SlackChannelState, SlackUserGroupState
from tests.platforms.slack.office import Office


async def run_command(who: SlackPerson, line: str, channel: SlackChannelState | None = None) -> SlackMessageState:
    """Run a command such as `/quota show` and return its ephemeral answer; without a channel in direct messages."""
    last = who.private_messages[-1] if who.private_messages else None
    command, _, text = line.partition(" ")
    await who.use_command(command, text, channel)
    return await who.wait_for_private_message(after=last)


async def read_answer(who: SlackPerson, line: str, channel: SlackChannelState | None = None) -> str:
    """Run a command and return the text of the ephemeral answer."""
    return (await run_command(who, line, channel)).visible_text


async def draw_picture(who: SlackPerson, channel: SlackChannelState, words: str = "a fox") -> SlackMessageState:
    """Run /imagine and return the message with the finished picture."""
    before = channel.bot_messages[-1] if channel.bot_messages else None
    await who.use_command("/imagine", words, channel)
    return await channel.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels, after=before)


@dataclass
class SlackStaff:
    """Further people and places of an office: Ben, a user group, and #studio. Otto administers the workspace.

    `group` and `studio_typed` are the texts that Slack sends for a typed group or channel; `…_shown` are the links in
    the bot's answers.
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
        """Run a command as Otto in #general and return the text of the answer."""
        return await read_answer(self.office.otto, line, self.office.general)


async def reopen_with_owner(office: Office, owner: SlackPerson, **changes: Any) -> Office:
    """Open an office again, with a person as the bot's owner."""
    await office.close()
    mine = (Owner("slack", office.team.id, owner.id),)
    office.settings = office.settings.model_copy(update={"admin_users": mine, **changes})
    return await office.open()
