"""Scripted failures: the next calls of a method go wrong."""

from collections import defaultdict, deque
from dataclasses import dataclass


@dataclass(frozen=True)
class SlackFault:
    """`error` is answered, or HTTP `status`; `cuts` breaks the connection, before the work or after it."""

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
    """`slack.faults.answer("chat.update", "msg_too_long", times=2)`; they are used up in order."""

    def __init__(self) -> None:
        self._plans: dict[str, deque[SlackFault]] = defaultdict(deque)

    def respond(self, method: str, error: str, *, times: int = 1) -> None:
        self._add(method, SlackFault(error=error), times)

    def rate_limit(self, method: str, *, retry_after: int = 1, times: int = 1) -> None:
        self._add(method, SlackFault(status=429, retry_after_seconds=retry_after), times)

    def fail(self, method: str, *, status: int = 500, times: int = 1) -> None:
        self._add(method, SlackFault(status=status), times)

    def drop_connection(self, method: str, *, takes_effect: bool = False, times: int = 1) -> None:
        """The connection breaks; `after_the_work` the message is posted, but the app does not hear so."""
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
