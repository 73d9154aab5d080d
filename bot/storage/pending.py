"""Pending: what waits for somebody's answer, taken once."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.invocations import PendingAction
from bot.storage.connection import Statements
from bot.storage.tables.jobs import pending

_insert = insert(pending)
_PUT = _insert.on_conflict_do_update(
    index_elements=["id"], set_={name: _insert.excluded[name] for name in ("facts", "created_at", "expires_at")}
)
_GET = sa.select(pending).where(pending.c.id == bindparam("wanted"))
_OF_KIND = sa.select(pending).where(pending.c.kind == bindparam("of_kind")).order_by(pending.c.created_at, pending.c.id)
# One statement takes it and says what it was: of two presses at once, one goes ahead.
_TAKE = (
    sa.delete(pending)
    .where(
        pending.c.id == bindparam("wanted"),
        pending.c.kind == bindparam("of_kind"),
        pending.c.platform == bindparam("of_platform"),
        pending.c.workspace == bindparam("of_workspace"),
        pending.c.user == bindparam("of_user"),
        pending.c.expires_at > bindparam("at"),
    )
    .returning(pending)
)
_REMOVE = sa.delete(pending).where(pending.c.id == bindparam("wanted"))
_EXPIRED = sa.delete(pending).where(pending.c.expires_at < bindparam("before"))


class PendingStore:
    """Things that wait."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, pending: PendingAction) -> None:
        """Insert, or replace what waits under that id."""
        row = {name: getattr(pending, name) for name in PendingAction.__slots__}
        await self._run(_PUT, row | {"facts": dict(pending.facts)})

    async def get(self, pending_id: str) -> PendingAction | None:
        row = (await self._run(_GET, {"wanted": pending_id})).first()
        return _pending(row) if row else None

    async def take(
        self, pending_id: str, kind: str, platform: str, workspace: str, user: str, at: datetime
    ) -> PendingAction | None:
        """Remove it and give it, once and to its person only; None when it is gone, expired, or somebody else's."""
        whose = {"of_kind": kind, "of_platform": platform, "of_workspace": workspace, "of_user": user}
        row = (await self._run(_TAKE, {"wanted": pending_id, **whose, "at": at})).first()
        return _pending(row) if row else None

    async def list_by_kind(self, kind: str) -> list[PendingAction]:
        """All of one kind, oldest first."""
        return [_pending(row) for row in await self._run(_OF_KIND, {"of_kind": kind})]

    async def remove(self, pending_id: str) -> None:
        """Harmless when it is gone."""
        await self._run(_REMOVE, {"wanted": pending_id})

    async def delete_expired(self, before: datetime) -> int:
        return (await self._run(_EXPIRED, {"before": before})).rowcount


def _pending(row: sa.Row[Any]) -> PendingAction:
    return PendingAction(**{name: getattr(row, name) for name in PendingAction.__slots__})
