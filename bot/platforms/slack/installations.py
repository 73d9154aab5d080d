"""The workspaces that the app is installed in, and the token that opens each."""

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

from bot.core.clock import Clock
from bot.core.json import JSON
from bot.core.ttl_cache import TtlCache
from bot.storage.database import Database
from bot.storage.people import Installation

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


# MERGED Many workspaces by OAuth: their tokens encrypted in our database, each authorisation looked up once.

log = logging.getLogger(__name__)

CACHE_SECONDS = 60.0
"""What another process installed or removed is noticed after this at the latest."""

STATE_LIFETIME_SECONDS = 600
"""How long an installation that was begun may take."""


def derive_key(client_secret: str, purpose: bytes) -> Fernet:
    """A key of its own for each purpose, by HKDF from the app's client secret: another secret opens nothing."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"easel slack " + purpose)
    return Fernet(base64.urlsafe_b64encode(derived.derive(client_secret.encode())))


class InstalledTeams(AsyncInstallationStore):
    """Implements `teams.Teams`, and what slack-bolt's OAuth flow saves to."""

    def __init__(self, database: Database, client_secret: str, clock: Clock) -> None:
        self._database = database
        self._key = derive_key(client_secret, b"installations")
        self._clock = clock
        self._known: TtlCache[str, SlackTeam | None] = TtlCache(clock, CACHE_SECONDS)
        self.states = OAuthStates(database, client_secret, clock)

    async def get(self, team: str) -> SlackTeam | None:
        return await self._known.get(team, lambda: self._read(team))

    async def remove(self, team: str) -> None:
        async with self._database.write() as tx:
            was_there = await tx.installations.remove(NAME, team, self._clock.now())
        self._known.invalidate(team)
        if was_there:
            log.info("slack.uninstalled", extra={"team": team})

    async def async_save(self, installation: SlackInstallation) -> None:
        """As slack-bolt's OAuth flow hands it over. An installation for a whole organisation has no workspace."""
        team, token = installation.team_id or "", installation.bot_token or ""
        if not team or not token:
            log.warning("slack.installation_refused", extra={"reason": "it names no workspace"})
            raise BoltError("The app is installed in one workspace at a time, not in a whole organisation.")
        facts: dict[str, JSON] = {
            "bot_user": installation.bot_user_id or "",
            "bot_id": installation.bot_id or "",
            "name": installation.team_name or "",
            "scopes": [*sorted(parse_scopes(",".join(installation.bot_scopes or ())))],
        }
        sealed = self._key.encrypt(json.dumps({"token": token}).encode())
        row = Installation(NAME, team, sealed, facts, installation.user_id or "", self._clock.now())
        async with self._database.write() as tx:
            await tx.installations.put(row)
        self._known.invalidate(team)
        log.info("slack.installed", extra={"team": team})

    async def async_save_bot(self, bot: Bot) -> None:
        """Tokens that expire are not asked for, so none is renewed."""

    async def _read(self, team: str) -> SlackTeam | None:
        async with self._database.read() as tx:
            row = await tx.installations.get(NAME, team)
        if row is None:
            return None
        try:
            token = json.loads(self._key.decrypt(row.secrets))["token"]
        except InvalidToken:
            log.warning("slack.installation_sealed", extra={"team": team, "hint": "SLACK_CLIENT_SECRET has changed"})
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
    """The state of an installation that was begun: a sealed word that we alone can have written, good once."""

    def __init__(self, database: Database, client_secret: str, clock: Clock) -> None:
        self._database = database
        self._key = derive_key(client_secret, b"states")
        self._clock = clock

    async def async_issue(self, *args: object, **kwargs: object) -> str:
        return self._key.encrypt(secrets.token_bytes(12)).decode()

    async def async_consume(self, state: str) -> bool:
        try:
            self._key.decrypt(state.encode(), ttl=STATE_LIFETIME_SECONDS)
        except InvalidToken:
            return False
        used = hashlib.sha256(state.encode()).hexdigest()
        async with self._database.write() as tx:
            return await tx.inbox.add(f"slack-state:{used}", "", self._clock.now())
