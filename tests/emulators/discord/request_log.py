"""Every request as it came, what it was answered, and what was wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class DiscordRequestRecord:
    """`at` and `answered_at` are the platform's Unix seconds; `status` is 0 while unanswered or when cut."""

    method: str
    path: str
    operation: str
    body: Any
    received_at: float
    filenames: tuple[str, ...] = ()
    status: int = 0
    code: int | None = None
    """Discord's error code, when refused."""
    responded_at: float | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer."""


@dataclass
class DiscordRequestLog:
    """`violations` are sentences: what a well-behaved bot does not do."""

    requests: list[DiscordRequestRecord] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    invalid_requests: int = 0
    """Answers 401, 403 and 429, of which Discord bears 10,000 in ten minutes."""

    def record_violation(self, request: DiscordRequestRecord | str, descriptions: str | Sequence[str]) -> None:
        where = request if isinstance(request, str) else f"{request.method} {request.path}"
        for sentence in [descriptions] if isinstance(descriptions, str) else descriptions:
            self.violations.append(f"{where}: {sentence}")

    def find_requests(self, operation: str) -> list[DiscordRequestRecord]:
        """The requests of one operation, by its id in Discord's description: `records.to("create_message")`."""
        return [request for request in self.requests if request.operation == operation]
