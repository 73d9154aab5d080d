"""How long models usually take, as learnt; from memory, since every placeholder and every price asks."""

from bot.core.clock import Clock
from bot.core.fresh import TtlCache
from bot.core.models import Model
from bot.storage.database import Database, Transaction

CACHE_SECONDS = 60.0
"""Learnt times move slowly."""

LEARN_INTERVAL_SECONDS = 1.0
"""A model is learnt from once a second at most: under load its row would be what every job waits for."""


class UsualTimes:
    """Seconds by model."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._known: TtlCache[str, float | None] = TtlCache(clock, CACHE_SECONDS)
        self._learnt: TtlCache[str, None] = TtlCache(clock, LEARN_INTERVAL_SECONDS)

    async def get_seconds(self, model: Model) -> float:
        """The learnt time of a model in seconds, or the catalogue's until there is one."""
        seconds = await self._known.get(model.key, lambda: self._read(model.key))
        return model.usual_seconds if seconds is None else seconds

    async def learn(self, tx: Transaction, model: str, seconds: float) -> None:
        """Move a model's learnt time towards what was just seen."""
        await self._learnt.get(model, lambda: tx.predictions.update_usual_seconds(model, seconds))

    async def _read(self, key: str) -> float | None:
        async with self._database.read() as tx:
            return await tx.predictions.get_usual_seconds(key)
