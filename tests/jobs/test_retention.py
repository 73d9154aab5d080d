"""Retention: what is too old goes, in every table, and nothing else does."""

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
from bot.jobs.deletion import person_from_user
from bot.jobs.retention import Retention, RetentionLimits
from bot.media.media_store import MediaFile
from bot.settings import Settings
from bot.storage.web_page import PageMessage
from tests.bench import Bench, make_attachment
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR
from tests.media.pictures import encode_picture

DAY = 86_400


def age_files(bench: Bench) -> None:
    """Give every kept file the bench's own time, which is not the disk's."""
    now = bench.clock.now().timestamp()
    for path in files(bench):
        os.utime(path, (now, now))


def files(bench: Bench) -> list[Path]:
    return [path for path in (bench.app.settings.data_dir / "media").glob("*/*/*") if path.is_file()]


async def kept(bench: Bench) -> str:
    async with bench.app.database.read() as tx:
        return json.dumps(await tx.erasure.export_person(person_from_user(ANA)))


async def test_prompts_answers_and_pictures_go_after_their_days(bench: Bench) -> None:
    await bench.say("/imagine an old fox")
    await bench.say("/chat an old question")
    await bench.say("/caption --question old", image=encode_picture("PNG"))
    age_files(bench)
    await bench.clock.advance(29 * DAY)
    await bench.app.retention.sweep()
    before = await kept(bench)

    await bench.clock.advance(1 * DAY + 60)
    await bench.app.retention.sweep()

    after = await kept(bench)
    assert all(words in before for words in ("an old fox", "an old question"))
    assert all(words not in after for words in ("an old fox", "an old question"))
    assert json.loads(after)["jobs"][0]["cost_micros"] == 3_000
    assert files(bench) == []
    async with bench.app.database.read() as tx:
        assert await tx.ledger_checks.find_mismatches(10) == []
        assert await tx.conversations.find("web", "page", CHANNEL.id, "") is None


async def test_a_workspace_may_keep_less(bench: Bench) -> None:
    await bench.say("/settings general --keep_days 2", by=MODERATOR)
    there = replace(CHANNEL, workspace="guild")
    await bench.app.dispatcher.services.moderation.admin.allow_workspace(replace(MODERATOR, workspace="guild"))
    await bench.say("/imagine a short fox")
    await bench.say("/imagine a long fox", by=replace(ANA, workspace="guild"), channel=there)
    age_files(bench)
    await bench.clock.advance(3 * DAY)

    await bench.app.retention.sweep()

    assert "a short fox" not in await kept(bench)
    assert "a long fox" in await kept(bench)
    assert len(files(bench)) == 1


async def test_an_open_job_is_left_alone_however_old(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/upscale", image=encode_picture("PNG"))
    age_files(bench)
    now = bench.clock.now() + timedelta(days=40)
    later = _LaterClock(now)
    retention = _retention(bench, later, media_bytes=1)

    await retention.sweep()

    assert len(files(bench)) == 1
    assert bench.app.runner.running_count == 1


async def test_the_oldest_pictures_go_first_where_there_are_too_many(bench: Bench) -> None:
    for n in range(4):
        await bench.say("/caption", image=encode_picture("PNG", (60 + n, 40)))
        make_older(bench, seconds=100)
    oldest, *others = sorted(files(bench), key=lambda path: path.stat().st_mtime)
    total = sum(path.stat().st_size for path in files(bench))

    await _retention(bench, bench.clock, media_bytes=total - 1).sweep()

    assert not oldest.exists()
    assert sorted(files(bench)) == sorted(others)


async def test_a_picture_that_made_room_is_not_shown_any_more(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    await _retention(bench, bench.clock, media_bytes=1).sweep()

    assert await bench.app.jobs.list_outputs(await bench.get_job()) == []
    assert "a fox" in await kept(bench)


async def test_what_made_room_is_made_anew_for_who_asks_the_same(bench: Bench) -> None:
    await bench.say("/settings pictures --reuse yes", by=MODERATOR)
    await bench.say("/imagine a fox --seed 7")
    await _retention(bench, bench.clock, media_bytes=1).sweep()

    await bench.say("/imagine a fox --seed 7", by=BEN)

    assert len(bench.last_message.reply.pictures) == 1


def make_older(bench: Bench, *, seconds: float) -> None:
    for path in files(bench):
        at = path.stat().st_mtime - seconds
        os.utime(path, (at, at))


async def test_secrets_and_questions_go_when_they_run_out(bench: Bench) -> None:
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


async def test_the_pages_messages_and_old_traces_go_too(bench: Bench) -> None:
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


async def test_a_workspace_that_threw_the_bot_out_is_forgotten_in_time(bench: Bench) -> None:
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


async def test_more_than_fits_one_transaction_is_forgotten_in_one_sweep(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    async with bench.app.database.write() as tx:
        for n in range(250):
            await tx.jobs.add(replace(job, id=f"{n:020}", request_key=f"web:old{n}", prediction="", user=BEN))
    await bench.clock.advance(31 * DAY)

    await bench.app.retention.sweep()

    async with bench.app.database.read() as tx:
        assert await tx.erasure.list_jobs_before(bench.clock.now(), 300) == []


async def test_one_part_that_fails_does_not_keep_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.say("/imagine an old fox")
    await bench.clock.advance(31 * DAY)

    async def broken() -> list[object]:
        raise OSError("the disk is gone")

    monkeypatch.setattr(bench.app.media, "list_files", broken)
    await bench.app.retention.sweep()

    assert "an old fox" not in await kept(bench)
    assert "retention.stumbled" in caplog.text


async def test_it_sweeps_at_the_start_and_every_hour(bench: Bench) -> None:
    await bench.say("/imagine an old fox")
    await bench.clock.advance(30 * DAY - 1_800)
    retention = bench.app.retention
    retention.start()
    await bench.wait_until(lambda: retention.tick_count == 1)
    early = await kept(bench)

    for n in range(2, 62):
        await bench.clock.advance(60)
        await bench.wait_until(lambda n=n: retention.tick_count == n)  # type: ignore[misc]  # each its own number
    late = await kept(bench)
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
        raise AssertionError("nobody waits here")


def _retention(bench: Bench, clock: Clock, *, media_bytes: int) -> Retention:
    parts = replace(bench.app.retention._services, clock=clock)
    days = Settings(_env_file=None).retention_days
    return Retention(parts, bench.app.jobs.personal_data, RetentionLimits(days, media_bytes))


async def test_a_picture_given_again_while_room_is_made_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.say("/caption", image=encode_picture("PNG"))
    make_older(bench, seconds=100)
    listing = bench.app.media.list_files

    async def listed() -> list[MediaFile]:
        found = await listing()
        await bench.app.media.take_attachment(
            make_attachment(encode_picture("PNG"))
        )  # somebody's ask is about to be accepted
        return found

    monkeypatch.setattr(bench.app.media, "list_files", listed)
    await _retention(bench, bench.clock, media_bytes=1).sweep()

    assert len(files(bench)) == 1
