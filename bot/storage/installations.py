"""Installations: the workspaces that installed the app. What opens them arrives encrypted and leaves so."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.storage import Installation
from bot.storage.statements import Statements
from bot.storage.tables.people import installations

_insert = insert(installations)
_PUT = _insert.on_conflict_do_update(
    index_elements=["platform", "workspace", "enterprise"],
    set_={
        **{name: _insert.excluded[name] for name in ("secrets", "facts", "installed_by", "installed_at")},
        "removed_at": None,
    },
)
_IS_IT = (
    installations.c.platform == bindparam("of_platform"),
    installations.c.workspace == bindparam("of_workspace"),
    installations.c.removed_at.is_(None),
)
_GET = sa.select(installations).where(*_IS_IT)
_REMOVE = sa.update(installations).where(*_IS_IT).values(secrets=None, removed_at=bindparam("at"))


class SqlInstallationStore:
    """Implements `core.storage.InstallationStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def put(self, installation: Installation) -> None:
        place = {"platform": installation.platform, "workspace": installation.workspace, "enterprise": ""}
        told = {"secrets": installation.secrets, "facts": dict(installation.facts)}
        by = {"installed_by": installation.installed_by, "installed_at": installation.installed_at}
        await self._run(_PUT, {**place, **told, **by})

    async def get(self, platform: str, workspace: str) -> Installation | None:
        row = (await self._run(_GET, {"of_platform": platform, "of_workspace": workspace})).first()
        return _installation(row) if row else None

    async def remove(self, platform: str, workspace: str, at: datetime) -> bool:
        facts = {"of_platform": platform, "of_workspace": workspace, "at": at}
        return (await self._run(_REMOVE, facts)).rowcount > 0


def _installation(row: sa.Row[Any]) -> Installation:
    return Installation(
        platform=row.platform,
        workspace=row.workspace,
        secrets=row.secrets or b"",
        facts=row.facts,
        installed_by=row.installed_by,
        installed_at=row.installed_at,
    )
