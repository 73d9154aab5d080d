"""Telling people who did not ask: to whom it goes, and what happens where it cannot."""

from dataclasses import replace

import pytest

from bot.core.people import Channel
from bot.core.platform import MessageLost
from bot.core.replies import MessageRef, Reply
from bot.dispatch.notices import Notices
from tests.bench import Bench
from tests.fakes.samples import MODERATOR

NOTICE = Reply(text="the budget is spent")


async def test_moderators_are_told_in_their_channel(bench: Bench) -> None:
    await bench.say("/settings notices staff", by=MODERATOR)

    assert await bench.app.notices.notify_moderators("web", "page", NOTICE)

    assert (bench.last_text, bench.last_message.ref.channel) == (NOTICE.text, "staff")


async def test_where_there_is_no_channel_the_owner_is_told_alone(bench: Bench) -> None:
    assert await bench.app.notices.notify_moderators("web", "page", NOTICE)

    assert bench.last_message.ref.channel == "direct-owner"


async def test_a_channel_that_is_gone_does_not_swallow_a_notice(bench: Bench) -> None:
    await bench.say("/settings notices staff", by=MODERATOR)
    bench.platform.will_fail(MessageLost("The channel is gone."))

    assert await bench.app.notices.notify_moderators("web", "page", NOTICE)

    assert bench.last_message.ref.channel == "direct-owner"


async def test_what_nobody_could_be_told_is_in_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.platform.will_fail(RuntimeError("an SDK broke"))
    elsewhere = Notices(bench.app.platforms, bench.app.dispatcher.services.moderation, [("discord", "", "7")])

    assert not await bench.app.notices.notify_owners(NOTICE)
    assert not await elsewhere.notify_owners(NOTICE)

    assert [record.message for record in caplog.records if record.name == "bot.dispatch.notices"] == [
        "notice.failed",
        "notice.untold",
        "notice.untold",
    ]


async def test_a_platform_that_is_not_there_is_told_nothing(bench: Bench) -> None:
    where = Channel("discord", "1", "c1")

    assert not await bench.app.notices.post_in_channel(where, NOTICE)
    await bench.app.notices.replace_message(MessageRef("discord", "1", "c1", "", "m1"), NOTICE)


async def test_a_message_is_replaced_where_it_can_be_reached(bench: Bench) -> None:
    await bench.app.notices.notify_owners(NOTICE)
    ref = bench.last_message.ref

    await bench.app.notices.replace_message(ref, Reply(text="it refilled"))
    await bench.app.notices.replace_message(replace(ref, id="gone"), NOTICE)
    bench.platform.will_fail(RuntimeError("an SDK broke"))
    await bench.app.notices.replace_message(ref, NOTICE)

    assert bench.last_text == "it refilled"
