"""Trigger ids: one view each, within three seconds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.emulators.slack.journal import Refused

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.people import Person
    from tests.emulators.slack.workspace import Team


@dataclass(eq=False)
class Trigger:
    person: "Person"
    at: float
    is_used: bool = False


class Triggers:
    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack
        self._triggers: dict[str, Trigger] = {}

    def issue(self, person: "Person") -> str:
        trigger_id = f"{self._slack.ids.next('1')}.{self._slack.ids.next('2')}.{self._slack.ids.next('f')}"
        self._triggers[trigger_id] = Trigger(person, self._slack.clock.now())
        return trigger_id

    def exchange(self, trigger_id: str, team: "Team") -> "Person":
        """Whose it is. Raises Refused."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None or trigger.person.team is not team:
            raise Refused("invalid_trigger_id")
        if trigger.is_used:
            raise Refused("exchanged_trigger_id")
        if self._slack.clock.now() - trigger.at > self._slack.options.lifetimes.trigger:
            raise Refused("expired_trigger_id")
        trigger.is_used = True
        return trigger.person
