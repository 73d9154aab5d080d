"""Stores users as last seen, blocks, allowed workspaces, and installations of the app."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert  # compiles for PostgreSQL too: see postgresql.py

from bot.core.json import JSON
from bot.core.people import User
from bot.storage.connection import Statements
from bot.storage.tables.people import installations, users, workspaces

_USER_KEY = ("platform", "workspace", "id")
_IS_USER = (
    users.c.platform == bindparam("of_platform"),
    users.c.workspace == bindparam("of_workspace"),
    users.c.id == bindparam("of_id"),
)
_insert_user = insert(users)
_UPSERT_USER = _insert_user.on_conflict_do_update(
    index_elements=_USER_KEY,
    set_={name: _insert_user.excluded[name] for name in ("name", "name_folded", "locale", "seen_at")},
)
_UPSERT_BLOCK = _insert_user.on_conflict_do_update(
    index_elements=_USER_KEY, set_={name: _insert_user.excluded[name] for name in ("blocked_until", "block_reason")}
)
_SELECT_BLOCK = sa.select(users.c.blocked_until, users.c.block_reason).where(
    *_IS_USER, users.c.blocked_until.is_not(None)
)
_SELECT_IDS = (
    sa.select(users.c.id)
    .where(
        users.c.platform == bindparam("of_platform"),
        users.c.workspace == bindparam("of_workspace"),
        sa.or_(users.c.id == bindparam("exact"), users.c.name_folded == bindparam("folded")),
    )
    # An id comes before a name of the same spelling, then the user seen last.
    .order_by(users.c.id != bindparam("exact"), users.c.seen_at.desc(), users.c.id)
    .limit(2)
)
_SELECT_NAMES = sa.select(users.c.id, users.c.name).where(
    users.c.platform == bindparam("of_platform"),
    users.c.workspace == bindparam("of_workspace"),
    users.c.id.in_(bindparam("ids", expanding=True)),
)
_SELECT_ALLOWED = sa.select(workspaces.c.id).where(
    workspaces.c.platform == bindparam("of_platform"),
    workspaces.c.id == bindparam("of_id"),
    workspaces.c.is_allowed,
    workspaces.c.removed_at.is_(None),
)
_insert_workspace = insert(workspaces)
_ALLOW_WORKSPACE = _insert_workspace.on_conflict_do_update(
    index_elements=["platform", "id"],
    set_={"is_allowed": sa.true(), "allowed_at": _insert_workspace.excluded.allowed_at, "removed_at": None},
)
_FORBID_WORKSPACE = _insert_workspace.on_conflict_do_update(
    index_elements=["platform", "id"],
    set_={"is_allowed": sa.false(), "removed_at": _insert_workspace.excluded.removed_at},
)


class PeopleStore:
    """Reads and writes users, blocks and the permission of each workspace."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def upsert_user(self, user: User, at: datetime) -> None:
        """Store a user's name and locale as seen at a time."""
        await self._run(_UPSERT_USER, {**_row_from_user(user), "seen_at": at})

    async def get_block(self, user: User) -> tuple[datetime, str] | None:
        """Read end and reason of a user's block. The end may be past."""
        facts = {"of_platform": user.platform, "of_workspace": user.workspace, "of_id": user.id}
        row = (await self._run(_SELECT_BLOCK, facts)).first()
        return (row.blocked_until, row.block_reason) if row else None

    async def set_block(self, user: User, until: datetime | None, reason: str) -> None:
        """Block a user until a time, or end the block if `until` is None."""
        facts = {"blocked_until": until, "block_reason": reason if until else ""}
        await self._run(_UPSERT_BLOCK, {**_row_from_user(user), **facts})

    async def find_user_ids(self, platform: str, workspace: str, name: str) -> list[str]:
        """Find a user of a workspace by id or by name in any case.

        Returns the id alone if `name` is an id, otherwise at most two ids: two mean an ambiguous name.
        """
        facts = {"of_platform": platform, "of_workspace": workspace, "exact": name, "folded": name.casefold()}
        found = [str(row.id) for row in await self._run(_SELECT_IDS, facts)]
        return [name] if name in found else found

    async def get_names(self, platform: str, workspace: str, ids: Sequence[str]) -> dict[str, str]:
        """Give the names of a workspace's known users by id."""
        facts = {"of_platform": platform, "of_workspace": workspace, "ids": list(ids)}
        return {row.id: row.name for row in await self._run(_SELECT_NAMES, facts)}

    async def is_workspace_allowed(self, platform: str, workspace: str) -> bool:
        """Say whether the owner allowed a workspace, and the bot was not removed from the workspace since."""
        return (await self._run(_SELECT_ALLOWED, {"of_platform": platform, "of_id": workspace})).first() is not None

    async def allow_workspace(self, platform: str, workspace: str, at: datetime) -> None:
        """Allow a workspace to use the bot."""
        row = {"platform": platform, "id": workspace, "is_allowed": True, "allowed_at": at}
        await self._run(_ALLOW_WORKSPACE, row)

    async def forbid_workspace(self, platform: str, workspace: str, at: datetime, *, is_removed: bool) -> None:
        """Withdraw the permission. With `is_removed`, the workspace removed the bot: retention then erases its data."""
        row = {"platform": platform, "id": workspace, "is_allowed": False, "removed_at": at if is_removed else None}
        await self._run(_FORBID_WORKSPACE, row)


