"""Policies: limits and settings changed while running."""

from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.core.storage import Policy
from bot.storage.statements import Statements
from bot.storage.tables.people import policies

_NAME = ("platform", "workspace", "scope", "scope_id", "key")
_OF = (
    sa.select(policies)
    .where(
        sa.or_(
            sa.and_(policies.c.platform == bindparam("of_platform"), policies.c.workspace == bindparam("of_workspace")),
            sa.and_(policies.c.platform == "", policies.c.workspace == ""),
        )
    )
    .order_by(*(policies.c[name] for name in _NAME))
)
_NAMED = sa.select(policies).where(policies.c.key == bindparam("of_key")).order_by(*(policies.c[n] for n in _NAME))
_insert = insert(policies)
_PUT = _insert.on_conflict_do_update(
    index_elements=_NAME, set_={name: _insert.excluded[name] for name in ("value", "by", "at")}
)
_REMOVE = sa.delete(policies).where(*(policies.c[name] == bindparam(f"of_{name}") for name in _NAME))


class SqlPolicyStore:
    """Implements `core.storage.PolicyStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def of(self, platform: str, workspace: str) -> list[Policy]:
        rows = await self._run(_OF, {"of_platform": platform, "of_workspace": workspace})
        return [Policy(**row._mapping) for row in rows]

    async def put(self, policy: Policy) -> None:
        await self._run(_PUT, asdict(policy))

    async def named(self, key: str) -> list[Policy]:
        return [Policy(**row._mapping) for row in await self._run(_NAMED, {"of_key": key})]

    async def remove(self, platform: str, workspace: str, scope: str, scope_id: str, key: str) -> bool:
        name = (platform, workspace, scope, scope_id, key)
        named = {f"of_{part}": value for part, value in zip(_NAME, name, strict=True)}
        return (await self._run(_REMOVE, named)).rowcount == 1
