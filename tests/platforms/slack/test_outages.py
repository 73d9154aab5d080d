"""What goes wrong at Slack: each ends in a clear message or a clean log line, the money right, nothing lost."""

import asyncio
import logging
from typing import Any

import pytest

from bot.core.errors import EaselError
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.state import SlackChannelState
from tests.fakes.backend import make_png
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office, create_office, create_options
from tests.telemetry.samples import value_of

WORDS = tuple(f"word{n} " for n in range(60))


async def picture_in(channel: SlackChannelState) -> SlackMessageState:
    return await channel.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels, timeout_seconds=15)


async def test_a_storm_of_429_is_waited_out(either: Office) -> None:
    for method in ("chat.postMessage", "files.getUploadURLExternal"):
        either.slack.faults.rate_limit(method, retry_after=1)

    await either.ana.use_command("/imagine", "a fox", either.general)

    picture = await picture_in(either.general)
    assert len(picture.files) == 1
    assert either.general.bot_messages == [picture]


async def test_a_429_is_counted(office: Office) -> None:
    before = value_of("easel_rate_limited_total", platform="slack")
    office.slack.faults.rate_limit("chat.postMessage", retry_after=1)

    await office.ana.use_command("/imagine", "a fox", office.general)
    await picture_in(office.general)

    assert value_of("easel_rate_limited_total", platform="slack") - before == 1


async def test_after_a_429_nothing_is_called_before_its_time(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    said = await office.ana.say(f"{office.team.mention} hello", office.general)
    await office.general.get_thread(said).wait_for_bot_message("word20 ")
    office.slack.faults.rate_limit("chat.stopStream", retry_after=1)

    office.backend.last_run.released.set()
    await office.general.get_thread(said).wait_for_bot_message(condition=lambda one: "Delete" in one.button_labels)

    refused, taken = office.slack.find_calls("chat.stopStream")
    assert refused.status == 429
    assert taken.received_at - refused.received_at >= 1


async def test_slack_breaking_down_for_a_moment_loses_nothing(office: Office) -> None:
    office.slack.faults.fail("chat.update", status=503)
    office.slack.faults.drop_connection("files.getUploadURLExternal")

    await office.ana.use_command("/imagine", "a fox", office.general)

    assert len((await picture_in(office.general)).files) == 1


async def test_the_socket_closed_without_a_word_opens_again(office: Office) -> None:
    await office.slack.sockets.request_reconnect()
    await office.slack.changes.wait_for(lambda: office.slack.sockets.opened_count == 2, "a second socket")

    await office.ana.use_command("/imagine", "a fox", office.general)

    await picture_in(office.general)


async def test_a_thread_deleted_half_way_ends_cleanly(opened: OfficeOpener) -> None:
    office = await opened(options=create_options(rejects_orphan_replies=True))
    office.backend.will(words=WORDS, hangs_after=30)
    said = await office.ana.say(f"{office.team.mention} hello", office.general)
    await office.general.get_thread(said).wait_for_bot_message("word20 ")

    office.slack.delete_thread(said)
    office.backend.last_run.released.set()
    await office.wait_until_idle()

    assert await office.open_holds() == []


async def test_a_placeholder_deleted_half_way_keeps_its_picture(office: Office) -> None:
    office.backend.will(hangs_after=0)
    await office.ana.use_command("/imagine", "a fox", office.general)
    working = await office.general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)
    job = working.elements[0]["value"]
    await office.slack.wait_for_call("chat.update")

    office.slack.delete_message(working)
    office.backend.last_run.released.set()
    await office.wait_until_idle()
    await office.ana.use_command("/show", job, office.general)

    assert (await office.ana.wait_for_private_message("FLUX schnell")).alt_texts


async def test_an_archived_channel_says_where_else_to_ask(office: Office) -> None:
    office.general.archive()

    await office.ana.use_command("/imagine", "a fox", office.general)

    await office.ana.wait_for_private_message("I may not post in this channel")
    await office.wait_until_idle()
    assert await office.balance(office.ana) == office.daily_micros


async def test_a_chat_in_a_channel_without_the_bot_says_how_to_invite_it(either: Office) -> None:
    hidden = either.team.add_channel("hidden", is_private=True, has_bot=False)

    await either.ana.use_command("/chat", "hello", hidden)

    await either.ana.wait_for_private_message("Invite me with `/invite @easel`")
    assert either.backend.runs == {}


async def test_a_bot_that_was_thrown_out_half_way_loses_no_money(office: Office) -> None:
    office.backend.will(hangs_after=0)
    await office.ana.use_command("/imagine", "a fox", office.general)
    await office.general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)
    await office.slack.wait_for_call("chat.update")

    office.general.remove_bot()
    office.backend.last_run.released.set()
    await office.wait_until_idle()

    assert await office.open_holds() == []


