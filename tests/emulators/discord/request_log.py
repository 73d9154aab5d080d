"""Records each request, its response and its violations."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class DiscordRequestRecord:
    """`received_at` and `responded_at` are the platform's Unix seconds; `status` is 0 without a response."""

    method: str
    path: str
    operation: str
    body: Any
    received_at: float
    filenames: tuple[str, ...] = ()
    status: int = 0
    code: int | None = None
    """Discord's error code of a refused request."""
    responded_at: float | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """The response's headers."""


@dataclass
class DiscordRequestLog:
    """`violations` are sentences about acts that Discord forbids."""

    requests: list[DiscordRequestRecord] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    invalid_requests: int = 0
    """Responses with 401, 403 and 429. Discord bans an address after 10,000 in ten minutes."""

    def record_violation(self, request: DiscordRequestRecord | str, descriptions: str | Sequence[str]) -> None:
        where = request if isinstance(request, str) else f"{request.method} {request.path}"
        for sentence in [descriptions] if isinstance(descriptions, str) else descriptions:
            self.violations.append(f"{where}: {sentence}")

    def find_requests(self, operation: str) -> list[DiscordRequestRecord]:
        """Return the requests of an operation (the id in Discord's description): `find_requests("create_message")`."""
        return [request for request in self.requests if request.operation == operation]
