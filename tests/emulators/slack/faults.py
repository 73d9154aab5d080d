"""Scripted failures: the next calls of a method go wrong."""

from collections import defaultdict, deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """`error` is answered, or HTTP `status`; `cuts` breaks the connection, before the work or after it."""

    error: str = ""
    status: int = 0
    retry_after: int = 1
    delay_seconds: float = 0.0
    cuts: bool = False
    works: bool = False

    @property
    def is_before_the_work(self) -> bool:
        return bool(self.error or self.status or (self.cuts and not self.works))


class Faults:
    """`slack.faults.answer("chat.update", "msg_too_long", times=2)`; they are used up in order."""

    def __init__(self) -> None:
        self._plans: dict[str, deque[Fault]] = defaultdict(deque)

    def answer(self, method: str, error: str, *, times: int = 1) -> None:
        self._add(method, Fault(error=error), times)

    def too_many(self, method: str, *, retry_after: int = 1, times: int = 1) -> None:
        self._add(method, Fault(status=429, retry_after=retry_after), times)

    def fail(self, method: str, *, status: int = 500, times: int = 1) -> None:
        self._add(method, Fault(status=status), times)

    def cut(self, method: str, *, after_the_work: bool = False, times: int = 1) -> None:
        """The connection breaks; `after_the_work` the message is posted, but the app does not hear so."""
        self._add(method, Fault(cuts=True, works=after_the_work), times)

    def delay(self, method: str, seconds: float, *, times: int = 1) -> None:
        self._add(method, Fault(delay_seconds=seconds), times)

    def clear(self) -> None:
        self._plans.clear()

    def take(self, method: str) -> Fault | None:
        plan = self._plans.get(method)
        return plan.popleft() if plan else None

    def _add(self, method: str, fault: Fault, times: int) -> None:
        self._plans[method].extend([fault] * times)
