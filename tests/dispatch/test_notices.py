"""Notices to moderators and owners, and platforms that fail."""

from dataclasses import replace

import pytest

from bot.core.people import Channel
from bot.core.platform import MessageLost
from bot.core.replies import MessageRef, Reply
from bot.dispatch.notices import Notices
from tests.bench import Bench
from tests.fakes.samples import MODERATOR

NOTICE = Reply(text="the budget is spent")


async def test_a_notice_goes_to_the_moderators_channel(bench: Bench) -> None:
    await bench.say("/settings notices staff", by=MODERATOR)

    assert await bench.app.notices.notify_moderators("web", "page", NOTICE)

    assert (bench.last_text, bench.last_message.ref.channel) == (NOTICE.text, "staff")


async def test_without_a_moderators_channel_a_notice_goes_to_the_owner(bench: Bench) -> None:
    assert await bench.app.notices.notify_moderators("web", "page", NOTICE)

    assert bench.last_message.ref.channel == "direct-owner"


async def test_a_notice_for_a_deleted_channel_goes_to_the_owner(bench: Bench) -> None:
    await bench.say("/settings notices staff", by=MODERATOR)
    bench.platform.will_fail(MessageLost("The channel is gone."))

    assert await bench.app.notices.notify_moderators("web", "page", NOTICE)

    assert bench.last_message.ref.channel == "direct-owner"


async def test_an_undelivered_notice_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.platform.will_fail(RuntimeError("an SDK broke"))
    on_discord = Notices(bench.app.platforms, bench.app.dispatcher.services.moderation, [("discord", "", "7")])

    assert not await bench.app.notices.notify_owners(NOTICE)
    assert not await on_discord.notify_owners(NOTICE)

    assert [record.message for record in caplog.records if record.name == "bot.dispatch.notices"] == [
        "notice.failed",
        "notice.untold",
        "notice.untold",
    ]


async def test_a_notice_for_an_absent_platform_is_not_posted(bench: Bench) -> None:
    channel = Channel("discord", "1", "c1")

    assert not await bench.app.notices.post_in_channel(channel, NOTICE)
    await bench.app.notices.replace_message(MessageRef("discord", "1", "c1", "", "m1"), NOTICE)


async def test_a_message_is_replaced_unless_the_platform_fails(bench: Bench) -> None:
    await bench.app.notices.notify_owners(NOTICE)
    ref = bench.last_message.ref

    await bench.app.notices.replace_message(ref, Reply(text="it refilled"))
    await bench.app.notices.replace_message(replace(ref, id="gone"), NOTICE)
    bench.platform.will_fail(RuntimeError("an SDK broke"))
    await bench.app.notices.replace_message(ref, NOTICE)

    assert bench.last_text == "it refilled"
