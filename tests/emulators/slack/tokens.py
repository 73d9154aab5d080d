"""Tokens of the app (per workspace and app-level), and trigger ids."""

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.emulators.slack.request_log import SlackErrorResponse

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.people import SlackPerson
    from tests.emulators.slack.state import SlackTeamState


class SlackTokenRegistry:
    """Maps each token to its workspace, or to the error of a revoked token."""

    def __init__(self) -> None:
        self.app_token = f"xapp-1-{secrets.token_hex(12)}"
        self._teams: dict[str, SlackTeamState] = {}
        self._refused: dict[str, str] = {}

    def issue(self, team: "SlackTeamState") -> str:
        token = f"xoxb-{len(self._teams) + 1}-{secrets.token_hex(12)}"
        self._teams[token] = team
        return token

    def revoke(self, token: str, error: str) -> None:
        """Answer calls with this token with `error`; also for the app-level token."""
        self._refused[token] = error

    def find_team(self, token: str) -> "SlackTeamState":
        """Return the token's workspace. Raise `SlackErrorResponse` if invalid or revoked."""
        if not token:
            raise SlackErrorResponse("not_authed")
        if token in self._refused:
            raise SlackErrorResponse(self._refused[token])
        if token == self.app_token:
            raise SlackErrorResponse("not_allowed_token_type")
        if token not in self._teams:
            raise SlackErrorResponse("invalid_auth")
        return self._teams[token]

    def check_app_token(self, token: str) -> None:
        """Raise `SlackErrorResponse` unless this is the valid app-level token."""
        if not token:
            raise SlackErrorResponse("not_authed")
        if token in self._refused:
            raise SlackErrorResponse(self._refused[token])
        if token in self._teams:
            raise SlackErrorResponse("not_allowed_token_type")
        if token != self.app_token:
            raise SlackErrorResponse("invalid_auth")


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
        """Return the trigger's person. Raise `SlackErrorResponse` if used, expired or of another workspace."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None or trigger.person.team is not team:
            raise SlackErrorResponse("invalid_trigger_id")
        if trigger.is_used:
            raise SlackErrorResponse("exchanged_trigger_id")
        if self._slack.clock.now() - trigger.issued_at > self._slack.options.lifetimes.trigger_seconds:
            raise SlackErrorResponse("expired_trigger_id")
        trigger.is_used = True
        return trigger.person
