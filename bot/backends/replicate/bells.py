"""Watches that wait to be called: a webhook rings, and the watch looks for itself."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MAX_MISSED_WEBHOOKS = 3
"""So many runs in a row whose webhook did not come, and watches listen to streams again until one does."""

_MAX_EARLY_WEBHOOKS = 10_000


@dataclass(slots=True)
class WebhookWaiter:
    """What was told to one watch. `rung` is set at each call, and cleared by who waits."""

    notified: asyncio.Event = field(default_factory=asyncio.Event)
    has_started: bool = False
    is_over: bool = False

    def notify(self, *, is_over: bool) -> None:
        """Out of order is no harm: what is over stays over."""
        self.has_started = True
        self.is_over = self.is_over or is_over
        self.notified.set()


class WebhookWaiters:
    """By prediction. A call that nobody waits for yet, because it overtook the create's reply, is kept for them.

    A webhook that reaches another process rings there, where nobody waits: the watch's own looks cover it.
    """

    def __init__(self) -> None:
        self._waiters: dict[str, WebhookWaiter] = {}
        self._waiter_counts: Counter[str] = Counter()
        self._early: OrderedDict[str, WebhookWaiter] = OrderedDict()
        self._missed = 0

    @property
    def are_webhooks_arriving(self) -> bool:
        """Whether webhooks arrive at all: an address that nobody reaches should not slow every picture down."""
        return self._missed < MAX_MISSED_WEBHOOKS

    def record_missed(self) -> None:
        """A run was found to be over, and nobody had called."""
        self._missed += 1

    @contextmanager
    def register(self, prediction_id: str) -> Iterator[WebhookWaiter]:
        """The bell of a prediction, as long as somebody listens."""
        early = self._early.pop(prediction_id) if prediction_id in self._early else WebhookWaiter()
        bell = self._waiters.setdefault(prediction_id, early)
        self._waiter_counts[prediction_id] += 1
        try:
            yield bell
        finally:
            self._waiter_counts[prediction_id] -= 1
            if not self._waiter_counts[prediction_id]:
                del self._waiters[prediction_id], self._waiter_counts[prediction_id]

    def notify(self, prediction_id: str, *, is_over: bool) -> bool:
        """Call whoever waits for this prediction; gives whether somebody does."""
        self._missed = 0
        if (bell := self._waiters.get(prediction_id)) is not None:
            bell.notify(is_over=is_over)
            return True
        self._early.setdefault(prediction_id, WebhookWaiter()).notify(is_over=is_over)
        while len(self._early) > _MAX_EARLY_WEBHOOKS:
            self._early.popitem(last=False)
        return False