async def test_a_file_the_bot_may_not_read_says_so(opened: OfficeOpener) -> None:
    office = await opened()
    office.team.scopes.discard("files:read")
    posted = await office.ana.say("look", office.general, files=[make_png()])

    await office.otto.use_message_shortcut("picture:caption", posted)

    await office.otto.wait_for_private_message("I may not read picture-1.png")
    assert office.backend.runs == {}


async def test_a_workspace_that_took_the_app_out_is_no_riddle(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.backend.will(hangs_after=0)
    await office.ana.use_command("/imagine", "a fox", office.general)
    await office.general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)
    await office.slack.wait_for_call("chat.update")

    await office.team.uninstall()
    office.backend.last_run.released.set()
    await office.wait_until_idle()

    assert await office.open_holds() == []
    assert "slack.removed" in caplog.text or "slack.workspace_lost" in caplog.text
    with pytest.raises(EaselError):
        office.app.connections[0].check()


async def test_a_response_url_that_is_used_up_is_not_needed(office: Office) -> None:
    aside = office.slack.response_urls
    lifetimes = aside._slack.options.lifetimes
    assert lifetimes.max_response_url_uses == 5
    picture_request = await office.ana.use_command("/usage", "", office.general)
    await picture_request.wait_for_acknowledgement()
    first = await office.ana.wait_for_private_message("credits left")
    for url in aside._urls.values():
        url.use_count = 5

    await office.ana.use_command("/usage", "", office.general)
    for url in aside._urls.values():
        url.use_count = 5

    assert await office.ana.wait_for_private_message("credits left", after=first)


