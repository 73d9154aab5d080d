"""Forgetting: words out of rows whose time is up, or whose person says so. The ledger is never touched."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from bot.core.jobs import Job
from bot.core.json import JSON
from bot.core.people import PersonKey, Workspace
from bot.storage.connection import Statements
from bot.storage.job_rows import job_from_row
from bot.storage.personal_data import (
    IN_PLACE,
    OLDEST,
    PAGE,
    THEIR_CONVERSATIONS,
    THEIR_JOBS,
    THEIR_NAMES,
    THEIR_QUESTIONS,
    THEIR_TURNS,
    all_of,
    everything_of,
    where,
)
from bot.storage.tables.jobs import IS_WAITED_FOR, jobs, messages, outputs, pending
from bot.storage.tables.people import (
    audit,
    conversations,
    page_messages,
    policies,
    refused_words,
    turns,
    users,
    visitor_keys,
    workspaces,
)

_IS_OVER = sa.and_(jobs.c.forgotten_at.is_(None), sa.text(f"NOT {IS_WAITED_FOR}"))
_BEFORE = sa.select(jobs).where(_IS_OVER, jobs.c.created_at < bindparam("before")).order_by(*OLDEST)
_BEFORE_IN = _BEFORE.where(
    jobs.c.platform == bindparam("of_platform"), jobs.c.user_workspace == bindparam("of_workspace")
)
_OF_PERSON = sa.select(jobs).where(*THEIR_JOBS, _IS_OVER).order_by(*OLDEST)
_OPEN_OF_PERSON = sa.select(jobs).where(*THEIR_JOBS, sa.text(IS_WAITED_FOR)).order_by(*OLDEST)

_ids: sa.BindParameter[Any] = bindparam("ids", expanding=True)
_FORGET_JOBS = (
    sa.update(jobs)
    .where(jobs.c.id.in_(_ids))
    .values(
        options={}, inputs={}, roles=[], user_name="", locale="", error="", reuse_key="", forgotten_at=bindparam("at")
    )
)
_FORGET_MESSAGES = sa.delete(messages).where(messages.c.job.in_(_ids))
# What was sent to a chat model has what others said before in it. What is left is no empty row: it can be asked again.
_talks: sa.BindParameter[Any] = bindparam("talks", expanding=True)
_FORGET_QUOTES = sa.update(jobs).where(jobs.c.conversation.in_(_talks), _IS_OVER).values(inputs={"prompt": ""})
_FORGET_TURNS = sa.delete(turns).where(turns.c.job.in_(_ids), sa.text("job <> ''"))

_predictions: sa.BindParameter[Any] = bindparam("predictions", expanding=True)
# Jobs that reuse a result share its run: the outputs are deleted with the last of these jobs.
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

_old_turns = sa.select(turns.c.id).where(turns.c.created_at < bindparam("before")).limit(bindparam("most"))
_EMPTY = ~sa.exists().where(turns.c.conversation == conversations.c.id)
_OLD_PAGE = sa.delete(page_messages).where(
    page_messages.c.id.in_(
        sa.select(page_messages.c.id).where(page_messages.c.updated_at < bindparam("before")).limit(bindparam("most"))
    )
)

_REMOVED = sa.select(workspaces.c.platform, workspaces.c.id).where(workspaces.c.removed_at < bindparam("before"))


class ErasureStore:
    """Takes words out of rows, and rows away. Each call is small enough for one transaction."""

    def __init__(self, statements: Statements) -> None:
        self._statements, self._run = statements, statements.run

    async def list_jobs_before(self, before: datetime, limit: int, place: Workspace | None = None) -> list[Job]:
        """Jobs that are over, asked before then and not forgotten yet, oldest first."""
        statement = _BEFORE if place is None else _BEFORE_IN
        rows = await self._run(statement.limit(limit), {"before": before, **where(place)})
        return [job_from_row(row) for row in rows]

    async def list_jobs(self, person: PersonKey, limit: int) -> list[Job]:
        """A person's jobs that are over and not forgotten yet, oldest first."""
        return [job_from_row(row) for row in await self._run(_OF_PERSON.limit(limit), all_of(person))]

    async def list_open_jobs(self, person: PersonKey) -> list[Job]:
        """A person's jobs that somebody still waits for."""
        return [job_from_row(row) for row in await self._run(_OPEN_OF_PERSON, all_of(person))]

    async def erase_jobs(self, jobs: Collection[Job], at: datetime) -> set[str]:
        """Take the words out of these jobs, with their turns, messages and outputs; gives files nothing shows now."""
        ids = {"ids": [job.id for job in jobs]}
        if not jobs:
            return set()
        await self._run(_FORGET_JOBS, {**ids, "at": at})
        await self._run(_FORGET_MESSAGES, ids)
        await self._run(_FORGET_TURNS, ids)
        await self._run(_FORGET_QUOTES, {"talks": list({job.conversation for job in jobs} - {""})})
        given = {sha256 for job in jobs for sha256 in files_in([job.options, job.inputs])}
        files = given | await self._forget_outputs({job.prediction for job in jobs} - {""})
        shown = {row.sha256 for row in await self._run(_STILL_SHOWN, {"files": list(files)})}
        return files - shown - await self.list_needed_files()

    async def _forget_outputs(self, predictions: set[str]) -> set[str]:
        shared = {row.prediction for row in await self._run(_SHARED, {"predictions": list(predictions)})}
        gone = {"predictions": list(predictions - shared)}
        files = {str(row.sha256) for row in await self._run(_FILES_OF, gone)}
        await self._run(_FORGET_OUTPUTS, gone)
        return files

    async def delete_outputs(self, sha256s: Collection[str]) -> None:
        """Take away the outputs that are these files."""
        await self._run(_FORGET_FILES, {"files": list(sha256s)})

    async def list_needed_files(self) -> set[str]:
        """Files that an open job, or an ask that waits for its price to be agreed to, starts from or has made."""
        needed = {sha256 for row in await self._run(_NEEDED) for sha256 in files_in([row.options, row.inputs])}
        needed |= {sha256 for row in await self._run(_WAITING) for sha256 in files_in([row.facts])}
        return needed | {str(row.sha256) for row in await self._run(_NEEDED_OUTPUTS)} - {""}

    async def delete_turns_before(self, before: datetime, limit: int, place: Workspace | None = None) -> int:
        """Delete turns said before then, and conversations begun before then that have none left; gives how many."""
        facts = {"before": before, "most": limit, **where(place)}
        here = turns.c.conversation.in_(IN_PLACE) if place else sa.true()
        old = _old_turns.where(here)
        gone = (await self._run(sa.delete(turns).where(turns.c.id.in_(old)), facts)).rowcount
        is_here = conversations.c.id.in_(IN_PLACE) if place else sa.true()
        empty = sa.delete(conversations).where(conversations.c.created_at < bindparam("before"), _EMPTY, is_here)
        await self._run(empty, {name: value for name, value in facts.items() if name != "most"})
        return gone

    async def delete_page_messages_before(self, before: datetime, limit: int, place: Workspace | None = None) -> int:
        """Delete messages of the page unchanged since `before`; return the number, 0 for other platforms."""
        if place is not None and place.platform != PAGE:
            return 0
        return (await self._run(_OLD_PAGE, {"before": before, "most": limit})).rowcount

    async def erase_person(self, person: PersonKey) -> None:
        """Delete what a person said, their names and their messages on the page. A block stays, without a name."""
        whose = all_of(person)
        await self._run(sa.delete(turns).where(*THEIR_TURNS), whose)
        await self._run(sa.delete(conversations).where(*THEIR_CONVERSATIONS, _EMPTY), whose)
        await self._run(sa.update(conversations).where(*THEIR_CONVERSATIONS).values(system="", starter=""), whose)
        await self._run(sa.delete(users).where(*THEIR_NAMES, users.c.blocked_until.is_(None)), whose)
        nameless = {"name": "", "name_folded": "", "locale": "", "seen_at": None}
        await self._run(sa.update(users).where(*THEIR_NAMES).values(nameless), whose)
        await self._run(sa.delete(pending).where(*THEIR_QUESTIONS), whose)
        if person.platform == PAGE:
            await self._run(sa.delete(page_messages).where(page_messages.c.user == bindparam("of_user")), whose)

    async def list_removed_workspaces(self, before: datetime) -> list[Workspace]:
        """Workspaces that the bot was removed from before then."""
        return [Workspace(row.platform, row.id) for row in await self._run(_REMOVED, {"before": before})]

    async def erase_workspace(self, place: Workspace) -> None:
        """Delete what was set and said in a workspace, and who was seen there."""
        for table in (policies, refused_words, users, conversations, audit):
            here = (table.c.platform == bindparam("of_platform"), table.c.workspace == bindparam("of_workspace"))
            await self._run(sa.delete(table).where(*here), where(place))
        here = (workspaces.c.platform == bindparam("of_platform"), workspaces.c.id == bindparam("of_workspace"))
        await self._run(sa.delete(workspaces).where(*here), where(place))

    async def delete_expired_keys(self, before: datetime) -> int:
        """Delete invitations to the page that ran out before then; gives how many."""
        return (await self._run(sa.delete(visitor_keys).where(visitor_keys.c.expires_at < before))).rowcount

    async def export_person(self, person: PersonKey) -> dict[str, JSON]:
        """All rows about a person, by table, as plain JSON."""
        return await everything_of(self._statements, person)


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
