"""Stores what people add while the bot runs: models, and presets, which are options of /imagine under a name.

A row of a model never changes after its removal time is set. A preset belongs to a person or to a workspace.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.json import JSON
from bot.core.people import Actor, PersonKey
from bot.storage.connection import Statements
from bot.storage.tables.people import models, presets

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


# Presets.

_IS_PRESET_OF_OWNER = (
    presets.c.platform == bindparam("of_platform"),
    presets.c.workspace == bindparam("of_workspace"),
    presets.c.user == bindparam("of_user"),
)
_SELECT_PRESETS = sa.select(presets).where(*_IS_PRESET_OF_OWNER).order_by(presets.c.name)
_DELETE_PRESET = sa.delete(presets).where(*_IS_PRESET_OF_OWNER, presets.c.name == bindparam("of_name"))
_insert_preset = insert(presets)
_UPSERT_PRESET = _insert_preset.on_conflict_do_update(
    index_elements=["platform", "workspace", "user", "name"],
    set_={name: _insert_preset.excluded[name] for name in ("options", "by", "at")},
)


@dataclass(frozen=True, slots=True)
class Preset:
    """Saved options. An empty `user` stands for the workspace's preset."""

    platform: str
    workspace: str
    user: str
    name: str
    options: Mapping[str, JSON]
    by: Actor
    at: datetime


class PresetStore:
    """Reads and writes presets. The owner of a preset is a person, or with an empty id a workspace."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, preset: Preset) -> None:
        """Insert a preset, or replace options, author and time."""
        await self._run(_UPSERT_PRESET, asdict(preset) | {"options": dict(preset.options), "by": preset.by})

    async def list_presets(self, owner: PersonKey) -> list[Preset]:
        """List the presets of an owner by name."""
        return [Preset(**row._mapping) for row in await self._run(_SELECT_PRESETS, _bind_owner(owner))]

    async def remove(self, owner: PersonKey, name: str) -> bool:
        """Delete a preset. Returns whether the preset was stored."""
        return (await self._run(_DELETE_PRESET, {**_bind_owner(owner), "of_name": name})).rowcount == 1


def _bind_owner(owner: PersonKey) -> dict[str, str]:
    return {"of_platform": owner.platform, "of_workspace": owner.workspace, "of_user": owner.id}
