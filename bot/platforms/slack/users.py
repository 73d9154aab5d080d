"""Users of a workspace: name, language, rank, and user groups, read from Slack and cached."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

from bot.core import limits
from bot.core.caches import TtlCache
from bot.core.clock import Clock
from bot.core.people import User
from bot.platforms.slack.errors import CallRefused, CallUnclear, ignore_refusal
from bot.platforms.slack.installations import NAME, SlackTeams
from bot.platforms.slack.mrkdwn import find_labels
from bot.platforms.slack.web_api import SlackWebApi

log = logging.getLogger(__name__)

SlackProfile = Mapping[str, Any]
K = TypeVar("K")
V = TypeVar("V")

USER_CACHE_SECONDS = 600.0
CHANNEL_CACHE_SECONDS = 600.0
GROUPS_CACHE_SECONDS = 300.0
"""How long people without a rank are known; a rank is read again after `RANK_BELIEVED_SECONDS`."""

_MAX_NAMES = 30
_CHANNEL_SCOPES = frozenset({"channels:read", "groups:read"})


@dataclass(frozen=True, slots=True)
class SlackUserGroups:
    """The user groups of a workspace: the ids of each user's groups, and the handles of the groups by id."""

    by_user: Mapping[str, frozenset[str]] = field(default_factory=dict)
    handles: Mapping[str, str] = field(default_factory=dict)


# Returned when Slack did not report the groups; compared by identity.
_UNKNOWN_GROUPS = SlackUserGroups()


@dataclass(frozen=True, slots=True)
class _Reading(Generic[V]):
    """A value of Slack's, and the monotonic time at which the request began."""

    read_at: float
    value: V


