"""Failures of Slack: each ends in a clear message or a clean log line, with correct credits and complete answers."""

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


async def wait_for_picture(channel: SlackChannelState) -> SlackMessageState:
    return await channel.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels, timeout_seconds=15)


async def test_a_storm_of_429_is_waited_out(any_office: Office) -> None:
    for method in ("chat.postMessage", "files.getUploadURLExternal"):
        any_office.slack.faults.rate_limit(method, retry_after=1)

    await any_office.ana.use_command("/imagine", "a fox", any_office.general)
    await any_office.clock.hurry_until(
        lambda: any("Again" in one.button_labels for one in any_office.general.bot_messages)
    )

    picture = await wait_for_picture(any_office.general)
    assert len(picture.files) == 1
    assert any_office.general.bot_messages == [picture]


async def test_a_429_is_counted(office: Office) -> None:
    before = value_of("easel_rate_limited_total", platform="slack")
    office.slack.faults.rate_limit("chat.postMessage", retry_after=1)

    await office.ana.use_command("/imagine", "a fox", office.general)
    await office.clock.hurry_until(lambda: any("Again" in one.button_labels for one in office.general.bot_messages))

    assert value_of("easel_rate_limited_total", platform="slack") - before == 1


async def test_after_a_429_nothing_is_called_before_its_time(office: Office) -> None:
    office.backend.will(words=WORDS, hangs_after=30)
    request = await office.ana.say(f"{office.team.mention} hello", office.general)
    await office.general.get_thread(request).wait_for_bot_message("word20 ")
    office.slack.faults.rate_limit("chat.stopStream", retry_after=1)

    office.backend.last_run.released.set()
    await office.general.get_thread(request).wait_for_bot_message(condition=lambda one: "Delete" in one.button_labels)

    refused, accepted = office.slack.find_calls("chat.stopStream")
    assert refused.status == 429
    assert accepted.received_at - refused.received_at >= 1


async def test_a_short_failure_of_slack_loses_nothing(office: Office) -> None:
    office.slack.faults.fail("chat.update", status=503)
    office.slack.faults.drop_connection("files.getUploadURLExternal")

    await office.ana.use_command("/imagine", "a fox", office.general)

    assert len((await wait_for_picture(office.general)).files) == 1


async def test_a_socket_closed_without_notice_opens_again(office: Office) -> None:
    await office.slack.sockets.request_reconnect()
    await office.slack.changes.wait_for(lambda: office.slack.sockets.opened_count == 2, "a second socket")

    await office.ana.use_command("/imagine", "a fox", office.general)

    await wait_for_picture(office.general)


async def test_a_thread_deleted_during_the_answer_ends_cleanly(open_office: OfficeOpener) -> None:
    office = await open_office(options=create_options(rejects_orphan_replies=True))
    office.backend.will(words=WORDS, hangs_after=30)
    request = await office.ana.say(f"{office.team.mention} hello", office.general)
    await office.general.get_thread(request).wait_for_bot_message("word20 ")

    office.slack.delete_thread(request)
    office.backend.last_run.released.set()
    await office.wait_until_idle()

    assert await office.open_holds() == []


async def test_a_picture_of_a_deleted_placeholder_can_be_shown_again(office: Office) -> None:
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


async def test_a_chat_in_a_channel_without_the_bot_says_how_to_invite_it(any_office: Office) -> None:
    hidden = any_office.team.add_channel("hidden", is_private=True, has_bot=False)

    await any_office.ana.use_command("/chat", "hello", hidden)

    await any_office.ana.wait_for_private_message("Invite me with `/invite @easel`")
    assert any_office.backend.runs == {}


async def test_removing_the_bot_during_an_answer_loses_no_credits(office: Office) -> None:
    office.backend.will(hangs_after=0)
    await office.ana.use_command("/imagine", "a fox", office.general)
    await office.general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)
    await office.slack.wait_for_call("chat.update")

    office.general.remove_bot()
    office.backend.last_run.released.set()
    await office.wait_until_idle()

    assert await office.open_holds() == []


async def test_a_file_the_bot_may_not_read_says_so(open_office: OfficeOpener) -> None:
    office = await open_office()
    office.team.scopes.discard("files:read")
    posted = await office.ana.say("look", office.general, files=[make_png()])

    await office.otto.use_message_shortcut("picture:caption", posted)

    await office.otto.wait_for_private_message("I may not read picture-1.png")
    assert office.backend.runs == {}


