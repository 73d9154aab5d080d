"""Moderation: refused words and pauses."""

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert  # SQLite's dialect compiles its ON CONFLICT as well

from bot.storage.statements import Statements
from bot.storage.tables.moderation import pauses, refused_words

_WORDS = (
    sa.select(refused_words.c.word)
    .distinct()
    .where(
        refused_words.c.platform.in_([bindparam("of_platform"), ""]),
        refused_words.c.workspace.in_([bindparam("of_workspace"), ""]),
    )
    .order_by(refused_words.c.word)
)
_ADD_WORD = insert(refused_words).on_conflict_do_nothing()
_REMOVE_WORD = sa.delete(refused_words).where(
    refused_words.c.platform == bindparam("of_platform"),
    refused_words.c.workspace == bindparam("of_workspace"),
    refused_words.c.word == bindparam("of_word"),
)
_PAUSES = sa.select(pauses.c.what, pauses.c.reason).order_by(pauses.c.what)
_insert_pause = insert(pauses)
_PAUSE = _insert_pause.on_conflict_do_update(
    index_elements=["what"], set_={name: _insert_pause.excluded[name] for name in ("reason", "by")}
)
_GO_ON = sa.delete(pauses).where(pauses.c.what == bindparam("paused"))


class SqlModerationStore:
    """Implements `core.storage.ModerationStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def words(self, platform: str, workspace: str) -> list[str]:
        rows = await self._run(_WORDS, {"of_platform": platform, "of_workspace": workspace})
        return [row.word for row in rows]

    async def add_word(self, platform: str, workspace: str, word: str, by: str) -> bool:
        row = {"platform": platform, "workspace": workspace, "word": word, "by": by}
        return (await self._run(_ADD_WORD, row)).rowcount == 1

    async def remove_word(self, platform: str, workspace: str, word: str) -> bool:
        row = {"of_platform": platform, "of_workspace": workspace, "of_word": word}
        return (await self._run(_REMOVE_WORD, row)).rowcount == 1

    async def pauses(self) -> dict[str, str]:
        return {row.what: row.reason for row in await self._run(_PAUSES)}

    async def pause(self, what: str, reason: str | None, by: str) -> None:
        if reason is None:
            await self._run(_GO_ON, {"paused": what})
        else:
            await self._run(_PAUSE, {"what": what, "reason": reason, "by": by})
