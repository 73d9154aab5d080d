"""Stores presets: options of /imagine under a name, of a person or of a workspace."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.json import JSON
from bot.core.people import Actor, PersonKey
from bot.storage.connection import Statements
from bot.storage.tables.people import presets

_IS_OF_OWNER = (
    presets.c.platform == bindparam("of_platform"),
    presets.c.workspace == bindparam("of_workspace"),
    presets.c.user == bindparam("of_user"),
)
_SELECT = sa.select(presets).where(*_IS_OF_OWNER).order_by(presets.c.name)
_DELETE = sa.delete(presets).where(*_IS_OF_OWNER, presets.c.name == bindparam("of_name"))
_insert = insert(presets)
_UPSERT = _insert.on_conflict_do_update(
    index_elements=["platform", "workspace", "user", "name"],
    set_={name: _insert.excluded[name] for name in ("options", "by", "at")},
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
        await self._run(_UPSERT, asdict(preset) | {"options": dict(preset.options), "by": preset.by})

    async def list_presets(self, owner: PersonKey) -> list[Preset]:
        """List the presets of an owner by name."""
        return [Preset(**row._mapping) for row in await self._run(_SELECT, _bind(owner))]

    async def remove(self, owner: PersonKey, name: str) -> bool:
        """Delete a preset. Returns whether the preset was stored."""
        return (await self._run(_DELETE, {**_bind(owner), "of_name": name})).rowcount == 1


def _bind(owner: PersonKey) -> dict[str, str]:
    return {"of_platform": owner.platform, "of_workspace": owner.workspace, "of_user": owner.id}
