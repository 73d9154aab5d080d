"""How long models usually take, as learnt; from memory, since every placeholder and every price asks."""

from bot.core.clock import Clock
from bot.core.models import Model
from bot.core.storage import Database

FRESH_SECONDS = 60.0
"""How long a time is believed before it is read again: it moves slowly."""


class UsualTimes:
    """Seconds by model, read at most once a minute each."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[float, float | None]] = {}

    async def of(self, model: Model) -> float:
        """The learnt time of a model in seconds, or the catalogue's until there is one."""
        read_at, seconds = self._known.get(model.key, (float("-inf"), None))
        if self._clock.monotonic() - read_at > FRESH_SECONDS:
            async with self._database.read() as tx:
                seconds = await tx.predictions.usual_seconds(model.key)
            self._known[model.key] = (self._clock.monotonic(), seconds)
        return model.usual_seconds if seconds is None else seconds
