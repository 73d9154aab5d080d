"""Why nothing can be shown somewhere, in words."""

from bot.core.platform import MessageLost
from bot.platforms.slack.installations import SlackTeams
from bot.platforms.slack.web_api import UNINSTALLED_CODES, CallRefused

_UNREACHABLE = frozenset({
    "channel_not_found", "is_archived", "message_not_found", "thread_not_found", "cant_update_message",
    "not_in_channel",
    "message_not_owned_by_app", "edit_window_closed", "restricted_action", "user_not_found", "cannot_dm_bot",
    "posting_to_channel_denied", "restricted_action_read_only_channel", "restricted_action_thread_locked",
})  # fmt: skip
_NOT_A_MEMBER = frozenset({"not_in_channel", "channel_not_found"})
_MAY_NOT_POST = frozenset(
    {"is_archived", "restricted_action_read_only_channel", "restricted_action", "posting_to_channel_denied"}
)
UNREACHABLE_CODES = _UNREACHABLE | UNINSTALLED_CODES
"""Refusals after which a message cannot be reached any more."""


class SlackErrors:
    """Slack's words for no, as people and the trunk understand them."""

    def __init__(self, teams: SlackTeams) -> None:
        self._teams = teams

    async def translate(self, team: str, error: CallRefused, channel: str) -> Exception:
        """`MessageLost` with a sentence where the message or its place is gone, else the error itself."""
        return MessageLost(await self.explain(team, error.code, channel)) if error.code in UNREACHABLE_CODES else error

    async def explain(self, team: str, code: str, channel: str) -> str:
        """Why nothing can be shown there, and what to do, in a sentence."""
        if code in _NOT_A_MEMBER and channel.startswith("D"):
            return (
                "I cannot post between the two of you. Ask in a channel I am in, or write to me; nothing was charged."
            )
        if code in _NOT_A_MEMBER:
            known = await self._teams.get(team)
            me = f"@{known.bot_name}" if known else "me"
            return f"I am not in this channel. Invite me with `/invite {me}`, and ask again. You were not charged."
        if code in UNINSTALLED_CODES:
            return "I am not installed in this workspace any more. You were not charged."
        if code in _MAY_NOT_POST:
            return "I may not post in this channel. Please ask in another one; you were not charged."
        return "I cannot post there: the message or its thread is gone. You were not charged."
