"""Reads all that moderators can change from the database, and the audit's refusals, for comparison in tests."""

import sqlite3
from contextlib import closing
from typing import Any

from bot.app import App

_CHANGEABLE = {
    "policies": "SELECT * FROM policies ORDER BY 1, 2, 3, 4, 5",
    "ledger": "SELECT * FROM ledger ORDER BY 1",
    "accounts": "SELECT * FROM accounts ORDER BY 1",
    "words": "SELECT * FROM refused_words ORDER BY 1, 2, 3",
    "pauses": "SELECT * FROM pauses ORDER BY 1",
    "webhooks": "SELECT * FROM webhooks ORDER BY 1, 2",
    "workspaces": "SELECT * FROM workspaces ORDER BY 1, 2",
    "blocks": "SELECT platform, id, blocked_until FROM users WHERE blocked_until IS NOT NULL ORDER BY 1, 2",
    "jobs": "SELECT id, state FROM jobs ORDER BY 1",
}


def read_database_state(app: App) -> dict[str, list[Any]]:
    """Return money, limits, settings, words, pauses, blocks, permissions and jobs. The database must be SQLite."""
    with closing(sqlite3.connect(app.settings.data_dir / "easel.db")) as database:
        return {what: database.execute(statement).fetchall() for what, statement in _CHANGEABLE.items()}


async def read_refusals(app: App, platform: str, workspace: object) -> list[tuple[str, str]]:
    """Return the refusals of a workspace from the audit, oldest first: user id and command, such as `/quota grant`."""
    async with app.database.read() as tx:
        rows = await tx.audit.list_rows(platform, str(workspace), 500, kind="refused")
    return [(row.actor.user, str(row.facts["what"])) for row in reversed(rows)]
