"""Errors of Slack's Web API: exceptions for the bot, and sentences for users."""

import logging
from collections.abc import Awaitable
from typing import TypeVar

from slack_sdk.errors import SlackApiError

from bot.core.errors import EaselError
from bot.core.platform import MessageLost
from bot.platforms.slack.installations import SlackTeams

log = logging.getLogger(__name__)

T = TypeVar("T")

# Error codes after which the app is not installed in the workspace any more.
UNINSTALLED_CODES = frozenset(
    {"account_inactive", "token_revoked", "token_expired", "invalid_auth", "not_authed", "team_access_not_granted"}
)
# Error codes after which a message cannot be reached any more.
UNREACHABLE_CODES = UNINSTALLED_CODES | {
    "channel_not_found", "is_archived", "message_not_found", "thread_not_found", "cant_update_message",
    "not_in_channel", "message_not_owned_by_app", "edit_window_closed", "restricted_action", "user_not_found",
    "cannot_dm_bot", "posting_to_channel_denied", "restricted_action_read_only_channel",
    "restricted_action_thread_locked",
}  # fmt: skip
_NOT_A_MEMBER = frozenset({"not_in_channel", "channel_not_found"})
_POSTING_DENIED = frozenset(
    {"is_archived", "restricted_action_read_only_channel", "restricted_action", "posting_to_channel_denied"}
)
# Slack's own failures: the call may have taken effect.
_SERVER_FAULTS = ("internal_error", "fatal_error", "service_unavailable")
# Slack reports some exceeded limits in a response of status 200.
_RATE_LIMITED = ("ratelimited", "rate_limited")
_DEFAULT_RETRY_SECONDS = 1.0
_MIN_RETRY_SECONDS = 0.5


class CallRefused(EaselError):
    """Slack refused a call; `code` is Slack's error code, for example `not_in_channel`."""

    def __init__(self, method: str, code: str, details: str = "") -> None:
        super().__init__(f"{method}: {code} {details}".strip())
        self.code = code


class CallUnclear(EaselError):
    """The connection or Slack failed during a call: the call may have taken effect or not."""


class SlackErrors:
    """Translates refusals for users and for the trunk."""

    def __init__(self, teams: SlackTeams) -> None:
        self._teams = teams

    async def translate(self, team: str, error: CallRefused, channel: str) -> Exception:
        """Return `MessageLost` with a sentence if the message or the channel is out of reach, else the same error."""
        return MessageLost(await self.explain(team, error.code, channel)) if error.code in UNREACHABLE_CODES else error

    async def explain(self, team: str, code: str, channel: str) -> str:
        """Return a sentence with the reason why the bot cannot post in a channel, and a remedy."""
        if code in _NOT_A_MEMBER and channel.startswith("D"):
            return (
                "I cannot post between the two of you. Ask in a channel I am in, or write to me; nothing was charged."
            )
        if code in _NOT_A_MEMBER:
            installed = await self._teams.get(team)
            mention = f"@{installed.bot_name}" if installed else "me"
            return f"I am not in this channel. Invite me with `/invite {mention}`, and ask again. You were not charged."
        if code in UNINSTALLED_CODES:
            return "I am not installed in this workspace any more. You were not charged."
        if code in _POSTING_DENIED:
            return "I may not post in this channel. Please ask in another one; you were not charged."
        return "I cannot post there: the message or its thread is gone. You were not charged."


async def ignore_refusal(call: Awaitable[T]) -> T | None:
    """Await an optional call; return None if Slack refuses the call or does not respond."""
    try:
        return await call
    except (CallRefused, CallUnclear) as error:
        log.info("slack.refusal_ignored", extra={"reason": str(error)})
        return None


def get_error_code(error: SlackApiError) -> str | None:
    """Return Slack's error code, or None if Slack itself failed."""
    data = getattr(error.response, "data", None)
    code = data.get("error") if isinstance(data, dict) else None
    return str(code) if code and code not in _SERVER_FAULTS else None


def get_retry_seconds(error: SlackApiError) -> float | None:
    """Return the seconds to wait after an exceeded rate limit, or None for any other error."""
    response = error.response
    if getattr(response, "status_code", 0) != 429:
        return _DEFAULT_RETRY_SECONDS if get_error_code(error) in _RATE_LIMITED else None
    headers = {name.lower(): value for name, value in dict(response.headers).items()}
    try:
        return max(_MIN_RETRY_SECONDS, float(headers.get("retry-after", "1")))
    except ValueError:
        return _DEFAULT_RETRY_SECONDS


def get_error_details(error: SlackApiError) -> str:
    """Return Slack's further messages on an error, or the missing scope; empty if Slack gives no details."""
    data = getattr(error.response, "data", None)
    if not isinstance(data, dict):
        return ""
    messages = (data.get("response_metadata") or {}).get("messages")
    return "; ".join(map(str, messages)) if messages else str(data.get("needed", ""))
