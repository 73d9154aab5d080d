"""Injects failures: the next matching requests get an error, a rate limit, a dropped connection or a delay."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass
class DiscordFault:
    """A failure for the next `times` matching requests. `path` may contain `*`."""

    method: str
    path: str
    times: int
    status: int | None = None
    body: Any = None
    retry_after: float | None = None
    has_via_header: bool = True
    drops_connection: bool = False
    takes_effect: bool = False
    """With True, the platform performs the request before the response is lost or replaced."""
    delay_seconds: float = 0.0

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in (method, "*") and fnmatchcase(path, self.path)


@dataclass
class DiscordFaults:
    """Planned failures: `emulator.faults.respond("PATCH", "/channels/*/messages/*", 502, times=2)`."""

    planned: list[DiscordFault] = field(default_factory=list)

    def respond(
        self, method: str, path: str, status: int, *, times: int = 1, body: Any = None, takes_effect: bool = False
    ) -> None:
        """Respond with this status; without a body, with HTML as a proxy does."""
        self.planned.append(DiscordFault(method, path, times, status=status, body=body, takes_effect=takes_effect))

    def rate_limit(
        self, method: str, path: str, retry_after: float, *, times: int = 1, has_via_header: bool = True
    ) -> None:
        """Respond with 429 without earlier rate limit headers. Without `Via`, the response looks like a ban by
        Cloudflare.
        """
        self.planned.append(
            DiscordFault(method, path, times, status=429, retry_after=retry_after, has_via_header=has_via_header)
        )

    def drop_connection(self, method: str, path: str, *, times: int = 1, takes_effect: bool = False) -> None:
        """Close the connection instead of responding."""
        self.planned.append(DiscordFault(method, path, times, drops_connection=True, takes_effect=takes_effect))

    def delay(self, method: str, path: str, seconds: float, *, times: int = 1) -> None:
        """Hold the request for `seconds` before the platform acts."""
        self.planned.append(DiscordFault(method, path, times, delay_seconds=seconds, takes_effect=True))

    def clear(self) -> None:
        self.planned.clear()

    def take(self, method: str, path: str) -> DiscordFault | None:
        for fault in self.planned:
            if fault.matches(method, path):
                fault.times -= 1
                return fault
        return None
