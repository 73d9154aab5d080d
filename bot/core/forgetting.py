"""What the trunk asks of a database about data that is to be forgotten, because its time is up or its person says so.

Amounts stay: the ledger is never touched, and a forgotten job keeps what it cost, without a word of what was asked.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.core.jobs import Job
from bot.core.json import JSON


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as one platform knows them. An empty workspace stands for all of that platform's."""

    platform: str
    workspace: str
    id: str


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace, as what is forgotten sooner than elsewhere hangs on it."""

    platform: str
    workspace: str


class ForgettingStore(Protocol):
    """Takes words out of rows, and rows away. Each call is small enough for one transaction."""

    async def jobs_before(self, before: datetime, limit: int, place: Place | None = None) -> list[Job]:
        """Jobs that are over, asked before then and not forgotten yet, oldest first."""
        ...

    async def jobs_of(self, person: Person, limit: int) -> list[Job]:
        """A person's jobs that are over and not forgotten yet, oldest first."""
        ...

    async def open_jobs_of(self, person: Person) -> list[Job]:
        """A person's jobs that somebody still waits for."""
        ...

    async def forget_jobs(self, jobs: Collection[Job], at: datetime) -> set[str]:
        """Take the words out of these jobs, with their turns, messages and outputs; gives files nothing shows now."""
        ...

    async def forget_files(self, sha256s: Collection[str]) -> None:
        """Take away the outputs that are these files."""
        ...

    async def needed_files(self) -> set[str]:
        """Files that an open job, or an ask that waits for its price to be agreed to, starts from or has made."""
        ...

    async def forget_turns(self, before: datetime, limit: int, place: Place | None = None) -> int:
        """Delete turns said before then, and conversations begun before then that have none left; gives how many."""
        ...

    async def forget_page_messages(self, before: datetime, limit: int) -> int:
        """Delete messages of the web page that did not change since; gives how many."""
        ...

    async def forget_person(self, person: Person) -> None:
        """Delete what a person said, their names and their messages on the page. A block stays, without a name."""
        ...

    async def removed_before(self, before: datetime) -> list[Place]:
        """Workspaces that the bot was removed from before then."""
        ...

    async def forget_workspace(self, place: Place) -> None:
        """Delete what was set and said in a workspace, and who was seen there."""
        ...

    async def keys_expired(self, before: datetime) -> int:
        """Delete invitations to the page that ran out before then; gives how many."""
        ...

    async def everything_of(self, person: Person) -> dict[str, JSON]:
        """All rows about a person, by table, as plain JSON."""
        ...