async def test_a_press_after_half_an_hour_is_still_answered(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await picture_in(office.general)
    mia = office.team.add_person("Mia")
    office.advance_time(3600)

    await mia.press(picture, "Delete")

    await mia.wait_for_private_message("Only the person who asked, or a moderator, can delete this.")


async def test_a_button_of_an_older_bot_does_nothing_and_says_so(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await picture_in(office.general)
    picture.elements[0]["action_id"] = "transmogrify:1"

    await office.ana.press(picture, "transmogrify:1")

    await office.ana.wait_for_private_message("belongs to an older version of the bot")


async def test_an_action_that_is_not_ours_is_acknowledged(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await picture_in(office.general)
    picture.elements[0]["action_id"] = "somebody-elses"

    delivery = await office.ana.press(picture, "somebody-elses")

    await delivery.wait_for_acknowledgement()


async def test_pressing_twice_is_one_press(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await picture_in(office.general)
    office.backend.will(hangs_after=0)

    await asyncio.gather(office.ana.press(picture, "Again"), office.ana.press(picture, "Again"))

    await office.ana.wait_for_private_message("I am on it")
    await office.general.wait_for_bot_message("Working on it", after=picture)
    assert len(office.backend.runs) == 2


@pytest.mark.parametrize(
    ("variable", "change"),
    [("SLACK_BOT_TOKEN", "slack_bot_token"), ("SLACK_APP_TOKEN", "slack_app_token")],
)
async def test_a_bad_token_ends_in_one_sentence(tmp_path: Any, variable: str, change: str) -> None:
    office = await create_office(tmp_path)
    token = office.team.bot_token if change == "slack_bot_token" else office.slack.app_token
    office.slack.tokens.revoke(token, "invalid_auth")

    with pytest.raises(EaselError, match=f"{variable} is not valid"):
        await office.open()

    await office.app.close()
    await office.slack.stop()


async def test_without_a_way_in_it_says_which_are_there(tmp_path: Any) -> None:
    office = await create_office(tmp_path, slack_app_token=None)

    with pytest.raises(EaselError, match=r"SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP"):
        await office.open()

    await office.app.close()
    await office.slack.stop()


async def test_a_slack_that_is_away_is_said_so(tmp_path: Any) -> None:
    office = await create_office(tmp_path)
    await office.slack.stop()

    with pytest.raises(EaselError, match="Slack cannot be reached"):
        await office.open()

    await office.app.close()


async def test_forged_late_and_unsigned_requests_are_refused_and_not_logged(
    opened: OfficeOpener, caplog: pytest.LogCaptureFixture
) -> None:
    office = await opened(by="http")
    wire = office.slack.http_transport
    assert wire is not None
    delivery = await (
        await office.ana.use_command("/imagine", "my secret words", office.general)
    ).wait_for_acknowledgement()
    await picture_in(office.general)
    caplog.clear()

    statuses = [
        await wire.send_forged(delivery, signing_secret="forged"),
        await wire.send_forged(delivery, age_seconds=600),
        await wire.send_forged(delivery, is_signed=False),
    ]

    assert statuses == [401, 401, 401]
    assert len(office.backend.runs) == 1
    assert "secret words" not in caplog.text
    assert "slack.bad_signature" in caplog.text


async def test_the_url_is_verified_as_slack_asks(opened: OfficeOpener) -> None:
    office = await opened(by="http")
    assert office.slack.http_transport is not None

    await office.slack.http_transport.verify_url()


async def test_no_token_reaches_the_log(either: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="bot")

    await either.ana.use_command("/imagine", "a fox", either.general)
    await picture_in(either.general)

    for secret in (either.team.bot_token, either.slack.app_token, "/commands/", "ticket="):
        assert secret not in caplog.text


async def test_a_placeholder_whose_address_was_never_stored_is_found_again(opened: OfficeOpener) -> None:
    office = await opened(options=create_options(round_trip_seconds=0.2))  # time to die before the answer arrives
    await office.ana.use_command("/imagine", "a fox", office.general)
    placeholder = await office.general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)
    await office.app.runner.stop()
    await office.close()

    await office.open()

    assert await picture_in(office.general) is placeholder
    assert office.general.bot_messages == [placeholder]


async def test_a_stop_finishes_what_was_heard(either: Office) -> None:
    delivery = await either.ana.use_command("/imagine", "a fox", either.general)
    await delivery.wait_for_acknowledgement()

    await either.app.drain()

    await picture_in(either.general)


async def test_fifty_commands_at_once_are_acknowledged_in_time(office: Office) -> None:
    deliveries = [await office.ana.use_command("/help", "", office.general) for _ in range(50)]

    seconds = sorted([(await delivery.wait_for_acknowledgement()).acknowledgement_seconds for delivery in deliveries])

    assert seconds[-1] < 1.5


async def test_a_token_that_dies_without_a_word_is_noticed(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.team.revoke_token()

    await office.ana.use_command("/imagine", "a fox", office.general)

    await office.ana.wait_for_private_message("I am not installed in this workspace any more")
    await office.wait_until_idle()
    assert "slack.workspace_lost" in caplog.text
    assert await office.open_holds() == []


async def test_a_person_whom_slack_does_not_tell_of_may_ask_all_the_same(office: Office) -> None:
    office.slack.faults.respond("users.info", "user_not_found")
    office.slack.faults.respond("usergroups.list", "missing_scope")

    await office.ana.use_command("/imagine", "a fox", office.general)

    await picture_in(office.general)


async def test_an_upload_whose_end_was_not_answered_is_looked_up(office: Office) -> None:
    office.slack.faults.drop_connection("files.completeUploadExternal", takes_effect=True)

    await office.ana.use_command("/imagine", "a fox", office.general)

    assert len((await picture_in(office.general)).files) == 1
    assert len(office.slack.find_calls("files.completeUploadExternal")) == 1


async def test_the_form_of_a_job_that_is_gone_says_so(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await picture_in(office.general)
    for element in picture.elements:
        element["value"] = "0" * 20

    await office.ana.press(picture, "Edit prompt")

    await office.ana.wait_for_private_message("That job is not here any more")


async def test_what_is_no_request_of_slacks_is_refused(opened: OfficeOpener) -> None:
    office = await opened(by="http")
    assert office.slack.http_transport is not None
    session, url = office.slack.http_transport._session, office.slack.http_transport.url

    async with session.post(url, data=b"\xff\xfe\x00") as nonsense, session.get(url) as wrong_method:
        statuses = [nonsense.status, wrong_method.status]
    async with session.get(url.replace("events", "install")) as install:
        statuses.append(install.status)

    assert statuses == [400, 405, 404]


async def test_a_bot_that_stops_hears_nobody_any_more(opened: OfficeOpener) -> None:
    office = await opened(by="http")
    assert office.slack.http_transport is not None
    delivery = await (await office.ana.use_command("/usage", "", office.general)).wait_for_acknowledgement()
    (connection,) = office.app.connections

    await connection.stop_listening()

    assert await office.slack.http_transport.send_forged(delivery) == 503
    with pytest.raises(EaselError, match="hears nobody"):
        connection.check()


async def test_an_event_nobody_waits_for_is_acknowledged(opened: OfficeOpener) -> None:
    office = await opened(by="http")
    delivery = office.slack.event_sender.send(
        office.team,
        {"type": "member_joined_channel", "user": office.ana.id, "channel": office.general.id},
        subscription="app_mention",
    )
    assert delivery
    await delivery.wait_for_acknowledgement()
