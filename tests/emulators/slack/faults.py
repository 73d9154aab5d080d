"""Injects failures: the next calls of a method get an error, a rate limit, a dropped connection or a delay."""

from collections import defaultdict, deque
from dataclasses import dataclass


@dataclass(frozen=True)
class SlackFault:
    """A failure with an `error` or an HTTP `status`; `drops_connection` applies before or after the effect."""

    error: str = ""
    status: int = 0
    retry_after_seconds: int = 1
    delay_seconds: float = 0.0
    drops_connection: bool = False
    takes_effect: bool = False

    @property
    def prevents_effect(self) -> bool:
        return bool(self.error or self.status or (self.drops_connection and not self.takes_effect))


class SlackFaults:
    """Planned failures, used in order: `slack.faults.respond("chat.update", "msg_too_long", times=2)`."""

    def __init__(self) -> None:
        self._plans: dict[str, deque[SlackFault]] = defaultdict(deque)

    def respond(self, method: str, error: str, *, times: int = 1) -> None:
        self._add(method, SlackFault(error=error), times)

    def rate_limit(self, method: str, *, retry_after: int = 1, times: int = 1) -> None:
        self._add(method, SlackFault(status=429, retry_after_seconds=retry_after), times)

    def fail(self, method: str, *, status: int = 500, times: int = 1) -> None:
        self._add(method, SlackFault(status=status), times)

    def drop_connection(self, method: str, *, takes_effect: bool = False, times: int = 1) -> None:
        """Drop the connection; with `takes_effect`, the method runs, but the app receives no response."""
        self._add(method, SlackFault(drops_connection=True, takes_effect=takes_effect), times)

    def delay(self, method: str, seconds: float, *, times: int = 1) -> None:
        self._add(method, SlackFault(delay_seconds=seconds), times)

    def clear(self) -> None:
        self._plans.clear()

    def take(self, method: str) -> SlackFault | None:
        plan = self._plans.get(method)
        return plan.popleft() if plan else None

    def _add(self, method: str, fault: SlackFault, times: int) -> None:
        self._plans[method].extend([fault] * times)
