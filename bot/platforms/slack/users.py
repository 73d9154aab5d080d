"""Who somebody is: name, language, rank in their workspace, and the user groups they are in. Asked after the ack."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from bot.core.clock import Clock
from bot.core.people import User
from bot.core.ttl_cache import TtlCache
from bot.platforms.slack.installations import NAME, SlackTeams
from bot.platforms.slack.web_api import CallRefused, CallUnclear, SlackWebApi

log = logging.getLogger(__name__)

SlackProfile = Mapping[str, Any]
UserGroups = Mapping[str, frozenset[str]]
K = TypeVar("K")
V = TypeVar("V")

USER_CACHE_SECONDS = 600.0
GROUPS_CACHE_SECONDS = 300.0

_UNTOLD: UserGroups = {}
"""Slack did not say who is in which group."""


class SlackUsers:
    """People by workspace and id: what one workspace says of somebody is never believed in another."""

    def __init__(self, calls: SlackWebApi, teams: SlackTeams, clock: Clock) -> None:
        self._calls = calls
        self._teams = teams
        self._told: TtlCache[tuple[str, str], SlackProfile] = TtlCache(clock, USER_CACHE_SECONDS)
        self._groups: TtlCache[str, UserGroups] = TtlCache(clock, GROUPS_CACHE_SECONDS)
        self._asking: dict[tuple[str, str], asyncio.Task[SlackProfile]] = {}
        self._asking_groups: dict[str, asyncio.Task[UserGroups]] = {}

    async def get_user(
        self, team: str, user: str, *, home: str = "", name: str = "", timeout_seconds: float | None = None
    ) -> User:
        """Who asks in that workspace. `home` is their own, where they come from another by Slack Connect.

        With `patience`, who is not told of within so many seconds is a person without any rank.
        """
        told: SlackProfile = {}
        all_groups: UserGroups = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                # Somebody new waits for one round trip, not two.
                told, all_groups = await asyncio.gather(self._person(team, user), self._groups_of(team))
        is_guest = bool(told.get("is_stranger")) or (bool(home) and home != team)
        is_admin = any(told.get(flag) for flag in ("is_admin", "is_owner", "is_primary_owner"))
        groups = {} if is_guest else all_groups
        return User(
            platform=NAME,
            workspace=home or team,
            id=user,
            name=_name(told) or name or user,
            locale=str(told.get("locale") or "en"),
            roles=groups.get(user, frozenset()),
            is_administrator=is_admin and not is_guest,
        )

    async def find_member(self, team: str, user: str) -> User | None:
        """Somebody of that workspace; None for a stranger, and for who left."""
        told = await self._person(team, user)
        is_here = bool(told) and not (told.get("is_stranger") or told.get("deleted"))
        return await self.get_user(team, user) if is_here else None

    async def get_name(self, team: str, user: str) -> str:
        """What people call somebody; the id where nobody knows."""
        return _name(await self._person(team, user)) or user

    async def _person(self, team: str, user: str) -> SlackProfile:
        key = (team, user)
        told = await self._told.get(key, lambda: _once(self._asking, key, lambda: self._ask(team, user)))
        if not told:
            self._told.invalidate(key)  # what Slack did not tell this time is asked again
        return told

    async def _groups_of(self, team: str) -> UserGroups:
        groups = await self._groups.get(team, lambda: _once(self._asking_groups, team, lambda: self._ask_groups(team)))
        if groups is _UNTOLD:
            self._groups.invalidate(team)
        return groups

    async def _ask(self, team: str, user: str) -> SlackProfile:
        try:
            answer = await self._calls.call(team, "users.info", user=user, include_locale=True)
        except (CallRefused, CallUnclear) as error:
            log.warning("slack.person_unknown", extra={"team": team, "user": user, "reason": str(error)})
            return {}
        told = answer.get("user")
        return told if isinstance(told, dict) else {}

    async def _ask_groups(self, team: str) -> UserGroups:
        """The groups of each person; none where the app may not know them."""
        known = await self._teams.get(team)
        if known is None or (known.scopes and "usergroups:read" not in known.scopes):
            return {}
        try:
            answer = await self._calls.call(team, "usergroups.list", include_users=True)
        except (CallRefused, CallUnclear) as error:
            log.info("slack.groups_unknown", extra={"team": team, "reason": str(error)})
            return _UNTOLD
        members: dict[str, set[str]] = {}
        for group in answer.get("usergroups") or ():
            for user in group.get("users") or ():
                members.setdefault(str(user), set()).add(str(group["id"]))
        return {user: frozenset(groups) for user, groups in members.items()}


async def _once(asking: "dict[K, asyncio.Task[V]]", key: K, ask: Callable[[], Coroutine[Any, Any, V]]) -> V:
    """Ask once for all who want to know at the same time."""
    if key not in asking:
        asking[key] = asyncio.create_task(ask())
        asking[key].add_done_callback(lambda _: asking.pop(key, None))
    return await asyncio.shield(asking[key])


def _name(told: Mapping[str, Any]) -> str:
    profile = told.get("profile") or {}
    return str(
        profile.get("display_name") or profile.get("real_name") or told.get("real_name") or told.get("name") or ""
    )
