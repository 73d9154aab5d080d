"""What opens Slack, as the settings have it."""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.core.errors import NotAllowed, Unavailable
from bot.platforms.slack.installations import SlackTeam, parse_team
from bot.platforms.slack.web_api import SlackWebApi


@dataclass(frozen=True, slots=True)
class SlackConfig:
    """What opens Slack, from the settings; what is not given is empty."""

    api_url: str
    bot_token: str = ""
    app_token: str = ""
    signing_secret: str = ""
    client_id: str = ""
    client_secret: str = ""
    command_prefix: str = ""
    public_url: str = ""


# MERGED Trying the tokens before anything else: a bad one ends in one sentence, where slack_sdk would try for ever.

log = logging.getLogger(__name__)

_REASONS = {
    "invalid_auth": "is not valid",
    "not_authed": "is empty",
    "token_revoked": "was revoked",
    "token_expired": "has expired",
    "account_inactive": "belongs to a workspace or an app that is gone",
    "not_allowed_token_type": "is of the wrong kind",
    "missing_scope": "lacks a scope",
}


async def check_app_token(calls: SlackWebApi, token: str) -> None:
    """Raises `NotAllowed` or `Unavailable`."""
    await _check_token(calls, calls.create_client(token).apps_connections_open(app_token=token), "SLACK_APP_TOKEN")


async def authenticate_bot(calls: SlackWebApi, token: str) -> SlackTeam:
    """The workspace that a bot token opens. Raises `NotAllowed` or `Unavailable`."""
    answer = await _check_token(calls, calls.create_client(token).auth_test(), "SLACK_BOT_TOKEN")
    headers = {name.lower(): value for name, value in dict(answer.headers).items()}
    told = answer.data if isinstance(answer.data, dict) else {}
    team = parse_team(told, token, headers.get("x-oauth-scopes", ""))
    log.info("slack.signed_in", extra={"team": team.id, "called": team.name})
    return team


async def _check_token(calls: SlackWebApi, call: Awaitable[AsyncSlackResponse], variable: str) -> AsyncSlackResponse:
    try:
        return await call
    except SlackApiError as error:
        code = str(error.response.get("error") or error.response.status_code)
        reason = _REASONS.get(code, f"was refused ({code})")
        raise NotAllowed(f"{variable} {reason}. See docs/slack.md for how to get one.") from error
    except (aiohttp.ClientError, TimeoutError, OSError, SlackClientError) as error:
        raise Unavailable(f"Slack cannot be reached at {calls.api_url}: {type(error).__name__}.") from error
