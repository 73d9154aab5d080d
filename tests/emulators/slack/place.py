"""A workspace with a channel, Ana and an app in it: where the tests of the emulator begin."""

from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators.slack.bolt_app import BoltApp
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.messages import Message
from tests.emulators.slack.people import Person
from tests.emulators.slack.workspace import Channel, Team


@dataclass(frozen=True)
class Place:
    """All that a test needs to begin."""

    slack: SlackEmulator
    team: Team
    general: Channel
    ana: Person
    bolt: BoltApp

    @property
    def client(self) -> AsyncWebClient:
        return self.bolt.client

    async def root(self) -> Message:
        """Something that Ana said, without anybody hearing it."""
        message = Message(self.general, self.slack.clock.stamp(), self.ana.id, "hello")
        return self.general.add(message)
