"""Stores predictions (runs at backends), their outputs, and how long models usually take."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.errors import AlreadyClaimed
from bot.core.jobs import Output, PredictionRecord
from bot.storage.connection import Statements
from bot.storage.tables.jobs import model_times, outputs, predictions

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
    .values(state=bindparam("end"), predict_seconds=bindparam("seconds"), cost_micros=bindparam("micros"), inputs={})
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


class PredictionStore:
    """Runs at backends."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(self, record: PredictionRecord) -> None:
        await self._run(_ADD, _row_from_prediction(record))

    async def get(self, prediction_id: str) -> PredictionRecord | None:
        row = (await self._run(_GET, {"prediction": prediction_id})).first()
        return _prediction_from_row(row) if row else None

    async def mark_submitted(self, prediction_id: str, at: datetime) -> None:
        """Set `submitted_at` if it was empty: a create is about to be sent."""
        await self._run(_MARK_SUBMITTED, {"prediction": prediction_id, "at": at})

    async def bind_backend_id(self, prediction_id: str, backend_id: str) -> None:
        """Store the backend's id. Raises `AlreadyClaimed` when another prediction has it, or this one another run."""
        claimed = await self._run(_CLAIM, {"prediction": prediction_id, "theirs": backend_id})
        if not claimed.rowcount:
            # Overwriting the id would lose a run that is paid for.
            raise AlreadyClaimed(f"{prediction_id} has another run than {backend_id}")

    async def close(self, prediction_id: str, state: str, predict_seconds: float | None, cost_micros: int) -> None:
        """Store how it ended and what it cost the owner (micros); inputs are forgotten."""
        facts = {"end": state, "seconds": predict_seconds, "micros": cost_micros}
        await self._run(_CLOSE, {"prediction": prediction_id, **facts})

    async def get_usual_seconds(self, model: str) -> float | None:
        """The learnt time of a model (`model_times`), in seconds."""
        seconds: float | None = (await self._run(_USUAL, {"model": model})).scalar_one_or_none()
        return seconds

    async def update_usual_seconds(self, model: str, seconds: float) -> None:
        """Move the learnt time of a model towards what was just seen (exponential mean, weight 0.2)."""
        await self._run(_LEARN, {"model": model, "seconds": seconds})


def _row_from_prediction(record: PredictionRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "backend": record.backend,
        "model": record.model,
        "fingerprint": record.fingerprint,
        "inputs": dict(record.inputs),
        "created_at": record.created_at,
        "submitted_at": record.submitted_at,
        "backend_id": record.backend_id,
        "state": record.state,
        "predict_seconds": record.predict_seconds,
        "cost_micros": record.cost_micros,
    }


def _prediction_from_row(row: sa.Row[Any]) -> PredictionRecord:
    return PredictionRecord(
        id=row.id,
        backend=row.backend,
        model=row.model,
        fingerprint=row.fingerprint,
        inputs=row.inputs,
        created_at=row.created_at,
        submitted_at=row.submitted_at,
        backend_id=row.backend_id,
        state=row.state,
        predict_seconds=row.predict_seconds,
        cost_micros=row.cost_micros,
    )


_ADD_OUTPUTS = insert(outputs).on_conflict_do_nothing(index_elements=["prediction", "n"])
_OUTPUTS_OF = sa.select(outputs).where(outputs.c.prediction == bindparam("of_prediction")).order_by(outputs.c.n)


class OutputStore:
    """What predictions produced."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(self, outputs: Iterable[Output]) -> None:
        """Idempotent on (prediction, n)."""
        rows = [_row_from_output(output) for output in outputs]
        if rows:
            await self._run(_ADD_OUTPUTS, rows)

    async def list_outputs(self, prediction_id: str) -> list[Output]:
        return [_output_from_row(row) for row in await self._run(_OUTPUTS_OF, {"of_prediction": prediction_id})]


def _row_from_output(output: Output) -> dict[str, Any]:
    return {
        "prediction": output.prediction,
        "n": output.n,
        "sha256": output.sha256,
        "mime": output.mime,
        "size": output.size,
        "width": output.width,
        "height": output.height,
        "text": output.text,
        "alt": output.alt,
        "is_flagged": output.is_flagged,
        "expires_at": output.expires_at,
    }


def _output_from_row(row: sa.Row[Any]) -> Output:
    return Output(
        prediction=row.prediction,
        n=row.n,
        sha256=row.sha256,
        mime=row.mime,
        size=row.size,
        width=row.width,
        height=row.height,
        text=row.text,
        alt=row.alt,
        is_flagged=row.is_flagged,
        expires_at=row.expires_at,
    )
