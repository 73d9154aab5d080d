"""Stores models that people add while the bot runs. A row never changes after its removal time is set."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.json import JSON
from bot.core.people import Actor
from bot.storage.connection import Statements
from bot.storage.tables.people import models

_INSERT = insert(models).on_conflict_do_nothing()
_SELECT = sa.select(models).order_by(models.c.added_at, models.c.key)
_COUNT = sa.select(sa.func.count(), sa.func.count(models.c.removed_at)).select_from(models)
_IS_ACTIVE = sa.select(models.c.key).where(models.c.key == bindparam("of_key"), models.c.removed_at.is_(None))
_REMOVE = (
    sa.update(models)
    .where(models.c.key == bindparam("of_key"), models.c.removed_at.is_(None))
    .values(removed_at=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model added at run time. Empty `platform` and `workspace` stand for the whole bot."""

    key: str
    platform: str
    workspace: str
    ref: str
    version: str
    entry: Mapping[str, JSON]
    """The table of the model, as in the catalogue file."""
    fields: list[JSON]
    """The inputs of the published schema, in order."""
    agreed_micros: int
    """The most that one run may cost, as the approver agreed; 0 where the price alone was agreed to."""
    by: Actor
    """The approver."""
    added_at: datetime
    removed_at: datetime | None = None


class ModelStore:
    """Reads and writes models added at run time."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def add(self, row: ModelRow) -> bool:
        """Insert a model. Returns whether the key was free: also a removed model keeps its key."""
        return (await self._run(_INSERT, asdict(row) | {"entry": dict(row.entry), "by": row.by})).rowcount == 1

    async def remove(self, key: str, at: datetime) -> bool:
        """Withdraw a model. Returns whether the model was on offer."""
        return (await self._run(_REMOVE, {"of_key": key, "at": at})).rowcount == 1

    async def is_active(self, key: str) -> bool:
        """Give whether a model is on offer."""
        return (await self._run(_IS_ACTIVE, {"of_key": key})).first() is not None

    async def count_changes(self) -> tuple[int, int]:
        """Count the added and the removed models: both numbers only grow, so a change is seen by them."""
        row = (await self._run(_COUNT, {})).first()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    async def list_rows(self) -> list[ModelRow]:
        """List all models, oldest first, removed models too."""
        return [ModelRow(**row._mapping) for row in await self._run(_SELECT, {})]
