"""Selects all rows of a person, and exports the rows as plain JSON."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from bot.core.json import JSON
from bot.core.people import Actor, PersonKey, Workspace, format_author
from bot.storage.connection import Row, Statements
from bot.storage.tables.columns import format_actor
from bot.storage.tables.jobs import jobs, outputs, pending
from bot.storage.tables.ledger import accounts, ledger
from bot.storage.tables.people import (
    IS_SAID_BY_PERSON,
    audit,
    conversations,
    feedback,
    page_messages,
    policies,
    presets,
    turns,
    users,
    visitors,
)

PAGE = "web"
"""The only platform with messages and people stored here; other platforms keep both on their own servers."""

OLDEST_FIRST = (jobs.c.created_at, jobs.c.id)


def _is_person(table: sa.Table, workspace: str = "workspace", user: str = "user") -> tuple[Any, ...]:
    """Build the condition for a person's rows. An empty workspace matches all workspaces of the platform."""
    return (
        table.c.platform == bindparam("of_platform"),
        sa.or_(bindparam("of_workspace") == "", table.c[workspace] == bindparam("of_workspace")),
        table.c[user] == bindparam("of_user"),
    )


IS_JOB_OF_PERSON = _is_person(jobs, "user_workspace")
IS_USER_OF_PERSON = _is_person(users, user="id")
# A running erasure is a pending row too, and must survive the erasure of the person's rows.
IS_PENDING_OF_PERSON = (*_is_person(pending), pending.c.kind != "erasure")

# Where ids are worldwide, the presets of a person have no workspace.
IS_PRESET_OF_PERSON = (
    presets.c.platform == bindparam("of_platform"),
    sa.or_(bindparam("of_workspace") == "", presets.c.workspace.in_(["", bindparam("of_workspace")])),
    presets.c.user == bindparam("of_user"),
)

CONVERSATIONS_IN_WORKSPACE = sa.select(conversations.c.id).where(
    conversations.c.platform == bindparam("of_platform"),
    sa.or_(bindparam("of_workspace") == "", conversations.c.workspace == bindparam("of_workspace")),
)
IS_VOTE_OF_PERSON = _is_person(feedback)
IS_TURN_OF_PERSON = (
    turns.c.user == bindparam("author"),
    sa.text(f"turns.{IS_SAID_BY_PERSON}"),
    turns.c.conversation.in_(CONVERSATIONS_IN_WORKSPACE),
)
IS_CONVERSATION_OF_PERSON = (
    conversations.c.starter == bindparam("author"),
    conversations.c.id.in_(CONVERSATIONS_IN_WORKSPACE),
)

# The daily wallet has no workspace: one for each person and platform.
_IS_ACCOUNT_OF_PERSON = (
    accounts.c.platform == bindparam("of_platform"),
    sa.or_(bindparam("of_workspace") == "", accounts.c.workspace.in_(["", bindparam("of_workspace")])),
    accounts.c.user == bindparam("of_user"),
)
_IS_AUDIT_OF_PERSON = (
    audit.c.actor.in_(bindparam("actors", expanding=True)),
    # A row about another workspace than the actor's own may name other people.
    sa.tuple_(audit.c.platform, audit.c.workspace, audit.c.actor).in_(bindparam("acts", expanding=True)),
)

