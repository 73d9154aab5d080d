"""A workspace with a channel, Ana and an app in it: where the tests of the emulator begin."""

from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators.slack.bolt_app import BoltTestApp
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.workspace import SlackChannelState, SlackTeamState


@dataclass(frozen=True)
class SlackTestWorkspace:
    """All that a test needs to begin."""

    slack: SlackEmulator
    team: SlackTeamState
    general: SlackChannelState
    ana: SlackPerson
    bolt_app: BoltTestApp

    @property
    def client(self) -> AsyncWebClient:
        return self.bolt_app.client

    async def post_root_message(self) -> SlackMessageState:
        """Something that Ana said, without anybody hearing it."""
        message = SlackMessageState(self.general, self.slack.clock.next_timestamp(), self.ana.id, "hello")
        return self.general.add_message(message)
