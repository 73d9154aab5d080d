"""Stores predictions (runs at backends), outputs, and the usual duration of each model."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.errors import AlreadyClaimed
from bot.core.jobs import Output, PredictionRecord
from bot.storage.connection import Rows, Statements
from bot.storage.tables.jobs import model_times, outputs, predictions

_WEIGHT_OF_NEWEST = 0.2
"""The share of the newest duration in the exponential mean."""

_INSERT = sa.insert(predictions)
_SELECT = sa.select(predictions).where(predictions.c.id == bindparam("prediction"))
_MARK_SUBMITTED = (
    sa.update(predictions)
    .where(predictions.c.id == bindparam("prediction"), predictions.c.submitted_at.is_(None))
    .values(submitted_at=bindparam("at"))
)
_BIND_BACKEND_ID = (
    sa.update(predictions)
    .where(
        predictions.c.id == bindparam("prediction"),
        sa.or_(predictions.c.backend_id == "", predictions.c.backend_id == bindparam("new_backend_id")),
    )
    .values(backend_id=bindparam("new_backend_id"))
)
_CLOSE = (
    sa.update(predictions)
    .where(predictions.c.id == bindparam("prediction"))
    .values(
        state=bindparam("end_state"),
        predict_seconds=bindparam("seconds"),
        cost_micros=bindparam("micros"),
        inputs={},  # only adoption after a crash compares inputs: a closed run needs none
    )
)
_SELECT_SECONDS = sa.select(model_times.c.seconds).where(model_times.c.model == bindparam("model"))
_insert_seconds = insert(model_times)
_UPDATE_SECONDS = _insert_seconds.on_conflict_do_update(
    index_elements=["model"],
    set_={
        "seconds": model_times.c.seconds
        + (_insert_seconds.excluded.seconds - model_times.c.seconds) * _WEIGHT_OF_NEWEST
    },
)


class PredictionStore:
    """Reads and writes predictions and the models' usual durations."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run
        self._post = statements.post

    async def add(self, record: PredictionRecord) -> None:
        """Insert a prediction, before the create request is sent."""
        await self._post(_INSERT, _row_from_prediction(record))

    async def get(self, prediction_id: str) -> PredictionRecord | None:
        """Read one prediction."""
        row = (await self._run(_SELECT, {"prediction": prediction_id})).first()
        return _prediction_from_row(row) if row else None

    async def mark_submitted(self, prediction_id: str, at: datetime) -> None:
        """Store the time of the first create request, before sending the request. Later times change nothing."""
        await self._post(_MARK_SUBMITTED, {"prediction": prediction_id, "at": at})

    async def bind_backend_id(self, prediction_id: str, backend_id: str) -> None:
        """Store the backend's id of a run.

        Raises `AlreadyClaimed`, with the next statement or the commit, if the run belongs to another prediction, or the
        prediction has another run.
        """

        def check(bound: Rows) -> None:
            if not bound.rowcount:
                # Never overwrite the id: a paid run would be lost.
                raise AlreadyClaimed(f"{prediction_id} has another run than {backend_id}")

        await self._post(_BIND_BACKEND_ID, {"prediction": prediction_id, "new_backend_id": backend_id}, check)

    async def close(self, prediction_id: str, state: str, predict_seconds: float | None, cost_micros: int) -> None:
        """Store the final state, the duration and the owner's cost of a run, and delete the inputs."""
        facts = {"end_state": state, "seconds": predict_seconds, "micros": cost_micros}
        await self._post(_CLOSE, {"prediction": prediction_id, **facts})

    async def get_usual_seconds(self, model: str) -> float | None:
        """Read the usual duration of a model; None before the first run."""
        seconds: float | None = (await self._run(_SELECT_SECONDS, {"model": model})).scalar_one_or_none()
        return seconds

    async def update_usual_seconds(self, model: str, seconds: float) -> None:
        """Move the usual duration of a model towards the newest duration."""
        await self._post(_UPDATE_SECONDS, {"model": model, "seconds": seconds})


_INSERT_OUTPUTS = insert(outputs).on_conflict_do_nothing(index_elements=["prediction", "n"])
_SELECT_OUTPUTS = sa.select(outputs).where(outputs.c.prediction == bindparam("of_prediction")).order_by(outputs.c.n)
_SELECT_OUTPUTS_OF_SEVERAL = (
    sa.select(outputs)
    .where(outputs.c.prediction.in_(bindparam("predictions", expanding=True)))
    .order_by(outputs.c.prediction, outputs.c.n)
)


class OutputStore:
    """Reads and writes the kept files and texts of predictions."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run
        self._post = statements.post

    async def add(self, outputs: Iterable[Output]) -> None:
        """Insert outputs. Outputs stored before, by prediction and number, are ignored."""
        rows = [_row_from_output(output) for output in outputs]
        if rows:
            await self._post(_INSERT_OUTPUTS, rows)

    async def list_outputs(self, prediction_id: str) -> list[Output]:
        """List the outputs of a prediction by number."""
        return [_output_from_row(row) for row in await self._run(_SELECT_OUTPUTS, {"of_prediction": prediction_id})]

    async def list_by_prediction(self, prediction_ids: Collection[str]) -> dict[str, list[Output]]:
        """List the outputs of several predictions by number; predictions without outputs are left out."""
        found: dict[str, list[Output]] = {}
        if prediction_ids:
            rows = await self._run(_SELECT_OUTPUTS_OF_SEVERAL, {"predictions": list(prediction_ids)})
            for row in rows:
                found.setdefault(row.prediction, []).append(_output_from_row(row))
        return found


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


def _row_from_output(output: Output) -> dict[str, Any]:
    return {
        "prediction": output.prediction,
        "n": output.n,
        "sha256": output.sha256,
        "mime": output.mime,
        "size_bytes": output.size_bytes,
        "width": output.width,
        "height": output.height,
        "text": output.text,
        "alt": output.alt,
        "is_flagged": output.is_flagged,
        "expires_at": output.expires_at,
        "duration_seconds": output.duration_seconds,
    }


def _output_from_row(row: sa.Row[Any]) -> Output:
    return Output(
        prediction=row.prediction,
        n=row.n,
        sha256=row.sha256,
        mime=row.mime,
        size_bytes=row.size_bytes,
        width=row.width,
        height=row.height,
        text=row.text,
        alt=row.alt,
        is_flagged=row.is_flagged,
        expires_at=row.expires_at,
        duration_seconds=row.duration_seconds,
    )
