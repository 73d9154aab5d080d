"""Retention deletes old data in every table, and no other data."""

import json
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.core.clock import Clock
from bot.core.invocations import PendingAction
from bot.core.jobs import PostedMessage
from bot.core.replies import MessageRef, Reply
from bot.credits.ledger import verify_ledger
from bot.jobs.deletion import Retention, RetentionLimits, person_from_user
from bot.media.media_store import MediaFile
from bot.settings import Settings
from bot.storage.web_page import PageMessage
from tests.bench import Bench, make_attachment
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR
from tests.media.pictures import encode_picture
from tests.storage.raw import export_person

DAY = 86_400


def age_files(bench: Bench) -> None:
    """Give all files the time of the bench's clock."""
    now = bench.clock.now().timestamp()
    for path in list_files(bench):
        os.utime(path, (now, now))


def list_files(bench: Bench) -> list[Path]:
    return [path for path in (bench.app.settings.data_dir / "media").glob("*/*/*") if path.is_file()]


async def export_ana(bench: Bench) -> str:
    async with bench.app.database.read() as tx:
        return json.dumps(await export_person(tx, person_from_user(ANA)))


async def test_prompts_answers_and_pictures_are_deleted_after_the_retention_time(bench: Bench) -> None:
    await bench.say("/imagine an old fox")
    assert (
        await verify_ledger(bench.app.database, bench.clock.now())
    ).discrepancies == ()  # later only new rows are read
    await bench.say("/chat an old question")
    await bench.say("/caption --question old", image=encode_picture("PNG"))
    age_files(bench)
    await bench.clock.advance(29 * DAY)
    await bench.app.retention.sweep()
    before = await export_ana(bench)

    await bench.clock.advance(1 * DAY + 60)
    await bench.app.retention.sweep()

    after = await export_ana(bench)
    assert all(words in before for words in ("an old fox", "an old question"))
    assert all(words not in after for words in ("an old fox", "an old question"))
    assert json.loads(after)["jobs"][0]["cost_micros"] == 3_000
    assert list_files(bench) == []
    assert (await verify_ledger(bench.app.database, bench.clock.now())).discrepancies == ()
    async with bench.app.database.read() as tx:
        assert await tx.conversations.find("web", "page", CHANNEL.id, "") is None


async def test_a_workspace_may_have_a_shorter_retention(bench: Bench) -> None:
    await bench.say("/settings general --keep_days 2", by=MODERATOR)
    there = replace(CHANNEL, workspace="guild")
    await bench.app.dispatcher.services.moderation.admin.allow_workspace(replace(MODERATOR, workspace="guild"))
    await bench.say("/imagine a short fox")
    await bench.say("/imagine a long fox", by=replace(ANA, workspace="guild"), channel=there)
    age_files(bench)
    await bench.clock.advance(3 * DAY)

    await bench.app.retention.sweep()

    assert "a short fox" not in await export_ana(bench)
    assert "a long fox" in await export_ana(bench)
    assert len(list_files(bench)) == 1


