"""What the sandbox remembers: the latest predictions, within a count and a weight."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime

from bot.sandbox.clock import SandboxClock
from bot.sandbox.predictions import SandboxPrediction


class SandboxPredictionStore:
    """Predictions by id and by stream token. Their data goes after its lifetime, or sooner when memory is short."""

    def __init__(
        self, clock: SandboxClock, *, lifetime_seconds: float, max_predictions: int = 5000, max_bytes: int = 16 << 20
    ) -> None:
        self._clock = clock
        self._lifetime_seconds = lifetime_seconds
        self._max_predictions = max_predictions
        self._max_bytes = max_bytes
        self._by_id: dict[str, SandboxPrediction] = {}
        self._by_stream: dict[str, SandboxPrediction] = {}
        self._with_data: deque[tuple[SandboxPrediction, int]] = deque()
        self._bytes = 0
        self.created_count = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, prediction: SandboxPrediction) -> None:
        self._by_id[prediction.id] = prediction
        self._by_stream[prediction.stream_token] = prediction
        self.created_count += 1
        if len(self._by_id) > self._max_predictions:
            self._forget_the_oldest()

    def record_finished(self, prediction: SandboxPrediction) -> None:
        """Start counting the prediction's data, which can be dropped from now on."""
        weight = prediction.estimate_bytes()
        self._with_data.append((prediction, weight))
        self._bytes += weight
        self.drop_old_data()

    def get(self, prediction_id: str) -> SandboxPrediction | None:
        self.drop_old_data()
        return self._by_id.get(prediction_id)

    def find_by_stream(self, token: str) -> SandboxPrediction | None:
        self.drop_old_data()
        return self._by_stream.get(token)

    def list_newest_first(self) -> Iterator[SandboxPrediction]:
        self.drop_old_data()
        return reversed(self._by_id.values())

    def list_created_between(self, after: datetime | None, before: datetime | None) -> list[SandboxPrediction]:
        """Newest first; both bounds are exclusive and optional."""
        return [
            prediction
            for prediction in self.list_newest_first()
            if (after is None or prediction.created_at > after) and (before is None or prediction.created_at < before)
        ]

    def forget_version(self, version_id: str) -> None:
        """The finished predictions of a deleted version go with it."""
        for prediction in list(self._by_id.values()):
            if prediction.version == version_id and prediction.status.is_terminal:
                prediction.remove_data()
                self._forget(prediction)

    def drop_old_data(self) -> None:
        now = self._clock.now()
        while self._with_data:
            prediction, weight = self._with_data[0]
            if self._bytes <= self._max_bytes and not prediction.is_expired(now, self._lifetime_seconds):
                return
            self._with_data.popleft()
            self._bytes -= weight
            prediction.remove_data()

    def _forget_the_oldest(self) -> None:
        for prediction in self._by_id.values():
            if prediction.status.is_terminal:
                self._forget(prediction)
                return

    def _forget(self, prediction: SandboxPrediction) -> None:
        del self._by_id[prediction.id], self._by_stream[prediction.stream_token]
