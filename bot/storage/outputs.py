"""Outputs: the kept files and texts of predictions."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.jobs import Output
from bot.storage.statements import Statements
from bot.storage.tables.runs import outputs
from bot.storage.tables.work import jobs

_ADD = insert(outputs).on_conflict_do_nothing(index_elements=["prediction", "n"])
_OF = sa.select(outputs).where(outputs.c.prediction == bindparam("of_prediction")).order_by(outputs.c.n)
_REMOVE = sa.delete(outputs).where(
    outputs.c.prediction == bindparam("of_prediction"), outputs.c.n == bindparam("number")
)
_WITH_SHA256 = (
    sa.select(outputs, jobs.c.id.label("job"))
    .join_from(outputs, jobs, jobs.c.prediction == outputs.c.prediction)
    .where(outputs.c.sha256 == bindparam("content"), outputs.c.sha256 != "")
    .order_by(jobs.c.created_at, outputs.c.n)
)


class SqlOutputStore:
    """Implements `core.storage.OutputStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(self, outputs: Iterable[Output]) -> None:
        rows = [{name: getattr(output, name) for name in Output.__slots__} for output in outputs]
        if rows:
            await self._run(_ADD, rows)

    async def of(self, prediction_id: str) -> list[Output]:
        return [_output(row) for row in await self._run(_OF, {"of_prediction": prediction_id})]

    async def remove(self, prediction_id: str, n: int) -> None:
        await self._run(_REMOVE, {"of_prediction": prediction_id, "number": n})

    async def with_sha256(self, sha256: str) -> list[tuple[Output, str]]:
        return [(_output(row), row.job) for row in await self._run(_WITH_SHA256, {"content": sha256})]


def _output(row: sa.Row[Any]) -> Output:
    return Output(**{name: getattr(row, name) for name in Output.__slots__})
