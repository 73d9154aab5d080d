"""People: users and workspaces as last seen, and who is blocked."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.people import User
from bot.storage.statements import Statements
from bot.storage.tables.people import users, workspaces

_USER = ("platform", "workspace", "id")
_IS_USER = (
    users.c.platform == bindparam("of_platform"),
    users.c.workspace == bindparam("of_workspace"),
    users.c.id == bindparam("of_id"),
)
_insert_user = insert(users)
_SEE = _insert_user.on_conflict_do_update(
    index_elements=_USER,
    set_={name: _insert_user.excluded[name] for name in ("name", "name_folded", "locale", "seen_at")},
)
_BLOCK = _insert_user.on_conflict_do_update(
    index_elements=_USER, set_={name: _insert_user.excluded[name] for name in ("blocked_until", "block_reason")}
)
_BLOCKED = sa.select(users.c.blocked_until, users.c.block_reason).where(*_IS_USER, users.c.blocked_until.is_not(None))
_BY_NAME = (
    sa.select(users.c.id)
    .where(
        users.c.platform == bindparam("of_platform"),
        users.c.workspace == bindparam("of_workspace"),
        sa.or_(users.c.id == bindparam("spelled"), users.c.name_folded == bindparam("folded")),
    )
    # An id is meant before a name that happens to look like one; then whoever was here last.
    .order_by(users.c.id != bindparam("spelled"), users.c.seen_at.desc(), users.c.id)
    .limit(2)
)
_NAMES = sa.select(users.c.id, users.c.name).where(
    users.c.platform == bindparam("of_platform"),
    users.c.workspace == bindparam("of_workspace"),
    users.c.id.in_(bindparam("ids", expanding=True)),
)
_ALLOWED = sa.select(workspaces.c.id).where(
    workspaces.c.platform == bindparam("of_platform"),
    workspaces.c.id == bindparam("of_id"),
    workspaces.c.allowed,
    workspaces.c.removed_at.is_(None),
)
_insert_workspace = insert(workspaces)
_ALLOW = _insert_workspace.on_conflict_do_update(
    index_elements=["platform", "id"],
    set_={"allowed": sa.true(), "allowed_at": _insert_workspace.excluded.allowed_at, "removed_at": None},
)
_FORBID = _insert_workspace.on_conflict_do_update(
    index_elements=["platform", "id"],
    set_={"allowed": sa.false(), "removed_at": _insert_workspace.excluded.removed_at},
)


class SqlPeopleStore:
    """Implements `core.storage.PeopleStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def see(self, user: User, at: datetime) -> None:
        await self._run(_SEE, {**_row(user), "seen_at": at})

    async def blocked_until(self, user: User) -> tuple[datetime, str] | None:
        facts = {"of_platform": user.platform, "of_workspace": user.workspace, "of_id": user.id}
        row = (await self._run(_BLOCKED, facts)).first()
        return (row.blocked_until, row.block_reason) if row else None

    async def block(self, user: User, until: datetime | None, reason: str) -> None:
        facts = {"blocked_until": until, "block_reason": reason if until else ""}
        await self._run(_BLOCK, {**_row(user), **facts})

    async def by_name(self, platform: str, workspace: str, name: str) -> list[str]:
        facts = {"of_platform": platform, "of_workspace": workspace, "spelled": name, "folded": name.casefold()}
        found = [str(row.id) for row in await self._run(_BY_NAME, facts)]
        return [name] if name in found else found

    async def names(self, platform: str, workspace: str, ids: Sequence[str]) -> dict[str, str]:
        facts = {"of_platform": platform, "of_workspace": workspace, "ids": list(ids)}
        return {row.id: row.name for row in await self._run(_NAMES, facts)}

    async def is_workspace_allowed(self, platform: str, workspace: str) -> bool:
        return (await self._run(_ALLOWED, {"of_platform": platform, "of_id": workspace})).first() is not None

    async def allow_workspace(self, platform: str, workspace: str, at: datetime) -> None:
        await self._run(_ALLOW, {"platform": platform, "id": workspace, "allowed": True, "allowed_at": at})

    async def forbid_workspace(self, platform: str, workspace: str, at: datetime, *, is_removed: bool) -> None:
        gone = {"allowed": False, "removed_at": at if is_removed else None}
        await self._run(_FORBID, {"platform": platform, "id": workspace, **gone})


def _row(user: User) -> dict[str, Any]:
    address = {"platform": user.platform, "workspace": user.workspace, "id": user.id}
    return {**address, "name": user.name, "name_folded": user.name.casefold(), "locale": user.locale}
