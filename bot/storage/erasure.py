"""Erases words from old rows and from the rows of a person or workspace. The ledger is never touched."""

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
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
    CONVERSATIONS_IN_WORKSPACE,
    IS_CONVERSATION_OF_PERSON,
    IS_JOB_OF_PERSON,
    IS_PENDING_OF_PERSON,
    IS_PRESET_OF_PERSON,
    IS_TURN_OF_PERSON,
    IS_USER_OF_PERSON,
    IS_VOTE_OF_PERSON,
    OLDEST_FIRST,
    PAGE,
    bind_person,
    bind_workspace,
    stream_person,
)
from bot.storage.tables.jobs import IS_OF_CONVERSATION, IS_UNFINISHED, jobs, messages, outputs, pending
from bot.storage.tables.people import (
    audit,
    conversations,
    feedback,
    page_messages,
    policies,
    presets,
    refused_words,
    turns,
    users,
    visitor_keys,
    webhooks,
    workspaces,
)

_is_erasable = sa.and_(jobs.c.erased_at.is_(None), sa.text(f"NOT {IS_UNFINISHED}"))
_SELECT_JOBS_BEFORE = (
    sa.select(jobs).where(_is_erasable, jobs.c.created_at < bindparam("before")).order_by(*OLDEST_FIRST)
)
_SELECT_JOBS_BEFORE_IN_WORKSPACE = _SELECT_JOBS_BEFORE.where(
    jobs.c.platform == bindparam("of_platform"), jobs.c.user_workspace == bindparam("of_workspace")
)
_SELECT_JOBS_OF_PERSON = sa.select(jobs).where(*IS_JOB_OF_PERSON, _is_erasable).order_by(*OLDEST_FIRST)
_SELECT_UNFINISHED_OF_PERSON = sa.select(jobs).where(*IS_JOB_OF_PERSON, sa.text(IS_UNFINISHED)).order_by(*OLDEST_FIRST)

_ids: sa.BindParameter[Any] = bindparam("ids", expanding=True)
_ERASE_JOBS = (
    sa.update(jobs)
    .where(jobs.c.id.in_(_ids))
    .values(options={}, inputs={}, roles=[], user_name="", locale="", error="", reuse_key="", erased_at=bindparam("at"))
)
_DELETE_MESSAGES = sa.delete(messages).where(messages.c.job.in_(_ids))
_DELETE_JOB_TURNS = sa.delete(turns).where(turns.c.job.in_(_ids), sa.text("job <> ''"))
_DELETE_VOTES = sa.delete(feedback).where(feedback.c.job.in_(_ids))
# The prompt of a chat job quotes earlier turns of other people. An empty prompt stays: "Again" still works on the job.
_conversations: sa.BindParameter[Any] = bindparam("conversations", expanding=True)
_ERASE_QUOTES = (
    sa.update(jobs)
    .where(jobs.c.conversation.in_(_conversations), sa.text(IS_OF_CONVERSATION), _is_erasable)
    .values(inputs={"prompt": ""})
)

_predictions: sa.BindParameter[Any] = bindparam("predictions", expanding=True)
# Jobs that reuse a result share its prediction: the outputs are deleted with the last of these jobs.
_SELECT_SHARED = (
    sa.select(jobs.c.prediction).distinct().where(jobs.c.prediction.in_(_predictions), jobs.c.erased_at.is_(None))
)
_SELECT_FILES = (
    sa.select(outputs.c.sha256).distinct().where(outputs.c.prediction.in_(_predictions), outputs.c.sha256 != "")
)
_DELETE_OUTPUTS = sa.delete(outputs).where(outputs.c.prediction.in_(_predictions))
_MAX_VALUES = 1_000
_files: sa.BindParameter[Any] = bindparam("files", expanding=True)
_SELECT_FILES_STILL_SHOWN = sa.select(outputs.c.sha256).distinct().where(outputs.c.sha256.in_(_files))
_DELETE_OUTPUTS_OF_FILES = sa.delete(outputs).where(outputs.c.sha256.in_(_files))
_SELECT_UNFINISHED = sa.select(jobs.c.options, jobs.c.inputs, jobs.c.prediction).where(sa.text(IS_UNFINISHED))
_SELECT_PENDING_FACTS = sa.select(pending.c.facts)

# PostgreSQL has no DELETE … LIMIT, and reads all turns for DELETE … IN (SELECT …): the ids are read first.
_old_turns = (
    sa.select(turns.c.id)
    .where(turns.c.created_at < bindparam("before"))
    .order_by(turns.c.created_at)  # without an order, PostgreSQL reads all turns until enough are old
    .limit(bindparam("most"))
)
# A look for the first turn of each conversation, in the index: for NOT EXISTS, PostgreSQL reads all turns.
_DELETE_TURNS = sa.delete(turns).where(turns.c.id.in_(_ids))
_is_empty = (
    sa.select(turns.c.id)
    .where(turns.c.conversation == conversations.c.id)
    .order_by(turns.c.created_at, turns.c.id)
    .limit(1)
    .scalar_subquery()
    .is_(None)
)
_DELETE_PAGE_MESSAGES = sa.delete(page_messages).where(
    page_messages.c.id.in_(
        sa.select(page_messages.c.id).where(page_messages.c.updated_at < bindparam("before")).limit(bindparam("most"))
    )
)