async def test_an_uninstalled_app_settles_its_jobs_and_fails_the_health_check(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
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


async def test_an_exhausted_response_url_is_not_needed(office: Office) -> None:
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
    picture = await wait_for_picture(office.general)
    mia = office.team.add_person("Mia")
    office.advance_time(3600)

    await mia.press(picture, "Delete")

    await mia.wait_for_private_message("Only the person who asked, or a moderator, can delete this.")


async def test_a_button_of_an_older_bot_is_explained(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await wait_for_picture(office.general)
    picture.elements[0]["action_id"] = "transmogrify:1"

    await office.ana.press(picture, "transmogrify:1")

    await office.ana.wait_for_private_message("belongs to an older version of the bot")


async def test_an_action_that_is_not_ours_is_acknowledged(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await wait_for_picture(office.general)
    picture.elements[0]["action_id"] = "somebody-elses"

    delivery = await office.ana.press(picture, "somebody-elses")

    await delivery.wait_for_acknowledgement()


async def test_pressing_twice_is_one_press(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await wait_for_picture(office.general)
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


async def test_missing_transport_settings_are_named(tmp_path: Any) -> None:
    office = await create_office(tmp_path, slack_app_token=None)

    with pytest.raises(EaselError, match=r"SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP"):
        await office.open()

    await office.app.close()
    await office.slack.stop()


async def test_an_unreachable_slack_is_reported_in_a_sentence(tmp_path: Any) -> None:
    office = await create_office(tmp_path)
    await office.slack.stop()

    with pytest.raises(EaselError, match="Slack cannot be reached"):
        await office.open()

    await office.app.close()


async def test_forged_late_and_unsigned_requests_are_refused_and_not_logged(
    open_office: OfficeOpener, caplog: pytest.LogCaptureFixture
) -> None:
    office = await open_office(transport="http")
    wire = office.slack.http_transport
    assert wire is not None
    delivery = await (
        await office.ana.use_command("/imagine", "my secret words", office.general)
    ).wait_for_acknowledgement()
    await wait_for_picture(office.general)
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


async def test_the_url_is_verified_as_slack_asks(open_office: OfficeOpener) -> None:
    office = await open_office(transport="http")
    assert office.slack.http_transport is not None

    await office.slack.http_transport.verify_url()


async def test_no_token_reaches_the_log(any_office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="bot")

    await any_office.ana.use_command("/imagine", "a fox", any_office.general)
    await wait_for_picture(any_office.general)

    for secret in (any_office.team.bot_token, any_office.slack.app_token, "/commands/", "ticket="):
        assert secret not in caplog.text


async def test_a_placeholder_whose_address_was_never_stored_is_found_again(open_office: OfficeOpener) -> None:
    office = await open_office(options=create_options(round_trip_seconds=0.2))  # time to die before the answer arrives
    await office.ana.use_command("/imagine", "a fox", office.general)
    placeholder = await office.general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)
    await office.app.runner.stop()
    await office.close()

    await office.open()

    assert await wait_for_picture(office.general) is placeholder
    assert office.general.bot_messages == [placeholder]


async def test_stopping_finishes_received_events(any_office: Office) -> None:
    delivery = await any_office.ana.use_command("/imagine", "a fox", any_office.general)
    await delivery.wait_for_acknowledgement()

    await any_office.app.drain()

    await wait_for_picture(any_office.general)


async def test_fifty_commands_at_once_are_acknowledged_in_time(office: Office) -> None:
    deliveries = [await office.ana.use_command("/help", "", office.general) for _ in range(50)]

    seconds = sorted([(await delivery.wait_for_acknowledgement()).acknowledgement_seconds for delivery in deliveries])

    assert seconds[-1] < 3.0, "Slack shows an error after three seconds"


async def test_a_token_revoked_without_an_event_is_noticed(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.team.revoke_token()

    await office.ana.use_command("/imagine", "a fox", office.general)

    await office.ana.wait_for_private_message("I am not installed in this workspace any more")
    await office.wait_until_idle()
    assert "slack.workspace_lost" in caplog.text
    assert await office.open_holds() == []


async def test_a_user_without_a_profile_may_use_the_bot(office: Office) -> None:
    office.slack.faults.respond("users.info", "user_not_found")
    office.slack.faults.respond("usergroups.list", "missing_scope")

    await office.ana.use_command("/imagine", "a fox", office.general)

    await wait_for_picture(office.general)


async def test_an_upload_without_a_response_is_looked_up(office: Office) -> None:
    office.slack.faults.drop_connection("files.completeUploadExternal", takes_effect=True)

    await office.ana.use_command("/imagine", "a fox", office.general)

    assert len((await wait_for_picture(office.general)).files) == 1
    assert len(office.slack.find_calls("files.completeUploadExternal")) == 1


async def test_the_form_of_a_deleted_job_reports_an_error(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await wait_for_picture(office.general)
    for element in picture.elements:
        element["value"] = "0" * 20

    await office.ana.press(picture, "Edit prompt")

    await office.ana.wait_for_private_message("That job is not here any more")


async def test_malformed_requests_are_refused(open_office: OfficeOpener) -> None:
    office = await open_office(transport="http")
    assert office.slack.http_transport is not None
    session, url = office.slack.http_transport._session, office.slack.http_transport.url

    async with session.post(url, data=b"\xff\xfe\x00") as nonsense, session.get(url) as wrong_method:
        statuses = [nonsense.status, wrong_method.status]
    async with session.get(url.replace("events", "install")) as install:
        statuses.append(install.status)

    assert statuses == [401, 405, 404]


async def test_a_stopping_bot_accepts_no_requests(open_office: OfficeOpener) -> None:
    office = await open_office(transport="http")
    assert office.slack.http_transport is not None
    delivery = await (await office.ana.use_command("/usage", "", office.general)).wait_for_acknowledgement()
    (connection,) = office.app.connections

    await connection.stop_listening()

    assert await office.slack.http_transport.send_forged(delivery) == 503
    with pytest.raises(EaselError, match="hears nobody"):
        connection.check()


async def test_an_event_without_a_listener_is_acknowledged(open_office: OfficeOpener) -> None:
    office = await open_office(transport="http")
    delivery = office.slack.event_sender.send(
        office.team,
        {"type": "member_joined_channel", "user": office.ana.id, "channel": office.general.id},
        subscription="app_mention",
    )
    assert delivery
    await delivery.wait_for_acknowledgement()
