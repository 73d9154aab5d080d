"""Misfortune on request: the next requests that match are refused, limited, cut or slow."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass
class DiscordFault:
    """One kind of misfortune, for the next `times` requests. `path` may hold `*`."""

    method: str
    path: str
    times: int
    status: int | None = None
    body: Any = None
    retry_after: float | None = None
    has_via_header: bool = True
    drops_connection: bool = False
    takes_effect: bool = False
    """The platform does what was asked before the answer is lost or replaced."""
    delay_seconds: float = 0.0

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in (method, "*") and fnmatchcase(path, self.path)


@dataclass
class DiscordFaults:
    """`emulator.faults.answer("PATCH", "/channels/*/messages/*", 502, times=2)`."""

    planned: list[DiscordFault] = field(default_factory=list)

    def respond(
        self, method: str, path: str, status: int, *, times: int = 1, body: Any = None, takes_effect: bool = False
    ) -> None:
        """Refuse with this status. Without a body it is HTML, as from a proxy."""
        self.planned.append(DiscordFault(method, path, times, status=status, body=body, takes_effect=takes_effect))

    def rate_limit(
        self, method: str, path: str, retry_after: float, *, times: int = 1, has_via_header: bool = True
    ) -> None:
        """Refuse with 429, and no header that told before. Without `Via` it looks like a ban by Cloudflare."""
        self.planned.append(
            DiscordFault(method, path, times, status=429, retry_after=retry_after, has_via_header=has_via_header)
        )

    def drop_connection(self, method: str, path: str, *, times: int = 1, takes_effect: bool = False) -> None:
        """Close the connection instead of answering."""
        self.planned.append(DiscordFault(method, path, times, drops_connection=True, takes_effect=takes_effect))

    def delay(self, method: str, path: str, seconds: float, *, times: int = 1) -> None:
        """Let the request lie before it is looked at."""
        self.planned.append(DiscordFault(method, path, times, delay_seconds=seconds, takes_effect=True))

    def clear(self) -> None:
        self.planned.clear()

    def take(self, method: str, path: str) -> DiscordFault | None:
        for fault in self.planned:
            if fault.matches(method, path):
                fault.times -= 1
                return fault
        return None