_SELECT_REMOVED = sa.select(workspaces.c.platform, workspaces.c.id).where(workspaces.c.removed_at < bindparam("before"))


class ErasureStore:
    """Erases and deletes rows. Each call is small enough for one transaction."""

    def __init__(self, statements: Statements) -> None:
        self._statements, self._run = statements, statements.run

    async def list_jobs_before(self, before: datetime, limit: int, workspace: Workspace | None = None) -> list[Job]:
        """List the finished, not yet erased jobs created before a time, oldest first."""
        statement = _SELECT_JOBS_BEFORE if workspace is None else _SELECT_JOBS_BEFORE_IN_WORKSPACE
        rows = await self._run(statement.limit(limit), {"before": before, **bind_workspace(workspace)})
        return [job_from_row(row) for row in rows]

    async def list_jobs(self, person: PersonKey, limit: int) -> list[Job]:
        """List the finished, not yet erased jobs of a person, oldest first."""
        rows = await self._run(_SELECT_JOBS_OF_PERSON.limit(limit), bind_person(person))
        return [job_from_row(row) for row in rows]

    async def list_open_jobs(self, person: PersonKey) -> list[Job]:
        """List the unfinished jobs of a person, oldest first."""
        return [job_from_row(row) for row in await self._run(_SELECT_UNFINISHED_OF_PERSON, bind_person(person))]

    async def erase_jobs(self, jobs: Collection[Job], at: datetime) -> set[str]:
        """Erase the words of jobs, and delete their turns, messages, outputs and votes. Amounts stay.

        Returns the SHA-256 of each file no longer shown or needed: the caller deletes these files.
        """
        if not jobs:
            return set()
        ids = {"ids": [job.id for job in jobs]}
        await self._run(_ERASE_JOBS, {**ids, "at": at})
        await self._run(_DELETE_MESSAGES, ids)
        await self._run(_DELETE_JOB_TURNS, ids)
        await self._run(_DELETE_VOTES, ids)
        if conversations := list({job.conversation for job in jobs} - {""}):
            await self._run(_ERASE_QUOTES, {"conversations": conversations})
        given = {sha256 for job in jobs for sha256 in find_sha256s([job.options, job.inputs]) - _list_borrowed(job)}
        return await self._list_unused(given | await self._delete_outputs({job.prediction for job in jobs} - {""}))

    async def _list_unused(self, files: set[str]) -> set[str]:
        """Return the files that no output shows and no unfinished job needs."""
        shown = {row.sha256 for row in await self._run(_SELECT_FILES_STILL_SHOWN, {"files": list(files)})}
        return files - shown - await self.list_needed_files()

    async def _delete_outputs(self, predictions: set[str]) -> set[str]:
        """Delete the outputs of predictions without other jobs. Returns the outputs' files."""
        shared = {row.prediction for row in await self._run(_SELECT_SHARED, {"predictions": list(predictions)})}
        unshared = {"predictions": list(predictions - shared)}
        files = {str(row.sha256) for row in await self._run(_SELECT_FILES, unshared)}
        await self._run(_DELETE_OUTPUTS, unshared)
        return files

    async def delete_outputs(self, sha256s: Collection[str]) -> None:
        """Delete the outputs of files."""
        await self._run(_DELETE_OUTPUTS_OF_FILES, {"files": list(sha256s)})

    async def list_needed_files(self) -> set[str]:
        """List the files used or made by unfinished jobs and by requests waiting for a confirmation."""
        unfinished = list(await self._run(_SELECT_UNFINISHED))
        needed = {sha256 for row in unfinished for sha256 in find_sha256s([row.options, row.inputs])}
        needed |= {sha256 for row in await self._run(_SELECT_PENDING_FACTS) for sha256 in find_sha256s([row.facts])}
        predictions = sorted({row.prediction for row in unfinished} - {""})
        # Not in one join: PostgreSQL would read all outputs. Both engines accept 32,000 values in a statement.
        for start in range(0, len(predictions), _MAX_VALUES):
            portion = {"predictions": predictions[start : start + _MAX_VALUES]}
            needed |= {str(row.sha256) for row in await self._run(_SELECT_FILES, portion)}
        return needed

    async def delete_turns_before(self, before: datetime, limit: int, workspace: Workspace | None = None) -> int:
        """Delete turns older than a time, then conversations as old and without turns. Returns the number of turns."""
        facts = {"before": before, **bind_workspace(workspace)}
        old = _old_turns.where(turns.c.conversation.in_(CONVERSATIONS_IN_WORKSPACE) if workspace else sa.true())
        ids = [row.id for row in await self._run(old, {**facts, "most": limit})]
        await self._run(_DELETE_TURNS, {"ids": ids})
        is_here = conversations.c.id.in_(CONVERSATIONS_IN_WORKSPACE) if workspace else sa.true()
        is_old = conversations.c.created_at < bindparam("before")
        await self._run(sa.delete(conversations).where(is_old, _is_empty, is_here), facts)
        return len(ids)

    async def delete_page_messages_before(
        self, before: datetime, limit: int, workspace: Workspace | None = None
    ) -> int:
        """Delete messages of the web page unchanged since a time. Returns the number: 0 for other platforms."""
        if workspace is not None and workspace.platform != PAGE:
            return 0
        return (await self._run(_DELETE_PAGE_MESSAGES, {"before": before, "most": limit})).rowcount

    async def erase_person(self, person: PersonKey) -> set[str]:
        """Delete a person's turns, votes, names, presets, pending actions and page messages. A nameless block stays.

        Returns the SHA-256s of pictures that a conversation took from the person's messages, for the caller to delete.
        """
        whose = bind_person(person)
        quoted = sa.select(turns.c.files).where(*IS_TURN_OF_PERSON, turns.c.platform_message != "")
        files = {str(sha256) for row in await self._run(quoted, whose) for sha256 in row.files}
        await self._run(sa.delete(turns).where(*IS_TURN_OF_PERSON), whose)
        await self._run(sa.delete(conversations).where(*IS_CONVERSATION_OF_PERSON, _is_empty), whose)
        # A conversation with turns of other people stays, without the starter's words.
        erased = sa.update(conversations).where(*IS_CONVERSATION_OF_PERSON).values(system="", starter="")
        await self._run(erased, whose)
        await self._run(sa.delete(users).where(*IS_USER_OF_PERSON, users.c.blocked_until.is_(None)), whose)
        nameless = {"name": "", "name_folded": "", "locale": "", "seen_at": None}
        await self._run(sa.update(users).where(*IS_USER_OF_PERSON).values(nameless), whose)
        await self._run(sa.delete(feedback).where(*IS_VOTE_OF_PERSON), whose)
        await self._run(sa.delete(pending).where(*IS_PENDING_OF_PERSON), whose)
        await self._run(sa.delete(presets).where(*IS_PRESET_OF_PERSON), whose)
        if person.platform == PAGE:
            await self._run(sa.delete(page_messages).where(page_messages.c.user == bindparam("of_user")), whose)
        return await self._list_unused(files)

    async def list_removed_workspaces(self, before: datetime) -> list[Workspace]:
        """List the workspaces that removed the bot before a time."""
        return [Workspace(row.platform, row.id) for row in await self._run(_SELECT_REMOVED, {"before": before})]

    async def erase_workspace(self, workspace: Workspace) -> None:
        """Delete a workspace's policies, presets, refused words, users, conversations, votes, webhook and audit log."""
        facts = bind_workspace(workspace)
        for table in (policies, presets, refused_words, users, conversations, feedback, webhooks, audit):
            is_here = (table.c.platform == bindparam("of_platform"), table.c.workspace == bindparam("of_workspace"))
            await self._run(sa.delete(table).where(*is_here), facts)
        is_it = (workspaces.c.platform == bindparam("of_platform"), workspaces.c.id == bindparam("of_workspace"))
        await self._run(sa.delete(workspaces).where(*is_it), facts)

    async def delete_expired_keys(self, before: datetime) -> int:
        """Delete invitations to the web page expired before a time. Returns the number of invitations."""
        return (await self._run(sa.delete(visitor_keys).where(visitor_keys.c.expires_at < before))).rowcount

    def stream_person(self, person: PersonKey) -> AsyncGenerator[tuple[str, list[JSON]]]:
        """Give all rows of a person as JSON: (subject, some rows) in turn."""
        return stream_person(self._statements, person)


def _list_borrowed(job: Job) -> set[str]:
    """Return the files among a chat's inputs that belong to earlier requests of the conversation."""
    seen = job.options.get("seen")
    return set(map(str, seen)) if isinstance(seen, list) else set()


def find_sha256s(values: Iterable[JSON | Mapping[str, JSON]]) -> set[str]:
    """Find the SHA-256 of each file named by `{"sha256": …}` at any depth."""
    found: set[str] = set()
    for value in values:
        if isinstance(value, Mapping):
            found |= {str(value["sha256"])} if value.get("sha256") else set()
            found |= find_sha256s(value.values())
        elif isinstance(value, list):
            found |= find_sha256s(value)
    return found
