"""Tests webhooks and their posts: claimed by one process at a time, and given up once."""

from dataclasses import replace

from bot.core.people import Workspace
from bot.storage.database import Database
from bot.storage.webhooks import Webhook
from tests.fakes.samples import make_job
from tests.storage.rows import NOON, after

PAGE = Workspace("web", "page")
WEBHOOK = Webhook("https://hooks.example/in", "whsec_key", NOON)


async def test_a_post_is_claimed_by_one_process_until_the_lease_ends(database: Database) -> None:
    first, second = make_job(), make_job()
    async with database.write() as tx:
        for job, at in ((first, NOON), (second, after(1))):
            await tx.jobs.add(job)
            await tx.webhooks.add_post(job, at)
            await tx.webhooks.add_post(job, at)

    async def claim(seconds: float) -> tuple[str, int] | None:
        async with database.write() as tx:
            post = await tx.webhooks.claim_post(PAGE, after(seconds), after(seconds + 60))
        return (post.job, post.attempts) if post else None

    assert [await claim(seconds) for seconds in (2, 2, 2)] == [(first.id, 1), (second.id, 1), None]
    assert await claim(62) == (first.id, 2)
    async with database.write() as tx:
        await tx.webhooks.remove_post(second.id)
        await tx.webhooks.postpone_post(first.id, after(500))
        assert await tx.webhooks.list_due(after(499)) == []
        assert await tx.webhooks.list_due(after(500)) == [PAGE]


async def test_a_webhook_is_turned_off_once_and_only_if_nothing_was_taken(database: Database) -> None:
    job = make_job()
    async with database.write() as tx:
        await tx.jobs.add(job)
        await tx.webhooks.add_post(job, NOON)
        await tx.webhooks.put(PAGE, WEBHOOK)
        await tx.webhooks.record_taken(PAGE, after(10))

        off = [
            await tx.webhooks.turn_off(PAGE, WEBHOOK.url, after(5), "it answered 500", after(20)),
            await tx.webhooks.turn_off(PAGE, "https://older.example", after(15), "it answered 500", after(20)),
            await tx.webhooks.turn_off(PAGE, WEBHOOK.url, after(15), "it answered 500", after(20)),
            await tx.webhooks.turn_off(PAGE, WEBHOOK.url, after(15), "it answered 500", after(20)),
        ]

        assert off == [None, None, 1, None]
        assert await tx.webhooks.get(PAGE) == replace(
            WEBHOOK, secret="", taken_at=after(10), failed_at=after(20), error="it answered 500"
        )


async def test_a_workspace_that_is_erased_keeps_no_webhook(database: Database) -> None:
    async with database.write() as tx:
        await tx.webhooks.put(PAGE, WEBHOOK)
        await tx.webhooks.put(Workspace("web", "other"), WEBHOOK)

        await tx.erasure.erase_workspace(PAGE)

        assert await tx.webhooks.get(PAGE) is None
        assert await tx.webhooks.get(Workspace("web", "other")) == WEBHOOK
