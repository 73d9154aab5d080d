"""Tests pending actions: taken once, only by the owner, and only before the expiry."""

from dataclasses import replace

from bot.core.invocations import PendingAction
from bot.storage.database import Database
from tests.fakes.samples import ANA
from tests.storage.rows import NOON, after


def make_action(**changes: object) -> PendingAction:
    plain = PendingAction("q1", "consent", ANA.platform, ANA.workspace, "c1", ANA.id, {"n": 1}, NOON, after(3600))
    return replace(plain, **changes)  # type: ignore[arg-type]  # any field


async def test_an_action_is_taken_once_and_only_by_the_owner(database: Database) -> None:
    mine = (ANA.platform, ANA.workspace, ANA.id)
    async with database.write() as tx:
        await tx.pending.put(make_action())
        await tx.pending.put(make_action(facts={"n": 2}))

        assert await tx.pending.take("q1", "consent", ANA.platform, ANA.workspace, "ben", NOON) is None
        assert await tx.pending.take("q1", "consent", ANA.platform, "elsewhere", ANA.id, NOON) is None
        assert await tx.pending.take("q1", "erasure", *mine, NOON) is None
        assert await tx.pending.take("q1", "consent", *mine, after(3600)) is None
        assert await tx.pending.take("q1", "consent", *mine, NOON) == make_action(facts={"n": 2})
        assert await tx.pending.take("q1", "consent", *mine, NOON) is None


async def test_actions_are_listed_removed_and_expire(database: Database) -> None:
    async with database.write() as tx:
        for one in (make_action(), make_action(id="q2", expires_at=after(10)), make_action(id="e1", kind="erasure")):
            await tx.pending.put(one)

        assert [one.id for one in await tx.pending.list_by_kind("consent")] == ["q1", "q2"]
        assert await tx.pending.delete_expired(after(11)) == 1
        await tx.pending.remove("e1")
        await tx.pending.remove("e1")
        assert await tx.pending.get("q2") is None
        assert await tx.pending.list_by_kind("erasure") == []


async def test_an_action_is_put_again_once_it_expired(database: Database) -> None:
    async with database.write() as tx:
        assert await tx.pending.put_due(make_action())
        assert not await tx.pending.put_due(make_action(created_at=after(3_599), expires_at=after(9_000)))
        later = make_action(created_at=after(3_600), expires_at=after(9_000))
        assert await tx.pending.put_due(later)
        assert await tx.pending.get("q1") == later
