"""Forgetting: words out of rows whose time is up, or whose person says so. The ledger is never touched."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from bot.core.forgetting import Person, Place
from bot.core.jobs import Job
from bot.core.json import JSON
from bot.storage.jobs import job_of
from bot.storage.statements import Statements
from bot.storage.tables.moderation import audit, refused_words
from bot.storage.tables.people import policies, users, visitor_keys, workspaces
from bot.storage.tables.runs import outputs
from bot.storage.tables.talk import conversations, page_messages, turns
from bot.storage.tables.work import IS_WAITED_FOR, jobs, messages, pending

PAGE = "web"

_IS_OVER = sa.and_(jobs.c.forgotten_at.is_(None), sa.text(f"NOT {IS_WAITED_FOR}"))
_OLDEST = (jobs.c.created_at, jobs.c.id)
_BEFORE = sa.select(jobs).where(_IS_OVER, jobs.c.created_at < bindparam("before")).order_by(*_OLDEST)
_BEFORE_IN = _BEFORE.where(
    jobs.c.platform == bindparam("of_platform"), jobs.c.user_workspace == bindparam("of_workspace")
)
_IS_THEIRS = (
    jobs.c.platform == bindparam("of_platform"),
    sa.or_(bindparam("of_workspace") == "", jobs.c.user_workspace == bindparam("of_workspace")),
    jobs.c.user == bindparam("of_user"),
)
_OF_PERSON = sa.select(jobs).where(*_IS_THEIRS, _IS_OVER).order_by(*_OLDEST)
_OPEN_OF_PERSON = sa.select(jobs).where(*_IS_THEIRS, sa.text(IS_WAITED_FOR)).order_by(*_OLDEST)

_ids: sa.BindParameter[Any] = bindparam("ids", expanding=True)
_FORGET_JOBS = (
    sa.update(jobs)
    .where(jobs.c.id.in_(_ids))
    .values(
        options={}, inputs={}, roles=[], user_name="", locale="", error="", share_key="", forgotten_at=bindparam("at")
    )
)
_FORGET_MESSAGES = sa.delete(messages).where(messages.c.job.in_(_ids))
_FORGET_TURNS = sa.delete(turns).where(turns.c.job.in_(_ids), sa.text("job <> ''"))

_predictions: sa.BindParameter[Any] = bindparam("predictions", expanding=True)
# Several jobs may share one run: its outputs go with the last of them.
_SHARED = (
    sa.select(jobs.c.prediction).distinct().where(jobs.c.prediction.in_(_predictions), jobs.c.forgotten_at.is_(None))
)
_FILES_OF = sa.select(outputs.c.sha256).distinct().where(outputs.c.prediction.in_(_predictions), outputs.c.sha256 != "")
_FORGET_OUTPUTS = sa.delete(outputs).where(outputs.c.prediction.in_(_predictions))
_files: sa.BindParameter[Any] = bindparam("files", expanding=True)
_STILL_SHOWN = sa.select(outputs.c.sha256).distinct().where(outputs.c.sha256.in_(_files))
_FORGET_FILES = sa.delete(outputs).where(outputs.c.sha256.in_(_files))
_NEEDED = sa.select(jobs.c.options, jobs.c.inputs).where(sa.text(IS_WAITED_FOR))
_NEEDED_OUTPUTS = (
    sa.select(outputs.c.sha256)
    .join_from(outputs, jobs, jobs.c.prediction == outputs.c.prediction)
    .where(sa.text(IS_WAITED_FOR))
)
_WAITING = sa.select(pending.c.facts)

_in_place = sa.select(conversations.c.id).where(
    conversations.c.platform == bindparam("of_platform"),
    sa.or_(bindparam("of_workspace") == "", conversations.c.workspace == bindparam("of_workspace")),
)
_old_turns = sa.select(turns.c.id).where(turns.c.created_at < bindparam("before")).limit(bindparam("most"))
_EMPTY = ~sa.exists().where(turns.c.conversation == conversations.c.id)
_OLD_PAGE = sa.delete(page_messages).where(
    page_messages.c.id.in_(
        sa.select(page_messages.c.id).where(page_messages.c.updated_at < bindparam("before")).limit(bindparam("most"))
    )
)

_IS_USER = (
    users.c.platform == bindparam("of_platform"),
    sa.or_(bindparam("of_workspace") == "", users.c.workspace == bindparam("of_workspace")),
    users.c.id == bindparam("of_user"),
)
_REMOVED = sa.select(workspaces.c.platform, workspaces.c.id).where(workspaces.c.removed_at < bindparam("before"))


class SqlForgettingStore:
    """Implements `core.forgetting.ForgettingStore`."""

    def __init__(self, statements: Statements) -> None:
        self._run = statements.run

    async def jobs_before(self, before: datetime, limit: int, place: Place | None = None) -> list[Job]:
        statement = _BEFORE if place is None else _BEFORE_IN
        rows = await self._run(statement.limit(limit), {"before": before, **_where(place)})
        return [job_of(row) for row in rows]

    async def jobs_of(self, person: Person, limit: int) -> list[Job]:
        return [job_of(row) for row in await self._run(_OF_PERSON.limit(limit), _whose(person))]

    async def open_jobs_of(self, person: Person) -> list[Job]:
        return [job_of(row) for row in await self._run(_OPEN_OF_PERSON, _whose(person))]

    async def forget_jobs(self, jobs: Collection[Job], at: datetime) -> set[str]:
        ids = {"ids": [job.id for job in jobs]}
        if not jobs:
            return set()
        await self._run(_FORGET_JOBS, {**ids, "at": at})
        await self._run(_FORGET_MESSAGES, ids)
        await self._run(_FORGET_TURNS, ids)
        given = {sha256 for job in jobs for sha256 in files_in([job.options, job.inputs])}
        files = given | await self._forget_outputs({job.prediction for job in jobs} - {""})
        shown = {row.sha256 for row in await self._run(_STILL_SHOWN, {"files": list(files)})}
        return files - shown - await self.needed_files()

    async def _forget_outputs(self, predictions: set[str]) -> set[str]:
        shared = {row.prediction for row in await self._run(_SHARED, {"predictions": list(predictions)})}
        gone = {"predictions": list(predictions - shared)}
        files = {str(row.sha256) for row in await self._run(_FILES_OF, gone)}
        await self._run(_FORGET_OUTPUTS, gone)
        return files

    async def forget_files(self, sha256s: Collection[str]) -> None:
        await self._run(_FORGET_FILES, {"files": list(sha256s)})

    async def needed_files(self) -> set[str]:
        needed = {sha256 for row in await self._run(_NEEDED) for sha256 in files_in([row.options, row.inputs])}
        needed |= {sha256 for row in await self._run(_WAITING) for sha256 in files_in([row.facts])}
        return needed | {str(row.sha256) for row in await self._run(_NEEDED_OUTPUTS)} - {""}

    async def forget_turns(self, before: datetime, limit: int, place: Place | None = None) -> int:
        facts = {"before": before, "most": limit, **_where(place)}
        here = turns.c.conversation.in_(_in_place) if place else sa.true()
        old = _old_turns.where(here)
        gone = (await self._run(sa.delete(turns).where(turns.c.id.in_(old)), facts)).rowcount
        is_here = conversations.c.id.in_(_in_place) if place else sa.true()
        empty = sa.delete(conversations).where(conversations.c.created_at < bindparam("before"), _EMPTY, is_here)
        await self._run(empty, {name: value for name, value in facts.items() if name != "most"})
        return gone

    async def forget_page_messages(self, before: datetime, limit: int) -> int:
        return (await self._run(_OLD_PAGE, {"before": before, "most": limit})).rowcount

    async def forget_person(self, person: Person) -> None:
        whose = _whose(person)
        who = {**_where(Place(person.platform, person.workspace)), "who": f"{person.platform}:{person.id}"}
        is_starter = sa.and_(conversations.c.starter == bindparam("who"), conversations.c.id.in_(_in_place))
        await self._run(
            sa.delete(turns).where(turns.c.user == bindparam("who"), turns.c.conversation.in_(_in_place)), who
        )
        await self._run(sa.delete(conversations).where(is_starter, _EMPTY), who)
        await self._run(sa.update(conversations).where(is_starter).values(system="", starter=""), who)
        await self._run(sa.delete(users).where(*_IS_USER, users.c.blocked_until.is_(None)), whose)
        nameless = {"name": "", "name_folded": "", "locale": "", "seen_at": None}
        await self._run(sa.update(users).where(*_IS_USER).values(nameless), whose)
        await self._run(
            sa.delete(pending).where(
                pending.c.platform == bindparam("of_platform"),
                sa.or_(bindparam("of_workspace") == "", pending.c.workspace == bindparam("of_workspace")),
                pending.c.user == bindparam("of_user"),
                pending.c.kind != "erasure",
            ),
            whose,
        )
        if person.platform == PAGE:
            await self._run(sa.delete(page_messages).where(page_messages.c.user == bindparam("of_user")), whose)

    async def removed_before(self, before: datetime) -> list[Place]:
        return [Place(row.platform, row.id) for row in await self._run(_REMOVED, {"before": before})]

    async def forget_workspace(self, place: Place) -> None:
        for table in (policies, refused_words, users, conversations, audit):
            here = (table.c.platform == bindparam("of_platform"), table.c.workspace == bindparam("of_workspace"))
            await self._run(sa.delete(table).where(*here), _where(place))
        here = (workspaces.c.platform == bindparam("of_platform"), workspaces.c.id == bindparam("of_workspace"))
        await self._run(sa.delete(workspaces).where(*here), _where(place))

    async def keys_expired(self, before: datetime) -> int:
        return (await self._run(sa.delete(visitor_keys).where(visitor_keys.c.expires_at < before))).rowcount

    async def everything_of(self, person: Person) -> dict[str, JSON]:
        who = {**_where(Place(person.platform, person.workspace)), "who": f"{person.platform}:{person.id}"}
        whose = _whose(person)
        theirs = sa.select(jobs.c.prediction).where(*_IS_THEIRS)
        of_turns = sa.select(turns).where(turns.c.user == bindparam("who"), turns.c.conversation.in_(_in_place))
        found = {
            "seen": await self._run(sa.select(users).where(*_IS_USER), whose),
            "jobs": await self._run(sa.select(jobs).where(*_IS_THEIRS).order_by(*_OLDEST), whose),
            "outputs": await self._run(sa.select(outputs).where(outputs.c.prediction.in_(theirs)), whose),
            "said": await self._run(of_turns.order_by(turns.c.created_at, turns.c.id), who),
        }
        if person.platform == PAGE:
            on_page = sa.select(page_messages).where(page_messages.c.user == bindparam("of_user"))
            found["page"] = await self._run(on_page.order_by(page_messages.c.created_at), whose)
        return {name: [_plain(row._asdict()) for row in rows] for name, rows in found.items()}


def files_in(values: Iterable[JSON | Mapping[str, JSON]]) -> set[str]:
    """The SHA-256s that rows name, wherever in them: `{"sha256": …}`."""
    found: set[str] = set()
    for value in values:
        if isinstance(value, Mapping):
            found |= {str(value["sha256"])} if value.get("sha256") else set()
            found |= files_in(value.values())
        elif isinstance(value, list):
            found |= files_in(value)
    return found


_OURS = frozenset(
    {"owner", "epoch", "steps", "weight", "queue_turn", "attempts", "path", "name_folded", "request_key", "share_key"}
)
"""Columns that say something of the bot's work and nothing of a person."""


def _plain(row: Mapping[str, Any]) -> JSON:
    """A row as JSON: times in ISO 8601, empty columns and our own bookkeeping left out."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if name not in _OURS and value not in ("", None, [], {})
    }


def _whose(person: Person) -> dict[str, str]:
    return {"of_platform": person.platform, "of_workspace": person.workspace, "of_user": person.id}


def _where(place: Place | None) -> dict[str, str]:
    return {"of_platform": place.platform, "of_workspace": place.workspace} if place else {}
