"""Events, commands and forms are acknowledged once their work is committed, by Socket Mode and by signed HTTP."""

import asyncio

import pytest

from bot.platforms.slack import events
from tests.emulators.slack.delivery import SlackDelivery
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.state import SlackChannelState
from tests.platforms.slack.office import Office


async def wait_for_attempt(office: Office, delivery: SlackDelivery) -> None:
    """Let Slack's patience with an attempt to deliver an event pass at once."""
    async with asyncio.timeout(10):
        while not delivery.attempts:
            office.slack.clock.advance(0.5)
            await asyncio.sleep(0.01)


def find_mention(question: SlackMessageState) -> SlackDelivery:
    return next(one for one in question.deliveries if one.payload["event"]["type"] == "app_mention")


async def wait_for_answer(channel: SlackChannelState, question: SlackMessageState) -> SlackMessageState:
    thread = channel.get_thread(question)
    return await thread.wait_for_bot_message(
        condition=lambda message: "Delete" in message.button_labels, timeout_seconds=15
    )


async def test_an_event_is_acknowledged_after_its_commit_and_answered_once(any_office: Office) -> None:
    async with any_office.app.database.write():
        question = await any_office.ana.say(f"{any_office.team.mention} hello", any_office.general)
        mention = find_mention(question)
        await wait_for_attempt(any_office, mention)
        was_acknowledged = mention.is_acknowledged
    await mention.wait_for_acknowledgement(timeout_seconds=10)
    answer = await wait_for_answer(any_office.general, question)
    await any_office.wait_until_idle()

    assert not was_acknowledged
    assert any_office.general.get_thread(question).bot_messages == [answer]
    assert len(any_office.backend.runs) == 1


async def test_an_event_that_is_sent_again_after_its_commit_is_answered_once(any_office: Office) -> None:
    question = await any_office.ana.say(f"{any_office.team.mention} hello", any_office.general)
    mention = await find_mention(question).wait_for_acknowledgement()
    answer = await wait_for_answer(any_office.general, question)

    await mention.resend().wait_for_acknowledgement()
    await any_office.close()
    await any_office.open()
    await mention.resend().wait_for_acknowledgement(timeout_seconds=10)
    await any_office.wait_until_idle()

    assert any_office.general.get_thread(question).bot_messages == [answer]
    assert len(any_office.backend.runs) == 1


async def test_a_command_is_acknowledged_after_its_commit(any_office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "INTERACTION_PATIENCE_SECONDS", 2.5)
    async with any_office.app.database.write():
        command = await any_office.ana.use_command("/imagine", "a fox", any_office.general)
        await asyncio.sleep(0.2)
        was_acknowledged = command.is_acknowledged
    await command.wait_for_acknowledgement()

    assert not was_acknowledged
    async with any_office.app.database.read() as tx:
        assert await tx.jobs.list_recent_in_channel("slack", any_office.team.id, any_office.general.id, 1)


async def test_a_command_is_acknowledged_in_time_while_the_database_is_busy(
    any_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "INTERACTION_PATIENCE_SECONDS", 0.1)
    async with any_office.app.database.write():
        command = await any_office.ana.use_command("/imagine", "a fox", any_office.general)
        await command.wait_for_acknowledgement()

    await any_office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    assert len(any_office.backend.runs) == 1


async def test_a_form_is_acknowledged_after_its_commit(any_office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "INTERACTION_PATIENCE_SECONDS", 2.5)
    await any_office.ana.use_command("/imagine", "", any_office.general)
    form = await any_office.ana.wait_for_modal()
    async with any_office.app.database.write():
        submission = asyncio.create_task(any_office.ana.submit(form, {"prompt": "a fox"}))
        await asyncio.sleep(0.2)
        was_acknowledged = submission.done()
    await submission

    assert not was_acknowledged
    assert not form.is_open
    await any_office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
