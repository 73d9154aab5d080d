"""Every request as it came, what it was answered, and what was wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Request:
    """`at` and `answered_at` are the platform's Unix seconds; `status` is 0 while unanswered or when cut."""

    method: str
    path: str
    operation: str
    body: Any
    at: float
    filenames: tuple[str, ...] = ()
    status: int = 0
    code: int | None = None
    """Discord's error code, when refused."""
    answered_at: float | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer."""


@dataclass
class Records:
    """`violations` are sentences: what a well-behaved bot does not do."""

    requests: list[Request] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    invalid_requests: int = 0
    """Answers 401, 403 and 429, of which Discord bears 10,000 in ten minutes."""

    def violation(self, request: Request | str, sentences: str | Sequence[str]) -> None:
        where = request if isinstance(request, str) else f"{request.method} {request.path}"
        for sentence in [sentences] if isinstance(sentences, str) else sentences:
            self.violations.append(f"{where}: {sentence}")

    def to(self, operation: str) -> list[Request]:
        """The requests of one operation, by its id in Discord's description: `records.to("create_message")`."""
        return [request for request in self.requests if request.operation == operation]
