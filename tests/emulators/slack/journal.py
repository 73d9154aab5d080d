"""What the app did: each call with its answer, and each thing that Slack does not allow."""

from dataclasses import dataclass, field
from typing import Any


class Refused(Exception):  # it reads as a sentence
    """Slack says no: `error` as in its answer, `more` is put beside it."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.more = more


@dataclass(eq=False)
class Call:
    """One call of the Web API. `at` is when it arrived, by Slack's clock; `seconds` how long the answer took."""

    method: str
    args: dict[str, Any]
    token: str
    team: str
    at: float
    status: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return bool(self.answer.get("ok"))

    @property
    def error(self) -> str:
        """Empty when all is well."""
        return str(self.answer.get("error", ""))


class Journal:
    """`violations` are sentences; a test of the bot asserts that there are none."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.too_many: list[Call] = []

    def violated(self, sentence: str) -> None:
        self.violations.append(sentence)

    def calls_of(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]
