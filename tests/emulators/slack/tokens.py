"""Who may call: the app's token in each workspace, and its app-level token."""

import secrets
from typing import TYPE_CHECKING

from tests.emulators.slack.journal import SlackErrorResponse

if TYPE_CHECKING:
    from tests.emulators.slack.workspace import SlackTeamState


class SlackTokenRegistry:
    """A token leads to its workspace, or to the reason why it does not any more."""

    def __init__(self) -> None:
        self.app_token = f"xapp-1-{secrets.token_hex(12)}"
        self._teams: dict[str, SlackTeamState] = {}
        self._refused: dict[str, str] = {}

    def issue(self, team: "SlackTeamState") -> str:
        token = f"xoxb-{len(self._teams) + 1}-{secrets.token_hex(12)}"
        self._teams[token] = team
        return token

    def revoke(self, token: str, error: str) -> None:
        """From now on `token` is answered with `error`; the app-level token too can be refused."""
        self._refused[token] = error

    def find_team(self, token: str) -> "SlackTeamState":
        """Raises Refused."""
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
        """Raises Refused."""
        if not token:
            raise SlackErrorResponse("not_authed")
        if token in self._refused:
            raise SlackErrorResponse(self._refused[token])
        if token in self._teams:
            raise SlackErrorResponse("not_allowed_token_type")
        if token != self.app_token:
            raise SlackErrorResponse("invalid_auth")
