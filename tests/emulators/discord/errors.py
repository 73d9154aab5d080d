"""Discord's error responses: status, code and message, and the error tree of an invalid form."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.specs.discord_schemas import DiscordViolation


@dataclass(frozen=True)
class DiscordErrorCode:
    """A kind of error. Codes: discord.com/developers/docs/topics/opcodes-and-status-codes."""

    status: int
    code: int
    message: str


UNAUTHORIZED = DiscordErrorCode(401, 0, "401: Unauthorized")
NO_SUCH_ROUTE = DiscordErrorCode(404, 0, "404: Not Found")
UNKNOWN_CHANNEL = DiscordErrorCode(404, 10003, "Unknown Channel")
UNKNOWN_GUILD = DiscordErrorCode(404, 10004, "Unknown Guild")
UNKNOWN_MEMBER = DiscordErrorCode(404, 10007, "Unknown Member")
UNKNOWN_MESSAGE = DiscordErrorCode(404, 10008, "Unknown Message")
UNKNOWN_USER = DiscordErrorCode(404, 10013, "Unknown User")
UNKNOWN_WEBHOOK = DiscordErrorCode(404, 10015, "Unknown Webhook")
UNKNOWN_INTERACTION = DiscordErrorCode(404, 10062, "Unknown interaction")
UNKNOWN_COMMAND = DiscordErrorCode(404, 10063, "Unknown application command")
TOO_MANY_COMMANDS = DiscordErrorCode(400, 30032, "Maximum number of application commands reached")
TOO_MANY_NEW_COMMANDS = DiscordErrorCode(
    400, 30034, "Max number of daily application command creates has been reached (200)"
)
TOO_MANY_OLD_EDITS = DiscordErrorCode(
    429, 30046, "Maximum number of edits to messages older than 1 hour reached. Try again later"
)
ENTITY_TOO_LARGE = DiscordErrorCode(413, 40005, "Request entity too large")
ALREADY_ACKNOWLEDGED = DiscordErrorCode(400, 40060, "Interaction has already been acknowledged.")
MISSING_ACCESS = DiscordErrorCode(403, 50001, "Missing Access")
NOT_THE_AUTHOR = DiscordErrorCode(403, 50005, "Cannot edit a message authored by another user")
EMPTY_MESSAGE = DiscordErrorCode(400, 50006, "Cannot send an empty message")
CANNOT_SEND_TO_USER = DiscordErrorCode(403, 50007, "Cannot send messages to this user")
MISSING_PERMISSIONS = DiscordErrorCode(403, 50013, "Missing Permissions")
SYSTEM_MESSAGE = DiscordErrorCode(403, 50021, "Cannot execute action on a system message")
WRONG_CHANNEL_TYPE = DiscordErrorCode(400, 50024, "Cannot execute action on this channel type")
TOKEN_EXPIRED = DiscordErrorCode(401, 50027, "Invalid Webhook Token")
INVALID_FORM = DiscordErrorCode(400, 50035, "Invalid Form Body")
THREAD_ARCHIVED = DiscordErrorCode(400, 50083, "Thread is archived")
INVALID_JSON = DiscordErrorCode(400, 50109, "The request body contains invalid JSON.")
VOICE_WITH_CONTENT = DiscordErrorCode(400, 50159, "Voice messages do not support additional content.")
VOICE_WITHOUT_SOUND = DiscordErrorCode(400, 50160, "Voice messages must have a single audio attachment.")
VOICE_WITHOUT_FACTS = DiscordErrorCode(400, 50161, "Voice messages must have supporting metadata.")
VOICE_IS_FINAL = DiscordErrorCode(400, 50162, "Voice messages cannot be edited.")
NO_VOICE_HERE = DiscordErrorCode(403, 50173, "You cannot send voice messages in this channel.")
NO_MUTUAL_GUILDS = DiscordErrorCode(403, 50278, "Cannot send messages to this user due to having no mutual guilds")
THREAD_EXISTS = DiscordErrorCode(400, 160004, "A thread has already been created for this message")


class DiscordErrorResponse(Exception):
    """An error to answer a request with. `violations` fill the error tree of an invalid form."""

    def __init__(self, error_code: DiscordErrorCode, violations: Sequence[DiscordViolation] = ()) -> None:
        super().__init__(error_code.message)
        self.error_code = error_code
        self.violations = violations

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"message": self.error_code.message, "code": self.error_code.code}
        if self.violations:
            body["errors"] = _build_error_tree(self.violations)
        return body


def raise_if_invalid(violations: Sequence[DiscordViolation]) -> None:
    """Raise `DiscordErrorResponse` with an invalid form if there are violations."""
    if violations:
        raise DiscordErrorResponse(INVALID_FORM, violations)


def _build_error_tree(violations: Sequence[DiscordViolation]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for violation in violations:
        node = tree
        for step in violation.path:
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": violation.code, "message": violation.message})
    return tree
