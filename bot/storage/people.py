"""Stores users and workspaces as last seen, blocks, and installations of the app."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.json import JSON
from bot.core.people import User
from bot.storage.connection import Statements
from bot.storage.tables.people import installations, users, workspaces

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


class PeopleStore:
    """Users and workspaces as last seen."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def upsert_user(self, user: User, at: datetime) -> None:
        """Remember name and locale."""
        await self._run(_SEE, {**_row(user), "seen_at": at})

    async def get_block(self, user: User) -> tuple[datetime, str] | None:
        """End and reason of a block, if any."""
        facts = {"of_platform": user.platform, "of_workspace": user.workspace, "of_id": user.id}
        row = (await self._run(_BLOCKED, facts)).first()
        return (row.blocked_until, row.block_reason) if row else None

    async def set_block(self, user: User, until: datetime | None, reason: str) -> None:
        """None ends a block."""
        facts = {"blocked_until": until, "block_reason": reason if until else ""}
        await self._run(_BLOCK, {**_row(user), **facts})

    async def find_user_ids(self, platform: str, workspace: str, name: str) -> list[str]:
        """The ids a name may mean in this workspace: the one that is spelled so, else those called so, at most two."""
        facts = {"of_platform": platform, "of_workspace": workspace, "spelled": name, "folded": name.casefold()}
        found = [str(row.id) for row in await self._run(_BY_NAME, facts)]
        return [name] if name in found else found

    async def get_names(self, platform: str, workspace: str, ids: Sequence[str]) -> dict[str, str]:
        """What people of a workspace are called, by id; unknown ids left out."""
        facts = {"of_platform": platform, "of_workspace": workspace, "ids": list(ids)}
        return {row.id: row.name for row in await self._run(_NAMES, facts)}

    async def is_workspace_allowed(self, platform: str, workspace: str) -> bool:
        return (await self._run(_ALLOWED, {"of_platform": platform, "of_id": workspace})).first() is not None

    async def allow_workspace(self, platform: str, workspace: str, at: datetime) -> None:
        await self._run(_ALLOW, {"platform": platform, "id": workspace, "allowed": True, "allowed_at": at})

    async def forbid_workspace(self, platform: str, workspace: str, at: datetime, *, is_removed: bool) -> None:
        """Take the permission back. `is_removed`: the bot was thrown out, and what is kept goes when its time is up."""
        gone = {"allowed": False, "removed_at": at if is_removed else None}
        await self._run(_FORBID, {"platform": platform, "id": workspace, **gone})


def _row(user: User) -> dict[str, Any]:
    address = {"platform": user.platform, "workspace": user.workspace, "id": user.id}
    return {**address, "name": user.name, "name_folded": user.name.casefold(), "locale": user.locale}


_insert_installation = insert(installations)
_PUT_INSTALLATION = _insert_installation.on_conflict_do_update(
    index_elements=["platform", "workspace", "enterprise"],
    set_={
        **{name: _insert_installation.excluded[name] for name in ("secrets", "facts", "installed_by", "installed_at")},
        "removed_at": None,
    },
)
_IS_INSTALLATION = (
    installations.c.platform == bindparam("of_platform"),
    installations.c.workspace == bindparam("of_workspace"),
    installations.c.removed_at.is_(None),
)
_GET_INSTALLATION = sa.select(installations).where(*_IS_INSTALLATION)
_REMOVE_INSTALLATION = (
    sa.update(installations).where(*_IS_INSTALLATION).values(secrets=None, removed_at=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class Installation:
    """An app that a workspace installed. `secrets` are encrypted by whoever keeps them; `facts` are not secret."""

    platform: str
    workspace: str
    secrets: bytes
    facts: Mapping[str, JSON]
    installed_by: str
    installed_at: datetime


class InstallationStore:
    """Workspaces that installed the app, with what opens them."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, installation: Installation) -> None:
        """Insert, or replace the one of this workspace."""
        place = {"platform": installation.platform, "workspace": installation.workspace, "enterprise": ""}
        told = {"secrets": installation.secrets, "facts": dict(installation.facts)}
        by = {"installed_by": installation.installed_by, "installed_at": installation.installed_at}
        await self._run(_PUT_INSTALLATION, {**place, **told, **by})

    async def get(self, platform: str, workspace: str) -> Installation | None:
        row = (await self._run(_GET_INSTALLATION, {"of_platform": platform, "of_workspace": workspace})).first()
        return _installation(row) if row else None

    async def remove(self, platform: str, workspace: str, at: datetime) -> bool:
        """Erase its secrets and note when; gives whether there were any."""
        facts = {"of_platform": platform, "of_workspace": workspace, "at": at}
        return (await self._run(_REMOVE_INSTALLATION, facts)).rowcount > 0


def _installation(row: sa.Row[Any]) -> Installation:
    return Installation(
        platform=row.platform,
        workspace=row.workspace,
        secrets=row.secrets or b"",
        facts=row.facts,
        installed_by=row.installed_by,
        installed_at=row.installed_at,
    )