class SlackUsers:
    """Finds users by workspace and id. A rank counts in the workspace that reports the rank, and in no other."""

    def __init__(self, web_api: SlackWebApi, teams: SlackTeams, clock: Clock) -> None:
        self._web_api = web_api
        self._teams = teams
        self._clock = clock
        self._profiles: TtlCache[tuple[str, str], _Reading[SlackProfile]] = TtlCache(clock, USER_CACHE_SECONDS)
        self._channel_names: TtlCache[tuple[str, str], str] = TtlCache(clock, CHANNEL_CACHE_SECONDS)
        self._groups: TtlCache[str, _Reading[SlackUserGroups]] = TtlCache(clock, GROUPS_CACHE_SECONDS)
        self._profile_requests: dict[tuple[str, str], asyncio.Task[_Reading[SlackProfile]]] = {}
        self._groups_requests: dict[str, asyncio.Task[_Reading[SlackUserGroups]]] = {}

    async def get_user(
        self, team: str, user: str, *, home: str = "", name: str = "", timeout_seconds: float | None = None
    ) -> User:
        """Return a user as seen in a workspace. `home` is the user's own workspace, for Slack Connect.

        If the profile does not arrive within `timeout_seconds`, the user has no rank and no groups.
        """
        profile: SlackProfile = {}
        all_groups = SlackUserGroups()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                # Both requests at once: a first command waits for a single round trip instead of two.
                profile, all_groups = await asyncio.gather(self._get_profile(team, user), self._get_groups(team, user))
        # An administrator of another workspace is a guest here.
        is_guest = bool(profile.get("is_stranger")) or (bool(home) and home != team)
        groups = {} if is_guest else all_groups.by_user
        return User(
            platform=NAME,
            workspace=home or team,
            id=user,
            name=_get_name(profile) or name or user,
            locale=str(profile.get("locale") or "en"),
            roles=groups.get(user, frozenset()),
            is_administrator=_has_rank(profile) and not is_guest,
        )

    async def find_member(self, team: str, user: str) -> User | None:
        """Return a member of the workspace, or None for a guest from another workspace and for a deleted user."""
        profile = await self._get_profile(team, user)
        is_member = bool(profile) and not (profile.get("is_stranger") or profile.get("deleted"))
        return await self.get_user(team, user) if is_member else None

    async def get_name(self, team: str, user: str) -> str:
        """Return a user's display name, or "somebody"."""
        return _get_name(await self._get_profile(team, user)) or "somebody"

    async def get_names(self, team: str, text: str) -> dict[str, str]:
        """Return the names, by id, of the users, groups and channels that a text of Slack mentions."""
        # A text of 4,000 characters holds hundreds of mentions: each name is a request.
        labels = dict(islice(find_labels(text).items(), _MAX_NAMES))
        names = await asyncio.gather(*(self._find_name(team, id_, label) for id_, label in labels.items()))
        return dict(zip(labels, names, strict=True))

    async def _find_name(self, team: str, id_: str, label: str) -> str:
        if id_[0] in "UWB":
            return await self.get_name(team, id_)
        if label:
            return label
        if id_[0] == "S":
            return (await self._get_groups(team, "")).handles.get(id_) or "a group"
        return await self._channel_names.get((team, id_), lambda: self._fetch_channel_name(team, id_))

    async def _fetch_channel_name(self, team: str, channel: str) -> str:
        """Return a channel's name, or "another-channel" for a channel that the app cannot see."""
        installed = await self._teams.get(team)
        lacks_scope = installed is not None and installed.scopes and not installed.scopes & _CHANNEL_SCOPES
        if lacks_scope:
            return "another-channel"
        response = await ignore_refusal(self._web_api.call(team, "conversations.info", channel=channel)) or {}
        return str((response.get("channel") or {}).get("name") or "another-channel")

    async def _get_profile(self, team: str, user: str) -> SlackProfile:
        key = (team, user)

        def load() -> "Awaitable[_Reading[SlackProfile]]":
            return _join_request(self._profile_requests, key, lambda: self._request_profile(team, user))

        reading = await self._profiles.get(key, load)
        if _has_rank(reading.value) and self._is_doubtful(reading):
            self._profiles.invalidate(key)
            reading = await self._profiles.get(key, load)
        if not reading.value:
            self._profiles.invalidate(key)  # request a missing profile again next time
        return reading.value

    async def _get_groups(self, team: str, user: str) -> SlackUserGroups:
        def load() -> "Awaitable[_Reading[SlackUserGroups]]":
            return _join_request(self._groups_requests, team, lambda: self._request_groups(team))

        reading = await self._groups.get(team, load)
        if user in reading.value.by_user and self._is_doubtful(reading):
            self._groups.invalidate(team)
            reading = await self._groups.get(team, load)
        if reading.value is _UNKNOWN_GROUPS:
            self._groups.invalidate(team)
        return reading.value

    def _is_doubtful(self, reading: "_Reading[Any]") -> bool:
        # A rank may have been taken away since. People without a rank have nothing to lose: they are not asked for.
        return self._clock.monotonic() - reading.read_at >= limits.RANK_BELIEVED_SECONDS

    async def _request_profile(self, team: str, user: str) -> "_Reading[SlackProfile]":
        read_at = self._clock.monotonic()
        return _Reading(read_at, await self._fetch_profile(team, user))

    async def _request_groups(self, team: str) -> "_Reading[SlackUserGroups]":
        read_at = self._clock.monotonic()
        return _Reading(read_at, await self._fetch_groups(team))

    async def _fetch_profile(self, team: str, user: str) -> SlackProfile:
        try:
            response = await self._web_api.call(team, "users.info", user=user, include_locale=True)
        except (CallRefused, CallUnclear) as error:
            log.warning("slack.user_unknown", extra={"team": team, "user": user, "reason": str(error)})
            return {}
        profile = response.get("user")
        return profile if isinstance(profile, dict) else {}

    async def _fetch_groups(self, team: str) -> SlackUserGroups:
        """Return the groups; none if the app lacks the scope."""
        installed = await self._teams.get(team)
        if installed is None or (installed.scopes and "usergroups:read" not in installed.scopes):
            return SlackUserGroups()
        try:
            response = await self._web_api.call(team, "usergroups.list", include_users=True)
        except (CallRefused, CallUnclear) as error:
            log.info("slack.groups_unknown", extra={"team": team, "reason": str(error)})
            return _UNKNOWN_GROUPS
        members: dict[str, set[str]] = {}
        for group in response.get("usergroups") or ():
            for user in group.get("users") or ():
                members.setdefault(str(user), set()).add(str(group["id"]))
        handles = {str(group["id"]): str(group.get("handle") or "") for group in response.get("usergroups") or ()}
        return SlackUserGroups({user: frozenset(groups) for user, groups in members.items()}, handles)


async def _join_request(
    requests: "dict[K, asyncio.Task[V]]", key: K, request: Callable[[], Coroutine[Any, Any, V]]
) -> V:
    """Return the result of the running request for a key, or start one: callers at the same time share a request."""
    if key not in requests:
        requests[key] = asyncio.create_task(request())
        requests[key].add_done_callback(lambda _: requests.pop(key, None))
    # A caller's timeout must not cancel the request of the others.
    return await asyncio.shield(requests[key])


def _has_rank(profile: SlackProfile) -> bool:
    return any(profile.get(flag) for flag in ("is_admin", "is_owner", "is_primary_owner"))


def _get_name(profile: SlackProfile) -> str:
    details = profile.get("profile") or {}
    return str(
        details.get("display_name") or details.get("real_name") or profile.get("real_name") or profile.get("name") or ""
    )
