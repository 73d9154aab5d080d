"""Workspaces with an installation of the app, and the bot token of each."""

import base64
import hashlib
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from slack_bolt.error import BoltError
from slack_sdk.oauth.installation_store import Bot
from slack_sdk.oauth.installation_store import Installation as SlackInstallation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore

from bot.core.caches import TtlCache
from bot.core.clock import Clock
from bot.core.json import JSON
from bot.storage.database import Database
from bot.storage.people import Installation

log = logging.getLogger(__name__)

NAME = "slack"

CACHE_SECONDS = 60.0
"""Another process's installations and removals are noticed after at most this time."""

STATE_LIFETIME_SECONDS = 600
"""Time from the start of an installation to the end."""


@dataclass(frozen=True, slots=True)
class SlackTeam:
    """An installation. `bot_user` is the user id by which messages mention the app."""

    id: str
    token: str = field(repr=False)
    bot_user: str
    bot_id: str
    name: str = ""
    bot_name: str = "easel"
    scopes: frozenset[str] = frozenset()


class SlackTeams(Protocol):
    """The installations of the app."""

    async def get(self, team: str) -> SlackTeam | None:
        """Return the installation of a workspace, or None if the app is not installed there."""
        ...

    async def remove(self, team: str) -> None:
        """Forget a workspace that uninstalled the app."""
        ...


class SingleTeam:
    """Implements `SlackTeams` for the app of a single workspace, with the token from the settings."""

    def __init__(self, team: SlackTeam) -> None:
        self._team: SlackTeam | None = team

    async def get(self, team: str) -> SlackTeam | None:
        return self._team if self._team is not None and self._team.id == team else None

    async def remove(self, team: str) -> None:
        if self._team is not None and self._team.id == team:
            self._team = None

    @property
    def is_installed(self) -> bool:
        return self._team is not None


class InstalledTeams(AsyncInstallationStore):
    """Implements `SlackTeams` for an app of many workspaces, installed by OAuth; slack-bolt's OAuth flow saves here.

    Tokens are encrypted in the database: slack_sdk's own SQLAlchemy store keeps tokens in clear.
    """

    def __init__(self, database: Database, client_secret: str, clock: Clock) -> None:
        self._database = database
        self._key = derive_key(client_secret, b"installations")
        self._clock = clock
        self._teams: TtlCache[str, SlackTeam | None] = TtlCache(clock, CACHE_SECONDS)
        self.states = OAuthStates(database, client_secret, clock)

    async def get(self, team: str) -> SlackTeam | None:
        return await self._teams.get(team, lambda: self._read(team))

    async def remove(self, team: str) -> None:
        async with self._database.write() as tx:
            is_removed = await tx.installations.remove(NAME, team, self._clock.now())
        self._teams.invalidate(team)
        if is_removed:
            log.info("slack.uninstalled", extra={"team": team})

    async def async_save(self, installation: SlackInstallation) -> None:
        """Store a new installation. Raise `BoltError` for an organisation's installation without a workspace."""
        team, token = installation.team_id or "", installation.bot_token or ""
        if not team or not token:
            log.warning("slack.installation_refused", extra={"reason": "the installation has no workspace"})
            raise BoltError("The app is installed in one workspace at a time, not in a whole organisation.")
        facts: dict[str, JSON] = {
            "bot_user": installation.bot_user_id or "",
            "bot_id": installation.bot_id or "",
            "name": installation.team_name or "",
            "scopes": [*sorted(parse_scopes(",".join(installation.bot_scopes or ())))],
        }
        encrypted = self._key.encrypt(json.dumps({"token": token}).encode())
        row = Installation(NAME, team, encrypted, facts, installation.user_id or "", self._clock.now())
        async with self._database.write() as tx:
            await tx.installations.put(row)
        self._teams.invalidate(team)
        log.info("slack.installed", extra={"team": team})

    async def async_save_bot(self, bot: Bot) -> None:
        """Keep no token: slack-bolt renews expiring tokens here, and our manifest turns token rotation off."""

    async def _read(self, team: str) -> SlackTeam | None:
        async with self._database.read() as tx:
            row = await tx.installations.get(NAME, team)
        if row is None:
            return None
        try:
            token = json.loads(self._key.decrypt(row.secrets))["token"]
        except InvalidToken:
            log.warning(
                "slack.installation_unreadable", extra={"team": team, "hint": "SLACK_CLIENT_SECRET has changed"}
            )
            return None
        facts = row.facts
        scopes = facts.get("scopes")
        return SlackTeam(
            id=team,
            token=str(token),
            bot_user=str(facts.get("bot_user", "")),
            bot_id=str(facts.get("bot_id", "")),
            name=str(facts.get("name", "")),
            scopes=frozenset(map(str, scopes)) if isinstance(scopes, list) else frozenset(),
        )


class OAuthStates(AsyncOAuthStateStore):
    """OAuth `state` values: encrypted with our key, valid once, for `STATE_LIFETIME_SECONDS`."""

    def __init__(self, database: Database, client_secret: str, clock: Clock) -> None:
        self._database = database
        self._key = derive_key(client_secret, b"states")
        self._clock = clock

    async def async_issue(self, *args: object, **kwargs: object) -> str:
        return self._key.encrypt(secrets.token_bytes(12)).decode()

    async def async_consume(self, state: str) -> bool:
        """Return whether the state is ours, fresh and unused, and mark the state as used."""
        try:
            self._key.decrypt(state.encode(), ttl=STATE_LIFETIME_SECONDS)
        except InvalidToken:
            return False
        # The database refuses a second use in any process.
        digest = hashlib.sha256(state.encode()).hexdigest()
        async with self._database.write() as tx:
            return await tx.inbox.add(f"slack-state:{digest}", "", self._clock.now())


def derive_key(client_secret: str, purpose: bytes) -> Fernet:
    """Return a separate key for each purpose, derived by HKDF from the app's client secret."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"easel slack " + purpose)
    return Fernet(base64.urlsafe_b64encode(derived.derive(client_secret.encode())))


def parse_team(response: Mapping[str, object], token: str, scopes: str) -> SlackTeam:
    """Return the team of a response of `auth.test`; `scopes` is the response's header `x-oauth-scopes`."""
    return SlackTeam(
        id=str(response.get("team_id", "")),
        token=token,
        bot_user=str(response.get("user_id", "")),
        bot_id=str(response.get("bot_id", "")),
        name=str(response.get("team", "")),
        bot_name=str(response.get("user") or "easel"),
        scopes=parse_scopes(scopes),
    )


def parse_scopes(text: str) -> frozenset[str]:
    """Return the scopes of Slack's comma-separated list."""
    return frozenset(scope.strip() for scope in text.split(",") if scope.strip())