async def test_files_of_an_open_job_stay_whatever_their_age(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/upscale", image=encode_picture("PNG"))
    age_files(bench)
    now = bench.clock.now() + timedelta(days=40)
    later = _LaterClock(now)
    retention = make_retention(bench, later, media_bytes=1)

    await retention.sweep()

    assert len(list_files(bench)) == 1
    assert bench.app.runner.running_count == 1


async def test_the_oldest_pictures_are_deleted_beyond_the_size_limit(bench: Bench) -> None:
    for n in range(4):
        await bench.say("/caption", image=encode_picture("PNG", (60 + n, 40)))
        make_files_older(bench, seconds=100)
    oldest, *others = sorted(list_files(bench), key=lambda path: path.stat().st_mtime)
    total = sum(path.stat().st_size for path in list_files(bench))

    await make_retention(bench, bench.clock, media_bytes=total - 1).sweep()

    assert not oldest.exists()
    assert sorted(list_files(bench)) == sorted(others)


async def test_a_picture_deleted_for_its_size_leaves_the_job_without_outputs(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    await make_retention(bench, bench.clock, media_bytes=1).sweep()

    assert await bench.app.jobs.list_outputs(await bench.get_job()) == []
    assert "a fox" in await export_ana(bench)


async def test_a_deleted_picture_is_drawn_anew_for_an_identical_request(bench: Bench) -> None:
    await bench.say("/settings pictures --reuse yes", by=MODERATOR)
    await bench.say("/imagine a fox --seed 7")
    await make_retention(bench, bench.clock, media_bytes=1).sweep()

    await bench.say("/imagine a fox --seed 7", by=BEN)

    assert len(bench.last_message.reply.pictures) == 1


def make_files_older(bench: Bench, *, seconds: float) -> None:
    for path in list_files(bench):
        at = path.stat().st_mtime - seconds
        os.utime(path, (at, at))


async def test_expired_tokens_and_questions_are_deleted(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    job, now = await bench.get_job(), bench.clock.now()
    ref = MessageRef("web", "page", "c1", "", "m1", token="a-secret", token_expires_at=now + timedelta(minutes=15))
    question = PendingAction("q1", "consent", "web", "page", "c1", "ana", {}, now, now + timedelta(hours=1))
    async with bench.app.database.write() as tx:
        await tx.messages.put(PostedMessage(job.id, 0, ref))
        await tx.pending.put(question)
    await bench.clock.advance(16 * 60)

    await bench.app.retention.forget_secrets()

    async with bench.app.database.read() as tx:
        assert (await tx.messages.list_messages(job.id))[0].ref.token == ""
        assert await tx.pending.get("q1") == question
    await bench.clock.advance(3_600)
    await bench.app.retention.forget_secrets()
    async with bench.app.database.read() as tx:
        assert await tx.pending.get("q1") is None


async def test_page_messages_and_traces_are_deleted_after_their_retention_times(bench: Bench) -> None:
    now = bench.clock.now()
    async with bench.app.database.write() as tx:
        await tx.page.put(PageMessage("p1", "ana.main", "ana", "", False, Reply(text="old words"), now, now))
        await tx.inbox.add("n1", "j1", now)
        await tx.audit.add(MODERATOR.actor, "words.added", {"word": "x"}, now)
    await bench.clock.advance(31 * DAY)

    await bench.app.retention.sweep()

    async with bench.app.database.read() as tx:
        assert await tx.page.get("p1") is None
        assert len(await tx.audit.list_rows("web", "page", 5)) == 1
    async with bench.app.database.write() as tx:
        assert await tx.inbox.add("n1", "j1", bench.clock.now())
    await bench.clock.advance(340 * DAY)
    await bench.app.retention.sweep()
    async with bench.app.database.read() as tx:
        assert await tx.audit.list_rows("web", "page", 5) == []


async def test_a_workspace_that_removed_the_bot_is_erased_after_the_retention_time(bench: Bench) -> None:
    desk = bench.app.dispatcher.services.moderation.admin
    by = replace(MODERATOR, workspace="guild")
    await desk.allow_workspace(by)
    await desk.add_word(by, "badger")
    await desk.record_removal("web", "guild")

    await bench.app.retention.sweep()
    early = await desk.list_words(by)
    await bench.clock.advance(31 * DAY)
    await bench.app.retention.sweep()

    assert early == ["badger"]
    assert await desk.list_words(by) == []
    async with bench.app.database.read() as tx:
        assert await tx.audit.list_rows("web", "guild", 5) == []


async def test_one_sweep_erases_more_than_one_batch(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    async with bench.app.database.write() as tx:
        for n in range(250):
            await tx.jobs.add(replace(job, id=f"{n:020}", request_key=f"web:old{n}", prediction="", user=BEN))
    await bench.clock.advance(31 * DAY)

    await bench.app.retention.sweep()

    async with bench.app.database.read() as tx:
        assert await tx.erasure.list_jobs_before(bench.clock.now(), 300) == []


async def test_a_failing_part_of_a_sweep_does_not_stop_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.say("/imagine an old fox")
    await bench.clock.advance(31 * DAY)

    async def fail() -> list[object]:
        raise OSError("the disk is gone")

    monkeypatch.setattr(bench.app.media, "list_files", fail)
    await bench.app.retention.sweep()

    assert "an old fox" not in await export_ana(bench)
    assert "retention.stumbled" in caplog.text


async def test_retention_sweeps_at_the_start_and_every_hour(bench: Bench) -> None:
    await bench.say("/imagine an old fox")
    await bench.clock.advance(30 * DAY - 1_800)
    retention = bench.app.retention
    retention.start()
    await bench.wait_until(lambda: retention.tick_count == 1)
    early = await export_ana(bench)

    for n in range(2, 62):
        await bench.clock.advance(60)
        await bench.wait_until(lambda n=n: retention.tick_count == n)  # type: ignore[misc]  # bound in each round
    late = await export_ana(bench)
    await retention.stop()

    assert "an old fox" in early
    assert "an old fox" not in late


class _LaterClock:
    """The same moment, later."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("no sweep sleeps")


def make_retention(bench: Bench, clock: Clock, *, media_bytes: int) -> Retention:
    parts = replace(bench.app.retention._services, clock=clock)
    days = Settings(_env_file=None).retention_days
    return Retention(parts, bench.app.jobs.personal_data, RetentionLimits(days, media_bytes))


async def test_a_picture_given_again_during_a_sweep_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.say("/caption", image=encode_picture("PNG"))
    make_files_older(bench, seconds=100)
    listing = bench.app.media.list_files

    async def list_then_give_again() -> list[MediaFile]:
        found = await listing()
        await bench.app.media.take_attachment(
            make_attachment(encode_picture("PNG"))
        )  # for a request about to be accepted
        return found

    monkeypatch.setattr(bench.app.media, "list_files", list_then_give_again)
    await make_retention(bench, bench.clock, media_bytes=1).sweep()

    assert len(list_files(bench)) == 1
