"""Predictions: our rows for runs at backends, and how long models usually take."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.errors import AlreadyClaimed
from bot.core.jobs import PredictionRecord
from bot.storage.statements import Statements
from bot.storage.tables.runs import model_times, predictions

_WEIGHT_OF_THE_NEWEST = 0.2

_ADD = sa.insert(predictions)
_GET = sa.select(predictions).where(predictions.c.id == bindparam("prediction"))
_MARK_SUBMITTED = (
    sa.update(predictions)
    .where(predictions.c.id == bindparam("prediction"), predictions.c.submitted_at.is_(None))
    .values(submitted_at=bindparam("at"))
)
_CLAIM = (
    sa.update(predictions)
    .where(
        predictions.c.id == bindparam("prediction"),
        sa.or_(predictions.c.backend_id == "", predictions.c.backend_id == bindparam("theirs")),
    )
    .values(backend_id=bindparam("theirs"))
)
_CLOSE = (
    sa.update(predictions)
    .where(predictions.c.id == bindparam("prediction"))
    .values(state=bindparam("end"), predict_seconds=bindparam("seconds"), cost=bindparam("micros"), inputs={})
)
_USUAL = sa.select(model_times.c.seconds).where(model_times.c.model == bindparam("model"))
_insert_seconds = insert(model_times)
_LEARN = _insert_seconds.on_conflict_do_update(
    index_elements=["model"],
    set_={
        "seconds": model_times.c.seconds
        + (_insert_seconds.excluded.seconds - model_times.c.seconds) * _WEIGHT_OF_THE_NEWEST
    },
)


class SqlPredictionStore:
    """Implements `core.storage.PredictionStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(self, record: PredictionRecord) -> None:
        row = {name: getattr(record, name) for name in PredictionRecord.__slots__}
        await self._run(_ADD, row | {"inputs": dict(record.inputs)})

    async def get(self, prediction_id: str) -> PredictionRecord | None:
        row = (await self._run(_GET, {"prediction": prediction_id})).first()
        return _record(row) if row else None

    async def mark_submitted(self, prediction_id: str, at: datetime) -> None:
        await self._run(_MARK_SUBMITTED, {"prediction": prediction_id, "at": at})

    async def claim(self, prediction_id: str, backend_id: str) -> None:
        claimed = await self._run(_CLAIM, {"prediction": prediction_id, "theirs": backend_id})
        if not claimed.rowcount:
            # Overwriting the id would lose a run that is paid for.
            raise AlreadyClaimed(f"{prediction_id} has another run than {backend_id}")

    async def close(self, prediction_id: str, state: str, predict_seconds: float | None, cost: int) -> None:
        facts = {"end": state, "seconds": predict_seconds, "micros": cost}
        await self._run(_CLOSE, {"prediction": prediction_id, **facts})

    async def usual_seconds(self, model: str) -> float | None:
        seconds: float | None = (await self._run(_USUAL, {"model": model})).scalar_one_or_none()
        return seconds

    async def learn_seconds(self, model: str, seconds: float) -> None:
        await self._run(_LEARN, {"model": model, "seconds": seconds})


def _record(row: sa.Row[Any]) -> PredictionRecord:
    return PredictionRecord(**{name: getattr(row, name) for name in PredictionRecord.__slots__})
