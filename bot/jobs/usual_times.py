"""How long models usually take, as learnt; from memory, since every placeholder and every price asks."""

from bot.core.clock import Clock
from bot.core.fresh import Fresh
from bot.core.models import Model
from bot.core.storage import Database

FRESH_SECONDS = 60.0
"""Learnt times move slowly."""


class UsualTimes:
    """Seconds by model."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._known: Fresh[str, float | None] = Fresh(clock, FRESH_SECONDS)

    async def of(self, model: Model) -> float:
        """The learnt time of a model in seconds, or the catalogue's until there is one."""
        seconds = await self._known.get(model.key, lambda: self._read(model.key))
        return model.usual_seconds if seconds is None else seconds

    async def _read(self, key: str) -> float | None:
        async with self._database.read() as tx:
            return await tx.predictions.usual_seconds(key)
