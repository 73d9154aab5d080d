"""Which rows are somebody's, and all of them as plain JSON: what a person is handed, or has forgotten."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from bot.core.json import JSON
from bot.core.people import PersonKey, Workspace
from bot.storage.connection import Statements
from bot.storage.tables.jobs import jobs, outputs, pending
from bot.storage.tables.ledger import accounts, ledger
from bot.storage.tables.people import audit, conversations, page_messages, policies, turns, users, visitors

PAGE = "web"
"""The one platform that keeps people, and what they said, by itself."""

OLDEST = (jobs.c.created_at, jobs.c.id)


def _are_of(table: sa.Table, workspace: str = "workspace", user: str = "user") -> tuple[Any, ...]:
    """The rows of a person, whose empty workspace stands for all of a platform's."""
    return (
        table.c.platform == bindparam("of_platform"),
        sa.or_(bindparam("of_workspace") == "", table.c[workspace] == bindparam("of_workspace")),
        table.c[user] == bindparam("of_user"),
    )


THEIR_JOBS = _are_of(jobs, "user_workspace")
THEIR_NAMES = _are_of(users, user="id")
THEIR_QUESTIONS = (*_are_of(pending), pending.c.kind != "erasure")

IN_PLACE = sa.select(conversations.c.id).where(
    conversations.c.platform == bindparam("of_platform"),
    sa.or_(bindparam("of_workspace") == "", conversations.c.workspace == bindparam("of_workspace")),
)
THEIR_TURNS = (turns.c.user == bindparam("who"), turns.c.conversation.in_(IN_PLACE))
THEIR_CONVERSATIONS = (conversations.c.starter == bindparam("who"), conversations.c.id.in_(IN_PLACE))

# A day's allowance has no workspace: it is one for each platform.
_THEIR_ACCOUNTS = (
    accounts.c.platform == bindparam("of_platform"),
    sa.or_(bindparam("of_workspace") == "", accounts.c.workspace.in_(["", bindparam("of_workspace")])),
    accounts.c.user == bindparam("of_user"),
)
_actor = audit.c.platform.concat(":").concat(audit.c.workspace).concat(":").concat(bindparam("of_user"))
_THEIR_ACTS = (
    audit.c.platform == bindparam("of_platform"),
    sa.or_(bindparam("of_workspace") == "", audit.c.workspace == bindparam("of_workspace")),
    audit.c.actor == _actor,
)

_EVERYTHING: Mapping[str, sa.Select[Any]] = {
    "seen": sa.select(users).where(*THEIR_NAMES),
    "jobs": sa.select(jobs).where(*THEIR_JOBS).order_by(*OLDEST),
    "outputs": sa.select(outputs).where(outputs.c.prediction.in_(sa.select(jobs.c.prediction).where(*THEIR_JOBS))),
    "said": sa.select(turns).where(*THEIR_TURNS).order_by(turns.c.created_at, turns.c.id),
    "conversations": sa.select(conversations).where(*THEIR_CONVERSATIONS).order_by(conversations.c.created_at),
    "waiting": sa.select(pending).where(*THEIR_QUESTIONS).order_by(pending.c.created_at),
    "limits": (
        sa.select(policies.c.platform, policies.c.workspace, policies.c.key, policies.c.value, policies.c.at)
        .where(*_are_of(policies, user="scope_id"), policies.c.scope == "user")
        .order_by(policies.c.workspace, policies.c.key)
    ),
    "accounts": sa.select(accounts).where(*_THEIR_ACCOUNTS).order_by(accounts.c.id),
    "ledger": (
        sa.select(
            ledger.c.account, ledger.c.kind, ledger.c.balance_delta_micros, ledger.c.held_delta_micros, ledger.c.job
        )
        .add_columns(ledger.c.at)
        .where(ledger.c.account.in_(sa.select(accounts.c.id).where(*_THEIR_ACCOUNTS)))
        .order_by(ledger.c.id)
    ),
    "acts": sa.select(audit).where(*_THEIR_ACTS).order_by(audit.c.at),
}
_ON_PAGE: Mapping[str, sa.Select[Any]] = {
    "page": (
        sa.select(page_messages)
        .where(page_messages.c.user == bindparam("of_user"))
        .order_by(page_messages.c.created_at)
    ),
    "invitation": sa.select(visitors).where(visitors.c.id == bindparam("of_user")),
}

_OURS = frozenset(
    {"owner", "epoch", "steps", "weight", "queue_time", "attempts", "path", "name_folded", "request_key", "reuse_key"}
)
"""Columns that say something of the bot's work and nothing of a person."""


async def everything_of(statements: Statements, person: PersonKey) -> dict[str, JSON]:
    """All rows about a person, by what they are. Who else had a hand in them is not in there."""
    questions = {**_EVERYTHING, **(_ON_PAGE if person.platform == PAGE else {})}
    found = {name: await statements.run(question, all_of(person)) for name, question in questions.items()}
    return {name: [_plain(_own(row._asdict())) for row in rows] for name, rows in found.items()}


def all_of(person: PersonKey) -> dict[str, str]:
    """What the conditions above want to know."""
    place = where(Workspace(person.platform, person.workspace))
    return {**place, "of_user": person.id, "who": f"{person.platform}:{person.id}"}


def where(place: Workspace | None) -> dict[str, str]:
    return {"of_platform": place.platform, "of_workspace": place.id} if place else {}


def _own(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row without what others said: a chat's prompt holds all that was said before. Their own words are options."""
    return {**row, "inputs": {}} if row.get("conversation") and "inputs" in row else row


def _plain(row: Mapping[str, Any]) -> JSON:
    """A row as JSON: times in ISO 8601, empty columns and our own bookkeeping left out."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if name not in _OURS and value not in ("", None, [], {})
    }
