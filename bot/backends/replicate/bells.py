"""Watches that wait to be called: a webhook rings, and the watch looks for itself."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MOST_MISSED = 3
"""So many runs in a row whose webhook did not come, and watches listen to streams again until one does."""

_MOST_EARLY = 10_000


@dataclass(slots=True)
class Bell:
    """What was told to one watch. `rung` is set at each call, and cleared by who waits."""

    rung: asyncio.Event = field(default_factory=asyncio.Event)
    has_started: bool = False
    is_over: bool = False

    def ring(self, *, is_over: bool) -> None:
        """Out of order is no harm: what is over stays over."""
        self.has_started = True
        self.is_over = self.is_over or is_over
        self.rung.set()


class Bells:
    """By prediction. A call that nobody waits for yet, because it overtook the create's reply, is kept for them.

    A webhook that reaches another process rings there, where nobody waits: the watch's own looks cover it.
    """

    def __init__(self) -> None:
        self._bells: dict[str, Bell] = {}
        self._listeners: Counter[str] = Counter()
        self._early: OrderedDict[str, Bell] = OrderedDict()
        self._missed = 0

    @property
    def are_heard(self) -> bool:
        """Whether webhooks arrive at all: an address that nobody reaches should not slow every picture down."""
        return self._missed < MOST_MISSED

    def missed(self) -> None:
        """A run was found to be over, and nobody had called."""
        self._missed += 1

    @contextmanager
    def listening(self, prediction_id: str) -> Iterator[Bell]:
        """The bell of a prediction, as long as somebody listens."""
        early = self._early.pop(prediction_id) if prediction_id in self._early else Bell()
        bell = self._bells.setdefault(prediction_id, early)
        self._listeners[prediction_id] += 1
        try:
            yield bell
        finally:
            self._listeners[prediction_id] -= 1
            if not self._listeners[prediction_id]:
                del self._bells[prediction_id], self._listeners[prediction_id]

    def ring(self, prediction_id: str, *, is_over: bool) -> bool:
        """Call whoever waits for this prediction; gives whether somebody does."""
        self._missed = 0
        if (bell := self._bells.get(prediction_id)) is not None:
            bell.ring(is_over=is_over)
            return True
        self._early.setdefault(prediction_id, Bell()).ring(is_over=is_over)
        while len(self._early) > _MOST_EARLY:
            self._early.popitem(last=False)
        return False
