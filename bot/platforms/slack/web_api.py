"""Calls Slack's Web API within the rate limits, and retries failed calls where a repetition is harmless.

slack_sdk's own retry handlers are off: its default handler repeats a post whose response was lost, and no default
handler retries a 429 (slack_sdk/http_retry/builtin_async_handlers.py).
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.clock import Clock
from bot.platforms.slack.errors import (
    UNINSTALLED_CODES,
    CallRefused,
    CallUnclear,
    get_error_code,
    get_error_details,
    get_retry_seconds,
)
from bot.platforms.slack.installations import SlackTeams
from bot.platforms.slack.pacing import SlackRateLimit, SlackRateLimits
from bot.telemetry import metrics

log = logging.getLogger(__name__)

WebApiResponse = Mapping[str, Any]

_MAX_ATTEMPTS = 6
_RETRY_WAITS_SECONDS = (0.2, 1.0, 3.0)
# Methods with form bodies; all others take JSON (docs.slack.dev/apis/web-api).
_FORM_METHODS = ("files.", "users.", "usergroups.", "conversations.")
# Methods with harmless repetitions. Posts, appends and uploads are missing: a repetition would show twice.
_IDEMPOTENT_METHODS = frozenset({
    "auth.test", "apps.connections.open", "chat.update", "chat.delete", "conversations.open",
    "conversations.replies", "conversations.history", "files.info", "files.getUploadURLExternal", "users.info",
    "usergroups.list", "assistant.threads.setStatus", "assistant.threads.setSuggestedPrompts",
    "agents.sessions.setStatus", "canvases.getContent",
})  # fmt: skip


def create_client(api_url: str, session: aiohttp.ClientSession, token: str | None = None) -> AsyncWebClient:
    """Return a client of slack_sdk on the shared session, without retries."""
    client = AsyncWebClient(token=token, base_url=api_url, session=session, retry_handlers=[])
    # slack_sdk takes HTTPS_PROXY from the environment but ignores NO_PROXY.
    client.proxy = None
    return client


class SlackWebApi:
    """Calls methods of the Web API for all workspaces over a single HTTP session."""

    def __init__(
        self,
        api_url: str,
        session: aiohttp.ClientSession,
        teams: SlackTeams,
        rate_limits: SlackRateLimits,
        clock: Clock,
    ) -> None:
        self.api_url = api_url
        self.session = session
        self.rate_limits = rate_limits
        self._teams = teams
        self._clock = clock
        self._clients: dict[str, AsyncWebClient] = {}

    async def call(self, team: str, method: str, *, has_turn: bool = False, **arguments: Any) -> WebApiResponse:
        """Call a method and return the response's data. None arguments are left out.

        `has_turn`: the rate limit has granted this call already. Raise `CallRefused` if Slack refuses the call,
        `CallUnclear` if the call may have taken effect.
        """
        client = await self._get_client(team, method)
        given = {name: value for name, value in arguments.items() if value is not None}
        rate_limit = self.rate_limits.get(team, method, str(given.get("channel", "")))
        for attempt in range(_MAX_ATTEMPTS):
            if not has_turn:
                await _wait_for_turn(rate_limit)
            has_turn = False  # a turn covers a single attempt
            try:
                return await _send(client, method, given)
            except SlackApiError as error:
                retry_seconds = get_retry_seconds(error)
                if retry_seconds is not None:
                    # A call beyond the limit took no effect, so every method may be repeated.
                    metrics.rate_limited.labels(platform="slack").inc()
                    log.warning("slack.rate_limited", extra={"method": method, "team": team, "seconds": retry_seconds})
                    rate_limit.block(retry_seconds)
                elif (code := get_error_code(error)) is not None:
                    await self._forget_uninstalled(team, code)
                    raise CallRefused(method, code, get_error_details(error)) from error
                else:
                    await self._wait_for_retry(method, attempt, error)
            except (aiohttp.ClientError, TimeoutError, SlackClientError, OSError) as error:
                await self._wait_for_retry(method, attempt, error)
        raise CallUnclear(f"{method}: Slack did not answer.")

    async def _get_client(self, team: str, method: str) -> AsyncWebClient:
        installed = await self._teams.get(team)
        if installed is None:
            raise CallRefused(method, "account_inactive")
        if installed.token not in self._clients:
            self._clients[installed.token] = create_client(self.api_url, self.session, installed.token)
        return self._clients[installed.token]

    async def _wait_for_retry(self, method: str, attempt: int, error: Exception) -> None:
        """Wait for the next attempt. Raise `CallUnclear` after the last attempt or if a repetition could show."""
        if method not in _IDEMPOTENT_METHODS or attempt >= len(_RETRY_WAITS_SECONDS):
            raise CallUnclear(f"{method}: {type(error).__name__}") from error
        log.warning("slack.call_failed", extra={"method": method, "reason": type(error).__name__})
        await self._clock.sleep(_RETRY_WAITS_SECONDS[attempt])

    async def _forget_uninstalled(self, team: str, code: str) -> None:
        if code in UNINSTALLED_CODES:
            log.warning("slack.workspace_lost", extra={"team": team, "reason": code})
            await self._teams.remove(team)


async def _wait_for_turn(rate_limit: SlackRateLimit) -> None:
    pacer = rate_limit.pacer()
    try:
        await pacer.wait_for_edit(is_final=True)
    finally:
        pacer.close()


async def _send(client: AsyncWebClient, method: str, given: dict[str, Any]) -> WebApiResponse:
    # The arguments go into the body: the query string of an address is too short for blocks.
    response = (
        await client.api_call(method, data=_encode_form(given))
        if method.startswith(_FORM_METHODS)
        else await client.api_call(method, json=given)
    )
    data = response.data
    return data if isinstance(data, dict) else {}


def _encode_form(given: dict[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, (list, dict)) else value for name, value in given.items()}