_EXPORTED: Mapping[str, sa.Select[Any]] = {
    "seen": sa.select(users).where(*IS_USER_OF_PERSON),
    "jobs": sa.select(jobs).where(*IS_JOB_OF_PERSON).order_by(*OLDEST_FIRST),
    "outputs": sa.select(outputs).where(
        outputs.c.prediction.in_(sa.select(jobs.c.prediction).where(*IS_JOB_OF_PERSON))
    ),
    "said": sa.select(turns).where(*IS_TURN_OF_PERSON).order_by(turns.c.created_at, turns.c.id),
    "conversations": (sa.select(conversations).where(*IS_CONVERSATION_OF_PERSON).order_by(conversations.c.created_at)),
    "feedback": sa.select(feedback).where(*IS_VOTE_OF_PERSON).order_by(feedback.c.at, feedback.c.job),
    "waiting": sa.select(pending).where(*IS_PENDING_OF_PERSON).order_by(pending.c.created_at),
    "presets": (
        sa.select(presets.c.workspace, presets.c.name, presets.c.options, presets.c.at)
        .where(*IS_PRESET_OF_PERSON)
        .order_by(presets.c.workspace, presets.c.name)
    ),
    "limits": (
        # Without `by`: the moderator behind a limit is another person.
        sa.select(policies.c.platform, policies.c.workspace, policies.c.key, policies.c.value, policies.c.at)
        .where(*_is_person(policies, user="scope_id"), policies.c.scope == "user")
        .order_by(policies.c.workspace, policies.c.key)
    ),
    "accounts": sa.select(accounts).where(*_IS_ACCOUNT_OF_PERSON).order_by(accounts.c.id),
    "ledger": (
        sa.select(
            ledger.c.account,
            ledger.c.kind,
            ledger.c.balance_delta_micros,
            ledger.c.held_delta_micros,
            ledger.c.job,
            ledger.c.at,
        )
        .where(ledger.c.account.in_(sa.select(accounts.c.id).where(*_IS_ACCOUNT_OF_PERSON)))
        # Not by id alone: SQLite would read the whole ledger in the order of the ids.
        .order_by(ledger.c.at, ledger.c.id)
    ),
    "acts": sa.select(audit).where(*_IS_AUDIT_OF_PERSON).order_by(audit.c.at),
}
_EXPORTED_OF_PAGE: Mapping[str, sa.Select[Any]] = {
    "page": (
        sa.select(page_messages)
        .where(page_messages.c.user == bindparam("of_user"))
        .order_by(page_messages.c.created_at)
    ),
    "invitation": sa.select(visitors).where(visitors.c.id == bindparam("of_user")),
}

_INTERNAL_COLUMNS = frozenset(
    {"owner", "epoch", "steps", "weight", "queue_time", "attempts", "name_folded", "request_key", "reuse_key"}
)
"""Columns about the bot's own work; an export leaves these columns out."""


async def stream_person(statements: Statements, person: PersonKey) -> AsyncGenerator[tuple[str, list[JSON]]]:
    """Give all rows of a person as JSON, without words and names of other people: (subject, some rows) in turn.

    Each subject comes at least once, the first time without rows.
    """
    selects = {**_EXPORTED, **(_EXPORTED_OF_PAGE if person.platform == PAGE else {})}
    # The audit log names an actor with the workspace: one name for each workspace in which the person was seen.
    actors: list[Actor] = []
    for name, select in selects.items():
        yield name, []
        facts = {**bind_person(person), **(_bind_actors(actors) if name == "acts" else {})}
        async with aclosing(statements.stream(select, facts)) as portions:
            async for rows in portions:
                if name == "seen":
                    actors += [Actor(row.platform, row.workspace, row.id) for row in rows]
                yield name, [_row_to_json(row) for row in rows]


def bind_person(person: PersonKey) -> dict[str, str]:
    """Give the parameters of all conditions above."""
    workspace = bind_workspace(Workspace(person.platform, person.workspace))
    return {**workspace, "of_user": person.id, "author": format_author(person.platform, person.id)}


def _bind_actors(actors: Sequence[Actor]) -> dict[str, Any]:
    return {"actors": actors, "acts": [(actor.platform, actor.workspace, actor) for actor in actors]}


def bind_workspace(workspace: Workspace | None) -> dict[str, str]:
    """Give the parameters of a workspace, none for None."""
    return {"of_platform": workspace.platform, "of_workspace": workspace.id} if workspace else {}


_CONVERTERS: Mapping[type, Callable[[Any], JSON]] = {datetime: datetime.isoformat, Actor: format_actor}


def _row_to_json(row: Row) -> JSON:
    """Convert a row to JSON, with times in ISO 8601, without empty and internal columns and without words of others."""
    # An export has tens of thousands of rows: one dictionary for each row, and one comparison for most values.
    facts: dict[str, Any] = {}
    for name, value in zip(row._fields, row, strict=True):
        if (value or value == 0) and name not in _INTERNAL_COLUMNS:
            convert = _CONVERTERS.get(type(value))
            if (shown := convert(value) if convert else value) != "":
                facts[name] = shown
    if "conversation" in facts:
        # The inputs of a chat job hold the whole conversation; the person's own words are in the options.
        facts.pop("inputs", None)
    if "reply" in facts:
        facts["reply"] = _remove_file_contents(facts["reply"])
    return facts


def _remove_file_contents(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    # A message of the page may carry an earlier export, which would hold the one before: each would double the next.
    if not reply.get("files"):
        return reply
    files = [{name: value for name, value in file.items() if name != "text"} for file in reply["files"]]
    return {**reply, "files": files}
