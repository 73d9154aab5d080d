"""Stores pending actions: confirmations, open modals and erasures, each taken once."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.invocations import PendingAction
from bot.storage.connection import Statements
from bot.storage.tables.jobs import pending

_insert = insert(pending)
_UPSERT = _insert.on_conflict_do_update(
    index_elements=["id"], set_={name: _insert.excluded[name] for name in ("facts", "created_at", "expires_at")}
)
_PUT_DUE = _insert.on_conflict_do_update(
    index_elements=["id"],
    set_={name: _insert.excluded[name] for name in ("facts", "created_at", "expires_at")},
    where=pending.c.expires_at <= _insert.excluded.created_at,
)
_SELECT = sa.select(pending).where(pending.c.id == bindparam("of_id"))
_SELECT_BY_KIND = (
    sa.select(pending).where(pending.c.kind == bindparam("of_kind")).order_by(pending.c.created_at, pending.c.id)
)
# Delete and read in one statement: of two presses at the same moment, only one gets the row.
_TAKE = (
    sa.delete(pending)
    .where(
        pending.c.id == bindparam("of_id"),
        pending.c.kind == bindparam("of_kind"),
        pending.c.platform == bindparam("of_platform"),
        pending.c.workspace == bindparam("of_workspace"),
        pending.c.user == bindparam("of_user"),
        pending.c.expires_at > bindparam("at"),
    )
    .returning(pending)
)
_DELETE = sa.delete(pending).where(pending.c.id == bindparam("of_id"))
_DELETE_EXPIRED = sa.delete(pending).where(pending.c.expires_at < bindparam("before"))


class PendingStore:
    """Reads, writes and takes pending actions."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, action: PendingAction) -> None:
        """Insert an action, or replace facts and times of the action with the same id."""
        row = {name: getattr(action, name) for name in PendingAction.__slots__}
        await self._run(_UPSERT, row | {"facts": dict(action.facts)})

    async def put_due(self, action: PendingAction) -> bool:
        """Insert an action unless one with the same id has not expired. Returns whether the action was inserted."""
        row = {name: getattr(action, name) for name in PendingAction.__slots__}
        return (await self._run(_PUT_DUE, row | {"facts": dict(action.facts)})).rowcount == 1

    async def get(self, action_id: str) -> PendingAction | None:
        """Read one action, expired or not."""
        row = (await self._run(_SELECT, {"of_id": action_id})).first()
        return _action_from_row(row) if row else None

    async def take(
        self, action_id: str, kind: str, platform: str, workspace: str, user: str, at: datetime
    ) -> PendingAction | None:
        """Remove and return an action of this user. Returns None for an action taken before, or expired at `at`."""
        owner = {"of_platform": platform, "of_workspace": workspace, "of_user": user}
        row = (await self._run(_TAKE, {"of_id": action_id, "of_kind": kind, **owner, "at": at})).first()
        return _action_from_row(row) if row else None

    async def list_by_kind(self, kind: str) -> list[PendingAction]:
        """List all actions of a kind, oldest first."""
        return [_action_from_row(row) for row in await self._run(_SELECT_BY_KIND, {"of_kind": kind})]

    async def remove(self, action_id: str) -> None:
        """Delete an action. Harmless for an unknown id."""
        await self._run(_DELETE, {"of_id": action_id})

    async def delete_expired(self, before: datetime) -> int:
        """Delete the actions expired before a time. Returns the number of actions."""
        return (await self._run(_DELETE_EXPIRED, {"before": before})).rowcount


def _action_from_row(row: sa.Row[Any]) -> PendingAction:
    return PendingAction(**{name: getattr(row, name) for name in PendingAction.__slots__})
