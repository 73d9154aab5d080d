"""Installations, what a platform notes about a message, and how many workers are alive."""

from dataclasses import replace

from bot.core.jobs import PostedMessage
from bot.core.replies import MessageRef
from bot.storage.database import Database
from bot.storage.people import Installation
from tests.storage.rows import NOON, a_job, after

ACME = Installation("slack", "T1", b"\x00sealed", {"bot_user": "U1", "scopes": ["commands"]}, "UADMIN", NOON)


async def test_an_installation_comes_back_and_is_replaced(database: Database) -> None:
    again = replace(ACME, secrets=b"other", installed_at=after(5))

    async with database.write() as tx:
        await tx.installations.put(ACME)
        assert await tx.installations.get("slack", "T1") == ACME
        await tx.installations.put(again)

    async with database.read() as tx:
        assert await tx.installations.get("slack", "T1") == again
        assert await tx.installations.get("slack", "T2") is None


async def test_a_removed_installation_is_erased_and_may_come_back(database: Database) -> None:
    async with database.write() as tx:
        await tx.installations.put(ACME)

        assert await tx.installations.remove("slack", "T1", after(1))
        assert not await tx.installations.remove("slack", "T1", after(2))

        assert await tx.installations.get("slack", "T1") is None
        await tx.installations.put(ACME)
        assert await tx.installations.get("slack", "T1") == ACME


async def test_notes_about_a_message_stay_with_it(database: Database) -> None:
    job, ref = a_job(), MessageRef("slack", "T1", "C1", "1.0", "1.1")
    async with database.write() as tx:
        await tx.jobs.add(job)
        await tx.messages.put(PostedMessage(job.id, 0, ref))
        assert await tx.messages.get_notes(ref) == {}

        await tx.messages.put_notes(ref, {"files": {"sha": "F1"}})
        await tx.messages.put(PostedMessage(job.id, 0, ref, end=5))
        await tx.messages.put_notes(replace(ref, id="unknown"), {"files": {}})

    async with database.read() as tx:
        assert await tx.messages.get_notes(ref) == {"files": {"sha": "F1"}}
        assert await tx.messages.get_notes(replace(ref, workspace="T2")) == {}


async def test_workers_that_beat_are_alive(database: Database) -> None:
    async with database.write() as tx:
        await tx.workers.record_heartbeat("one", NOON)
        await tx.workers.record_heartbeat("two", after(10))

        assert await tx.workers.list_alive(after(-1)) == ["one", "two"]
        assert await tx.workers.list_alive(after(5)) == ["two"]
