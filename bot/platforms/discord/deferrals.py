"""Answers the interactions of a process that died between "is thinking" and the commit of the ask.

Each deferral is written to a file of its process before Discord hears about the deferral. The database is no place for
this record: an ask is deferred when the database is slow.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from bot.core.clock import Clock
from bot.core.platform import MessageLost
from bot.core.private_files import create_private_file, lock_file
from bot.core.replies import MessageRef, Reply, Tone
from bot.platforms.discord.channels import NAME
from bot.platforms.discord.errors import REQUEST_ERRORS
from bot.platforms.discord.messages import LOADING, render_payload
from bot.platforms.discord.rest_api import DiscordRestApi
from bot.storage.database import Database

log = logging.getLogger(__name__)

TOKEN_LIFETIME_SECONDS = 15 * 60
ASK_LOST = "Easel was restarted before it could begin. Nothing was charged: please ask again."
COMMAND_LOST = "Easel was restarted before it could answer. Please see whether the command took effect before a repeat."


@dataclass(frozen=True, slots=True)
class Deferral:
    """An interaction that shows "is thinking". `token` is a secret for fifteen minutes."""

    token: str
    request_key: str
    is_ask: bool
    """Whether a job was to begin, rather than a command to be carried out."""
    began_at: float
    """Unix time in seconds."""


class DeferralJournal:
    """The deferrals without an answer, in a locked file of this process under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Deferral] = {}
        self._path = folder / f"discord-deferrals-{uuid4().hex}.jsonl"
        self._descriptor: int | None = None

    def open(self) -> list[Deferral]:
        """Return the deferrals that dead processes left, which belong to this process from here on."""
        create_private_file(self._path)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND)
        lock_file(self._descriptor)
        return [deferral for path in self._folder.glob("discord-deferrals-*.jsonl") for deferral in self._take(path)]

    def record(self, deferral: Deferral) -> None:
        """Write a deferral down; a kill of the process does not lose the line."""
        self._open[deferral.token] = deferral
        if self._descriptor is not None:
            os.write(self._descriptor, f"{json.dumps(asdict(deferral))}\n".encode())

    def settle(self, token: str) -> None:
        """Forget an answered interaction."""
        # The file shrinks when no interaction waits. A line too many does no harm: an answered message is left alone.
        if self._open.pop(token, None) is not None and not self._open and self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """Close the file, and remove the file unless an interaction still waits for the next process."""
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        if not self._open:
            self._path.unlink(missing_ok=True)

    def _take(self, path: Path) -> Iterator[Deferral]:
        """Yield the deferrals of a dead process, written to the own file; nothing of a living process."""
        if path == self._path:
            return
        with suppress(OSError), path.open("r+b") as file:
            lock_file(file.fileno())  # fails while its process lives
            for line in file:
                with suppress(ValueError, TypeError):  # a line cut by the kill
                    deferral = Deferral(**json.loads(line))
                    self.record(deferral)
                    yield deferral
            path.unlink()


class DeferralRecovery:
    """Tells the users of the deferrals that a dead process left."""

    def __init__(self, journal: DeferralJournal, api: DiscordRestApi, database: Database, clock: Clock) -> None:
        self._journal = journal
        self._api = api
        self._database = database
        self._clock = clock

    async def answer(self, deferrals: list[Deferral]) -> None:
        """Answer each interaction that still shows "is thinking" and has no job."""
        for deferral in deferrals:
            try:
                await self._answer(deferral)
            except MessageLost:
                log.info("discord.deferral_gone", extra={"request": deferral.request_key})
            except REQUEST_ERRORS as error:
                # Stays in the journal for the next start, as long as the token lives.
                log.warning("discord.deferral_not_answered", extra={"reason": repr(error)})
                continue
            self._journal.settle(deferral.token)

    async def _answer(self, deferral: Deferral) -> None:
        if self._clock.now().timestamp() - deferral.began_at > TOKEN_LIFETIME_SECONDS:
            return
        async with self._database.read() as tx:
            if await tx.jobs.get_by_request_key(deferral.request_key) is not None:
                return  # the recovery of jobs shows the job
        told = await self._api.get_original_response(deferral.token)
        if not int(told.get("flags") or 0) & LOADING:
            return
        message = MessageRef(NAME, "", "", "", str(told["id"]), deferral.token, is_original_response=True)
        text = ASK_LOST if deferral.is_ask else COMMAND_LOST
        await self._api.edit_response(message, render_payload(Reply(text, tone=Tone.ERROR)))
        log.info("discord.deferral_answered", extra={"request": deferral.request_key})
