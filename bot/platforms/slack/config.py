"""Slack's settings, and checks of the tokens."""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.core.errors import NotAllowed, Unavailable
from bot.platforms.slack.installations import SlackTeam, parse_team
from bot.platforms.slack.web_api import create_client
from bot.telemetry.logs import describe_origin

log = logging.getLogger(__name__)

_TOKEN_ERRORS = {
    "invalid_auth": "is not valid",
    "not_authed": "is empty",
    "token_revoked": "was revoked",
    "token_expired": "has expired",
    "account_inactive": "belongs to a workspace or an app that is gone",
    "not_allowed_token_type": "is of the wrong kind",
    "missing_scope": "lacks a scope",
}


@dataclass(frozen=True, slots=True)
class SlackConfig:
    """The settings of the Slack app; a setting without a value is empty."""

    api_url: str
    bot_token: str = ""
    app_token: str = ""
    signing_secret: str = ""
    client_id: str = ""
    client_secret: str = ""
    command_prefix: str = ""
    public_url: str = ""


# Check tokens before connecting: slack_sdk's socket client retries a bad app token for ever, and only logs
# (slack_sdk/socket_mode/aiohttp).


async def check_app_token(api_url: str, session: aiohttp.ClientSession, token: str) -> None:
    """Raise `NotAllowed` if Slack refuses the app-level token, `Unavailable` if Slack does not respond."""
    client = create_client(api_url, session, token)
    await _check_token(api_url, client.apps_connections_open(app_token=token), "SLACK_APP_TOKEN")


async def authenticate_bot(api_url: str, session: aiohttp.ClientSession, token: str) -> SlackTeam:
    """Return the workspace of a bot token. Raise `NotAllowed` or `Unavailable`."""
    client = create_client(api_url, session, token)
    response = await _check_token(api_url, client.auth_test(), "SLACK_BOT_TOKEN")
    headers = {name.lower(): value for name, value in dict(response.headers).items()}
    data = response.data if isinstance(response.data, dict) else {}
    team = parse_team(data, token, headers.get("x-oauth-scopes", ""))
    log.info("slack.authenticated", extra={"team": team.id, "team_name": team.name})
    return team


async def _check_token(api_url: str, call: Awaitable[AsyncSlackResponse], variable: str) -> AsyncSlackResponse:
    try:
        return await call
    except SlackApiError as error:
        code = str(error.response.get("error") or error.response.status_code)
        reason = _TOKEN_ERRORS.get(code, f"was refused ({code})")
        raise NotAllowed(f"{variable} {reason}. See docs/slack.md for how to get one.") from error
    except (aiohttp.ClientError, TimeoutError, OSError, SlackClientError) as error:
        raise Unavailable(f"Slack cannot be reached at {describe_origin(api_url)}: {type(error).__name__}.") from error
