"""Who may call: the app's token in each workspace, and its app-level token."""

import secrets
from typing import TYPE_CHECKING

from tests.emulators.slack.journal import Refused

if TYPE_CHECKING:
    from tests.emulators.slack.workspace import Team


class Tokens:
    """A token leads to its workspace, or to the reason why it does not any more."""

    def __init__(self) -> None:
        self.app_token = f"xapp-1-{secrets.token_hex(12)}"
        self._teams: dict[str, Team] = {}
        self._refused: dict[str, str] = {}

    def issue(self, team: "Team") -> str:
        token = f"xoxb-{len(self._teams) + 1}-{secrets.token_hex(12)}"
        self._teams[token] = team
        return token

    def refuse(self, token: str, error: str) -> None:
        """From now on `token` is answered with `error`; the app-level token too can be refused."""
        self._refused[token] = error

    def team_of(self, token: str) -> "Team":
        """Raises Refused."""
        if not token:
            raise Refused("not_authed")
        if token in self._refused:
            raise Refused(self._refused[token])
        if token == self.app_token:
            raise Refused("not_allowed_token_type")
        if token not in self._teams:
            raise Refused("invalid_auth")
        return self._teams[token]

    def check_app_token(self, token: str) -> None:
        """Raises Refused."""
        if not token:
            raise Refused("not_authed")
        if token in self._refused:
            raise Refused(self._refused[token])
        if token in self._teams:
            raise Refused("not_allowed_token_type")
        if token != self.app_token:
            raise Refused("invalid_auth")
