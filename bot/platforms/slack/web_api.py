"""Calls of Slack's Web API: within the budgets, 429 waited out, broken connections tried again where that is harmless.

slack_sdk's own retries are off: they repeat a post whose answer was lost, and do not retry a 429 at all.
"""

import json
import logging
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.clock import Clock
from bot.core.errors import EaselError
from bot.platforms.slack.installations import SlackTeams
from bot.platforms.slack.pacing import SlackRateLimit, SlackRateLimits
from bot.telemetry import metrics

log = logging.getLogger(__name__)

WebApiResponse = Mapping[str, Any]
T = TypeVar("T")

UNINSTALLED_CODES = frozenset(
    {"account_inactive", "token_revoked", "token_expired", "invalid_auth", "not_authed", "team_access_not_granted"}
)
"""Errors that say that the app is not in that workspace any more."""

_TOO_MANY = ("ratelimited", "rate_limited")
_TRIES = 6
_WAITS_SECONDS = (0.2, 1.0, 3.0)
_FORMS = ("files.", "users.", "usergroups.", "conversations.")
"""Methods that read forms, not JSON."""
_HARMLESS_TWICE = frozenset({
    "auth.test", "apps.connections.open", "chat.update", "chat.delete", "conversations.open",
    "conversations.replies", "conversations.history", "files.info", "files.getUploadURLExternal", "users.info",
    "usergroups.list", "assistant.threads.setStatus", "assistant.threads.setSuggestedPrompts",
    "agents.sessions.setStatus",
})  # fmt: skip


class CallRefused(EaselError):
    """Slack said no; `code` is its own word for why."""

    def __init__(self, method: str, code: str, details: str = "") -> None:
        super().__init__(f"{method}: {code} {details}".strip())
        self.code = code


class CallUnclear(EaselError):
    """The connection broke, or Slack did: what was called may have been done or not."""


class SlackWebApi:
    """One session for all calls of all workspaces."""

    def __init__(
        self, api_url: str, session: aiohttp.ClientSession, teams: SlackTeams, budgets: SlackRateLimits, clock: Clock
    ) -> None:
        self.api_url = api_url
        self.session = session
        self.rate_limits = budgets
        self._teams = teams
        self._clock = clock
        self._clients: dict[str, AsyncWebClient] = {}

    def create_client(self, token: str | None = None) -> AsyncWebClient:
        """A client of slack_sdk on our session. It takes no proxy from the environment: NO_PROXY is not read there."""
        client = AsyncWebClient(token=token, base_url=self.api_url, session=self.session, retry_handlers=[])
        client.proxy = None
        return client

    async def call(self, team: str, method: str, *, is_paid: bool = False, **arguments: Any) -> WebApiResponse:
        """One call. `is_paid` says that its place in the budget was taken before. None arguments are left out.

        Raises `CallRefused` or `CallUnclear`.
        """
        client = await self._client_of(team, method)
        given = {name: value for name, value in arguments.items() if value is not None}
        allowance = self.rate_limits.get(team, method, str(given.get("channel", "")))
        for attempt in range(_TRIES):
            if not is_paid:
                await self._take(allowance)
            is_paid = False
            try:
                return await self._once(client, method, given)
            except SlackApiError as error:
                seconds = _retry_after(error)
                if seconds is not None:
                    metrics.rate_limited.labels(platform="slack").inc()
                    log.warning("slack.too_many", extra={"method": method, "team": team, "seconds": seconds})
                    allowance.block(seconds)
                elif (code := _code(error)) is not None:
                    await self._notice(team, code)
                    raise CallRefused(method, code, _details(error)) from error
                else:
                    await self._again(method, attempt, error)
            except (aiohttp.ClientError, TimeoutError, SlackClientError, OSError) as error:
                await self._again(method, attempt, error)
        raise CallUnclear(f"{method}: Slack did not answer.")

    async def _once(self, client: AsyncWebClient, method: str, given: dict[str, Any]) -> WebApiResponse:
        is_form = method.startswith(_FORMS)
        answer = (
            await client.api_call(method, data=_as_form(given))  # in the body: an address holds no blocks
            if is_form
            else await client.api_call(method, json=given)
        )
        data = answer.data
        return data if isinstance(data, dict) else {}

    async def _take(self, allowance: SlackRateLimit) -> None:
        share = allowance.pacer()
        try:
            await share.wait_for_edit(is_final=True)
        finally:
            share.close()

    async def _again(self, method: str, attempt: int, error: Exception) -> None:
        """Wait for another try, or raise `CallUnclear` where doing it twice could show."""
        if method not in _HARMLESS_TWICE or attempt >= len(_WAITS_SECONDS):
            raise CallUnclear(f"{method}: {type(error).__name__}") from error
        log.warning("slack.call_broke", extra={"method": method, "reason": type(error).__name__})
        await self._clock.sleep(_WAITS_SECONDS[attempt])

    async def _client_of(self, team: str, method: str) -> AsyncWebClient:
        known = await self._teams.get(team)
        if known is None:
            raise CallRefused(method, "account_inactive")
        if known.token not in self._clients:
            self._clients[known.token] = self.create_client(known.token)
        return self._clients[known.token]

    async def _notice(self, team: str, code: str) -> None:
        if code in UNINSTALLED_CODES:
            log.warning("slack.workspace_lost", extra={"team": team, "reason": code})
            await self._teams.remove(team)


async def ignore_refusal(work: Awaitable[T]) -> T | None:
    """Do what is only nice to have: a refusal is noted, and gives None."""
    try:
        return await work
    except (CallRefused, CallUnclear) as error:
        log.info("slack.let_pass", extra={"reason": str(error)})
        return None


def _as_form(given: dict[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, (list, dict)) else value for name, value in given.items()}


def _retry_after(error: SlackApiError) -> float | None:
    """Seconds to wait, of a 429, or of a 200 that says the same."""
    response = error.response
    if getattr(response, "status_code", 0) != 429:
        return 1.0 if _code(error) in _TOO_MANY else None
    headers = {name.lower(): value for name, value in dict(response.headers).items()}
    try:
        return max(0.5, float(headers.get("retry-after", "1")))
    except ValueError:
        return 1.0


def _code(error: SlackApiError) -> str | None:
    data = getattr(error.response, "data", None)
    code = data.get("error") if isinstance(data, dict) else None
    return str(code) if code and code not in ("internal_error", "fatal_error", "service_unavailable") else None


def _details(error: SlackApiError) -> str:
    data = getattr(error.response, "data", None)
    told = (data.get("response_metadata") or {}).get("messages") if isinstance(data, dict) else None
    return "; ".join(map(str, told)) if told else str(data.get("needed", "")) if isinstance(data, dict) else ""
