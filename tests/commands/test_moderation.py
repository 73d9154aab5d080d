"""/block, /unblock, /words, /jobs, /audit, /pause, /resume, at the bench."""

from dataclasses import replace

import pytest

from bot.core.invocations import Invocation
from bot.dispatch.button_actions import ButtonPress
from tests.bench import Bench
from tests.fakes.samples import ANA, BEN, CHANNEL, ELSEWHERE, MODERATOR, OWNER, get_text


async def say_as_moderator(bench: Bench, line: str) -> str:
    return get_text(await bench.say(line, by=MODERATOR))


async def test_a_block_stops_running_jobs_and_shows_reason_and_end(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")

    text = await say_as_moderator(bench, '/block ana 2h "spamming us"')
    await bench.wait_until_idle()

    assert text == ("Ana is blocked until 01 January 2026, 02:00 UTC. They read: “spamming us”. Stopped: 1 of theirs.")
    assert bench.last_text == "⏹ Stopped."
    assert get_text(await bench.say("/imagine a fox")) == (
        "You are blocked here until 01 January 2026, 02:00 UTC: spamming us. Ask a moderator."
    )


async def test_a_block_may_leave_running_jobs(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")

    await say_as_moderator(bench, "/block ana --stop no")

    assert not bench.backend.cancelled


async def test_a_block_holds_for_presses_and_forms(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    await say_as_moderator(bench, "/block ana")

    assert get_text(await bench.press("again")) == "You are blocked here until a moderator ends it. Ask a moderator."


async def test_a_block_ends_at_its_end_or_by_unblock(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await say_as_moderator(bench, "/block ana 30m")

    await bench.clock.advance(1_800)
    by_itself = await bench.say("/imagine a fox")
    await say_as_moderator(bench, "/block ana")
    text = await say_as_moderator(bench, "/unblock ana")

    assert by_itself is None
    assert text == "Ana may ask again."
    assert await bench.say("/imagine a fox") is None
    assert await say_as_moderator(bench, "/unblock ana") == "Ana is not blocked here."


async def test_a_date_is_in_the_workspaces_time_zone(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await say_as_moderator(bench, "/settings general --time_zone Europe/Berlin")

    assert "until 01 March 2026, 08:00 (Europe/Berlin)" in await say_as_moderator(
        bench, '/block ana "2026-03-01 08:00"'
    )
    await bench.clock.advance(59 * 86_400 + 6.9 * 3_600)
    assert "You are blocked" in get_text(await bench.say("/imagine a fox"))
    await bench.clock.advance(0.2 * 3_600)
    assert await bench.say("/imagine a fox") is None


@pytest.mark.parametrize(
    ("until", "text"),
    [
        ("0h", "until must lie ahead"),
        ("2020-01-01", "until must lie ahead"),
        ("2026-02-30", "until is a span such as 2h"),
        ("soon", "until is a span such as 2h"),
        ("99999w", "more than ten years ahead"),
        ("-2h", "until is a span such as 2h"),
    ],
)
async def test_an_invalid_end_is_refused(bench: Bench, until: str, text: str) -> None:
    await bench.say("/imagine a fox")

    assert text in await say_as_moderator(bench, f"/block ana --until={until}")
    assert await bench.say("/imagine a fox") is None


async def test_moderators_cannot_block_themselves_or_administrators(bench: Bench) -> None:
    admin = replace(MODERATOR, id="ada", name="Ada")
    await bench.say("/imagine a fox", by=admin)
    await bench.say("/imagine a fox", by=MODERATOR)

    assert await say_as_moderator(bench, "/block ada") == "Ada administers this workspace: no block holds against them."
    assert await say_as_moderator(bench, "/block mo") == "You cannot block yourself."
    assert await say_as_moderator(bench, "/block zoe") == "I have not seen “zoe” here yet. They must have used me once."


async def test_a_block_never_locks_out_an_administrator_or_the_owner(bench: Bench) -> None:
    for person in (MODERATOR, OWNER):
        await bench.app.dispatcher.services.jobs.record_user(person)
        admin = bench.app.dispatcher.services.moderation.admin
        await admin.block(BEN, person, bench.clock.now().replace(year=2030), "")

        assert await bench.say("/imagine a fox", by=person) is None


async def test_a_block_holds_in_its_workspace_only(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await say_as_moderator(bench, "/block ana")
    moderation = bench.app.dispatcher.services.moderation

    await moderation.admin.allow_workspace(ELSEWHERE)

    await moderation.admit(replace(ANA, workspace="other"))


# Words.


async def test_refused_words_are_added_listed_tested_and_removed(bench: Bench) -> None:
    assert await say_as_moderator(bench, "/words list") == "No word is refused here. `/words add` adds one."
    assert await say_as_moderator(bench, "/words add Badg*") == "Asks with “Badg*” in them are refused from now on."
    assert await say_as_moderator(bench, "/words add BADG*") == "“BADG*” is refused already."
    assert await say_as_moderator(bench, "/words list") == "Refused here: `badg*`"
    assert await say_as_moderator(bench, "/words test two bádgers") == "Refused, for “badg*”."
    assert await say_as_moderator(bench, "/words test a fox") == "Let through: no refused word is in it."
    assert await say_as_moderator(bench, "/words remove badg*") == "“badg*” may be asked for again."
    assert "is not among this workspace's words" in await say_as_moderator(bench, "/words remove badg*")
    assert "word needs a letter or a digit" in await say_as_moderator(bench, "/words add ***")
    assert await bench.say("/imagine a badger") is None


@pytest.mark.parametrize(
    "line",
    [
        "/imagine a badger",
        "/imagine a fox --model sdxl --negative badger",
        "/chat what is a ＢＡＤＧＥＲ?",
        '/chat hello --system "you are a bad\u200bger"',
    ],
)
async def test_all_texts_of_a_request_are_checked_before_credits_are_held(bench: Bench, line: str) -> None:
    await say_as_moderator(bench, "/words add badger")

    refused = get_text(await bench.say(line))

    assert refused == "That has a word in it which is not wanted here. Please say it differently."
    assert await bench.balance() == bench.starting_credits


async def test_texts_of_a_form_are_checked(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await say_as_moderator(bench, "/words add badger")

    button = next(button for button in bench.last_message.reply.buttons if button.action == "edit")
    press = ButtonPress(ANA, CHANNEL, "edit", button.job, 0, "web:form", bench.last_message.ref.id)
    refused = await bench.app.dispatcher.submit_form(press, {"prompt": "a badger"})

    assert "a word in it which is not wanted" in get_text(refused)


# Jobs.


async def test_jobs_lists_running_jobs_with_a_button_for_each(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    await bench.clock.advance(5)

    reply = await bench.say("/jobs", by=MODERATOR, channel=replace(CHANNEL, id="staff"))
    job = await bench.get_job()

    assert get_text(reply) == (f"1. Ana: /imagine “a fox” · FLUX schnell · runs, 5 s · at most 3 credits · `{job.id}`")
    assert reply is not None
    assert [(button.action, button.label, button.job) for button in reply.buttons] == [("cancel", "Stop 1", job.id)]


async def test_jobs_cancel_stops_a_job_by_id(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    job = await bench.get_job()

    text = await say_as_moderator(bench, f"/jobs cancel {job.id}")
    await bench.wait_until_idle()

    assert text == f"Stopping /imagine `{job.id}` of Ana."
    assert bench.last_text == "⏹ Stopped."
    assert await say_as_moderator(bench, "/jobs") == "Nothing runs or waits in this workspace."
    assert (
        await say_as_moderator(bench, f"/jobs cancel {job.id}")
        == "That is over already: there is nothing left to stop."
    )
    assert (
        await say_as_moderator(bench, "/jobs cancel")
        == "job is missing: Which one is to be cancelled? /jobs lists them."
    )
    assert await say_as_moderator(bench, "/jobs cancel nothing1") == (
        "There is no job called “nothing1” in this workspace. /jobs lists them."
    )
    assert await say_as_moderator(bench, f"/jobs list {job.id}") == f"/jobs cancel {job.id} stops it."


async def test_moderators_see_and_stop_jobs_of_their_workspace_only(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    await bench.app.dispatcher.services.moderation.admin.allow_workspace(ELSEWHERE)
    there = replace(CHANNEL, workspace="other")

    listed = get_text(await bench.say("/jobs", by=ELSEWHERE, channel=there))
    cancelled = get_text(await bench.say(f"/jobs cancel {job.id}", by=ELSEWHERE, channel=there))

    assert listed == "Nothing runs or waits in this workspace."
    assert "There is no job called" in cancelled
    assert not bench.backend.cancelled


# Pauses.


async def test_a_pause_shows_the_reason_and_leaves_running_jobs(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")

    text = get_text(await bench.say("/pause flux-schnell --reason out-of-paint", by=OWNER))

    assert text == "Nothing new of `flux-schnell` starts until `/resume flux-schnell`. What runs goes on."
    assert not bench.backend.cancelled
    assert get_text(await bench.say("/imagine a fox")) == (
        "FLUX schnell is paused at the moment: out-of-paint. Please try again later."
    )


@pytest.mark.parametrize(("what", "name"), [("all", "Everything"), ("web", "Web")])
async def test_a_platform_or_the_whole_bot_can_be_paused_and_resumed(bench: Bench, what: str, name: str) -> None:
    await bench.say(f"/pause {what}", by=OWNER)

    refused = get_text(await bench.say("/imagine a fox"))

    assert refused == f"{name} is paused at the moment. Please try again later."
    assert get_text(await bench.say("/resume", by=OWNER)) == f"- `{what}`"
    assert get_text(await bench.say(f"/resume {what}", by=OWNER)) == f"`{what}` starts again."
    assert await bench.say("/imagine a fox") is None
    assert get_text(await bench.say("/resume", by=OWNER)) == "Nothing is paused."
    assert "is not paused" in get_text(await bench.say(f"/resume {what}", by=OWNER))


async def test_pause_refuses_an_unknown_target(bench: Bench) -> None:
    assert "Did you mean sdxl?" in get_text(await bench.say("/pause sdlx", by=OWNER))


# The audit.


async def test_the_audit_lists_changes_newest_first(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await say_as_moderator(bench, "/settings general --time_zone Europe/Berlin")
    await say_as_moderator(bench, "/block ana 2h spam")
    await bench.say("/words list")

    text = (await say_as_moderator(bench, "/audit")).splitlines()

    assert (
        text
        == [
            "- 01 Jan 01:00 · Ana · was refused · what /words list",
            "- 01 Jan 01:00 · Mo · blocked · user Ana, until 01 January 2026, 03:00 (Europe/Berlin), reason spam",
            "- 01 Jan 01:00 · Mo · changed · time zone: – → Europe/Berlin",
        ][-len(text) :]
    )


async def test_the_audit_is_filtered_by_person_and_kind(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await say_as_moderator(bench, "/words add badger")
    await bench.say("/words list")

    assert await say_as_moderator(bench, "/audit ana") == "- 01 Jan 00:00 · Ana · was refused · what /words list"
    assert await say_as_moderator(bench, "/audit --kind words") == "- 01 Jan 00:00 · Mo · refuses a word · word badger"
    assert await say_as_moderator(bench, "/audit --kind blocks") == "Nothing of that is on record here."


async def test_the_audit_lists_its_own_workspace_only(bench: Bench) -> None:
    await say_as_moderator(bench, "/words add badger")
    await bench.app.dispatcher.services.moderation.admin.allow_workspace(ELSEWHERE)

    there = get_text(await bench.say("/audit", by=ELSEWHERE, channel=replace(CHANNEL, workspace="other")))

    assert "badger" not in there
    assert "allowed this workspace" in there


async def test_an_identical_refusal_is_recorded_once_a_minute(bench: Bench) -> None:
    for _ in range(5):
        await bench.say("/words list", by=BEN)
    await bench.clock.advance(61)
    await bench.say("/words list", by=BEN)

    assert len((await say_as_moderator(bench, "/audit --kind refusals")).splitlines()) == 2


async def test_the_audit_names_people_and_finds_every_pause(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=replace(ANA, id="u1"))
    await say_as_moderator(bench, "/quota grant u1 5")
    await say_as_moderator(bench, "/quota take u1 2")
    await bench.say("/pause sdxl", by=OWNER)
    await bench.say("/resume sdxl", by=OWNER)

    credits_ = await say_as_moderator(bench, "/audit --kind credits")
    pauses = await say_as_moderator(bench, "/audit --kind pauses")

    assert "gave extra credits · to Ana, 5 credits" in credits_
    assert "took extra credits back · of Ana, 2 credits" in credits_
    assert len(pauses.splitlines()) == 2


async def test_a_private_job_is_not_shown_to_moderators(bench: Bench) -> None:
    private = Invocation(ANA, CHANNEL, "imagine", "web:private", {"prompt": "a secret fox"}, is_private=True)
    await bench.app.dispatcher.handle(private)
    await bench.wait_until_idle()
    job = await bench.get_job()
    message = bench.last_message.ref.id

    for by in (MODERATOR, BEN):
        press = ButtonPress(by, CHANNEL, "show", job.id, 0, f"web:{by.id}", message)
        shown = await bench.app.dispatcher.handle_press(press)
        assert get_text(shown) == "That job is not here any more, so its buttons do nothing."


async def test_repeated_reports_of_a_job_are_recorded_once(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    message = bench.last_message
    for _ in range(5):
        text = await bench.press("report", on=message, by=BEN)

    assert get_text(text) == "Thank you. The moderators have been told."
    assert len((await say_as_moderator(bench, "/audit --kind reports")).splitlines()) == 1


async def test_an_undelivered_report_asks_the_user_to_contact_a_moderator(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    bench.platform.will_fail(RuntimeError("an SDK broke"))

    text = await bench.press("report", by=BEN)

    assert get_text(text) == "It is noted, but I could reach no moderator. Please tell one yourself."


async def test_the_name_of_a_model_is_not_checked_for_refused_words(bench: Bench) -> None:
    await say_as_moderator(bench, "/words add flux")

    assert await bench.say("/imagine a fox") is None
    assert "a word in it which is not wanted" in get_text(await bench.say("/imagine a flux of foxes"))


async def test_a_paused_model_is_not_suggested_instead(bench: Bench) -> None:
    await bench.say("/quota set ana --day 4", by=OWNER)
    await bench.app.dispatcher.services.jobs.record_user(ANA)
    await bench.say("/quota set ana --day 4", by=OWNER)
    suggested = get_text(await bench.say("/imagine a fox --model flux-dev"))
    await bench.say("/pause flux-schnell", by=OWNER)

    refused = get_text(await bench.say("/imagine a fox --model flux-dev"))

    assert "(`flux-schnell`) would do" in suggested
    assert "short" in refused
    assert "flux-schnell" not in refused