def _row_from_user(user: User) -> dict[str, Any]:
    return {
        "platform": user.platform,
        "workspace": user.workspace,
        "id": user.id,
        "name": user.name,
        "name_folded": user.name.casefold(),
        "locale": user.locale,
    }


_insert_installation = insert(installations)
_UPSERT_INSTALLATION = _insert_installation.on_conflict_do_update(
    index_elements=["platform", "workspace", "enterprise"],
    set_={
        **{name: _insert_installation.excluded[name] for name in ("secrets", "facts", "installed_by", "installed_at")},
        "removed_at": None,
    },
)
_IS_INSTALLED = (
    installations.c.platform == bindparam("of_platform"),
    installations.c.workspace == bindparam("of_workspace"),
    installations.c.removed_at.is_(None),
)
_SELECT_INSTALLATION = sa.select(installations).where(*_IS_INSTALLED)
_REMOVE_INSTALLATION = sa.update(installations).where(*_IS_INSTALLED).values(secrets=None, removed_at=bindparam("at"))


@dataclass(frozen=True, slots=True)
class Installation:
    """The app installed in a workspace. `secrets` is encrypted by the platform; `facts` holds no secret."""

    platform: str
    workspace: str
    secrets: bytes
    facts: Mapping[str, JSON]
    installed_by: str
    installed_at: datetime


class InstallationStore:
    """Reads and writes installations. Secrets arrive encrypted and leave encrypted."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, installation: Installation) -> None:
        """Insert the installation of a workspace, or replace the former installation."""
        row = {
            "platform": installation.platform,
            "workspace": installation.workspace,
            "enterprise": "",
            "secrets": installation.secrets,
            "facts": dict(installation.facts),
            "installed_by": installation.installed_by,
            "installed_at": installation.installed_at,
        }
        await self._run(_UPSERT_INSTALLATION, row)

    async def get(self, platform: str, workspace: str) -> Installation | None:
        """Read the installation of a workspace; None after a removal."""
        row = (await self._run(_SELECT_INSTALLATION, {"of_platform": platform, "of_workspace": workspace})).first()
        return _installation_from_row(row) if row else None

    async def remove(self, platform: str, workspace: str, at: datetime) -> bool:
        """Erase the secrets of an installation and note the time. Returns whether the app was installed."""
        facts = {"of_platform": platform, "of_workspace": workspace, "at": at}
        return (await self._run(_REMOVE_INSTALLATION, facts)).rowcount > 0


def _installation_from_row(row: sa.Row[Any]) -> Installation:
    return Installation(
        platform=row.platform,
        workspace=row.workspace,
        secrets=row.secrets or b"",
        facts=row.facts,
        installed_by=row.installed_by,
        installed_at=row.installed_at,
    )
