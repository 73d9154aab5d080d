"""Outputs: the kept files and texts of predictions."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.jobs import Output
from bot.storage.statements import Statements
from bot.storage.tables.runs import outputs

_ADD = insert(outputs).on_conflict_do_nothing(index_elements=["prediction", "n"])
_OF = sa.select(outputs).where(outputs.c.prediction == bindparam("of_prediction")).order_by(outputs.c.n)


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


def _output(row: sa.Row[Any]) -> Output:
    return Output(**{name: getattr(row, name) for name in Output.__slots__})
