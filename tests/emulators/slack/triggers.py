"""Trigger ids: one view each, within three seconds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.emulators.slack.journal import SlackErrorResponse

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.people import SlackPerson
    from tests.emulators.slack.workspace import SlackTeamState


@dataclass(eq=False)
class SlackTriggerState:
    person: "SlackPerson"
    issued_at: float
    is_used: bool = False


class SlackTriggerRegistry:
    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack
        self._triggers: dict[str, SlackTriggerState] = {}

    def issue(self, person: "SlackPerson") -> str:
        trigger_id = f"{self._slack.ids.next('1')}.{self._slack.ids.next('2')}.{self._slack.ids.next('f')}"
        self._triggers[trigger_id] = SlackTriggerState(person, self._slack.clock.now())
        return trigger_id

    def exchange(self, trigger_id: str, team: "SlackTeamState") -> "SlackPerson":
        """Whose it is. Raises Refused."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None or trigger.person.team is not team:
            raise SlackErrorResponse("invalid_trigger_id")
        if trigger.is_used:
            raise SlackErrorResponse("exchanged_trigger_id")
        if self._slack.clock.now() - trigger.issued_at > self._slack.options.lifetimes.trigger_seconds:
            raise SlackErrorResponse("expired_trigger_id")
        trigger.is_used = True
        return trigger.person
