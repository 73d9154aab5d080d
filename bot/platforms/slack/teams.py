"""The workspaces that the app is installed in, and the token that opens each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

NAME = "slack"


@dataclass(frozen=True, slots=True)
class SlackTeam:
    """One installation. `bot_user` is how people mention the app there."""

    id: str
    token: str = field(repr=False)
    bot_user: str
    bot_id: str
    name: str = ""
    bot_name: str = "easel"
    scopes: frozenset[str] = frozenset()


class SlackTeams(Protocol):
    """Who let the app in."""

    async def get(self, team: str) -> SlackTeam | None:
        """None where the app is not installed, or not any more."""
        ...

    async def remove(self, team: str) -> None:
        """The app was taken out of that workspace."""
        ...


class SingleTeam:
    """The app of one workspace, whose token is in the settings."""

    def __init__(self) -> None:
        self._teams: dict[str, SlackTeam] = {}

    def set_team(self, team: SlackTeam) -> None:
        self._teams = {team.id: team}

    async def get(self, team: str) -> SlackTeam | None:
        return self._teams.get(team)

    async def remove(self, team: str) -> None:
        self._teams.pop(team, None)

    @property
    def is_installed(self) -> bool:
        return bool(self._teams)


def parse_team(answer: Mapping[str, object], token: str, scopes: str) -> SlackTeam:
    """A team from the answer of `auth.test` and its header `x-oauth-scopes`."""
    return SlackTeam(
        id=str(answer.get("team_id", "")),
        token=token,
        bot_user=str(answer.get("user_id", "")),
        bot_id=str(answer.get("bot_id", "")),
        name=str(answer.get("team", "")),
        bot_name=str(answer.get("user") or "easel"),
        scopes=parse_scopes(scopes),
    )


def parse_scopes(text: str) -> frozenset[str]:
    """Scopes as Slack lists them, with commas between."""
    return frozenset(scope.strip() for scope in text.split(",") if scope.strip())
