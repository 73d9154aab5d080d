"""What the app did: each call with its answer, and each thing that Slack does not allow."""

from dataclasses import dataclass, field
from typing import Any


class SlackErrorResponse(Exception):  # it reads as a sentence
    """Slack says no: `error` as in its answer, `more` is put beside it."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.fields = more


@dataclass(eq=False)
class SlackCallRecord:
    """One call of the Web API. `at` is when it arrived, by Slack's clock; `seconds` how long the answer took."""

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
        """Empty when all is well."""
        return str(self.response.get("error", ""))


class SlackRequestLog:
    """`violations` are sentences; a test of the bot asserts that there are none."""

    def __init__(self) -> None:
        self.calls: list[SlackCallRecord] = []
        self.violations: list[str] = []
        self.rate_limited_calls: list[SlackCallRecord] = []

    def record_violation(self, sentence: str) -> None:
        self.violations.append(sentence)

    def find_calls(self, method: str) -> list[SlackCallRecord]:
        return [call for call in self.calls if call.method == method]
