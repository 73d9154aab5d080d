"""Records each call, its response, and each violation."""

from dataclasses import dataclass, field
from typing import Any


class SlackErrorResponse(Exception):
    """An error to answer a call with; `more` are further fields of the response."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.fields = more


@dataclass(eq=False)
class SlackCallRecord:
    """A call of the Web API. `received_at` is in seconds of Slack's clock."""

    method: str
    args: dict[str, Any]
    token: str
    team_id: str
    received_at: float
    status: int = 0
    response: dict[str, Any] = field(default_factory=dict)
    duration_seconds: float = 0.0

    @property
    def is_ok(self) -> bool:
        return bool(self.response.get("ok"))

    @property
    def error(self) -> str:
        """Return the error code; empty after a success."""
        return str(self.response.get("error", ""))


class SlackRequestLog:
    """`violations` are sentences about acts that Slack forbids; tests of the bot assert an empty list."""

    def __init__(self) -> None:
        self.calls: list[SlackCallRecord] = []
        self.violations: list[str] = []
        self.rate_limited_calls: list[SlackCallRecord] = []

    def record_violation(self, sentence: str) -> None:
        self.violations.append(sentence)

    def find_calls(self, method: str) -> list[SlackCallRecord]:
        return [call for call in self.calls if call.method == method]
