"""/privacy export and delete, and the remains of a deleted user, at the bench."""

import json
from dataclasses import replace

import pytest

from bot.core.people import PersonKey, Rank, User
from bot.core.replies import Reply
from bot.credits.ledger import verify_ledger
from bot.dispatch.button_actions import ButtonPress
from bot.jobs import deletion
from bot.jobs.deletion import person_from_user
from bot.storage.web_page import Visitor
from tests.bench import Bench
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR, get_text
from tests.media.pictures import encode_picture
from tests.storage.raw import export_person

SECRET = "a very particular fox"
ANA_THERE = replace(ANA, workspace="guild")
THERE = replace(CHANNEL, workspace="guild", id="c9")


async def delete_data(bench: Bench, by: User = ANA) -> Reply | None:
    question = await bench.say("/privacy delete", by=by)
    assert question is not None
    confirm = question.buttons[0]
    assert (confirm.action, confirm.label) == ("confirm", "Delete everything")
    reply = await bench.app.dispatcher.handle_press(
        ButtonPress(by, CHANNEL, "confirm", confirm.job, 0, f"web:{confirm.job}", "")
    )
    await bench.wait_until_idle()
    return reply


async def export_data(bench: Bench, person: User = ANA) -> str:
    async with bench.app.database.read() as tx:
        return json.dumps(await export_person(tx, person_from_user(person)))


async def test_an_export_holds_the_data_of_its_user_only(bench: Bench) -> None:
    await bench.say(f"/imagine {SECRET}")
    await bench.say("/chat a question of mine")
    await bench.say("/imagine of ben", by=BEN)

    reply = await bench.say("/privacy export")

    assert reply is not None
    assert reply.is_private
    (file,) = reply.files
    exported = json.loads(file.text)
    assert file.name == "easel-web-ana-2026-01-01.json"
    assert [job["options"]["prompt"] for job in exported["jobs"] if "prompt" in job["options"]] == [SECRET]
    assert exported["said"][0]["text"] == "a question of mine"
    assert exported["seen"][0]["name"] == "Ana"
    assert any(output.get("sha256") for output in exported["outputs"])
    assert "of ben" not in file.text


async def test_an_export_holds_limits_and_amounts_set_by_other_people(bench: Bench) -> None:
    await bench.say("/settings general --confirm_above 1", by=MODERATOR)
    await bench.say(f"/imagine {SECRET}")
    await bench.say("/settings general --confirm_above 0", by=MODERATOR)
    await bench.say("/chat a question of mine --system you-are-mine")
    await bench.say("/quota set ana --day 50", by=MODERATOR)
    await bench.say("/quota grant ana 7", by=MODERATOR)
    await bench.say("/words list")
    async with bench.app.database.write() as tx:
        await tx.visitors.put(Visitor(ANA.id, "Ana from the third floor", Rank.USER, bench.clock.now()))

    reply = await bench.say("/privacy export")

    assert reply is not None
    exported = json.loads(reply.files[0].text)
    assert [limit["value"] for limit in exported["limits"]] == [50_000]
    assert {account["id"] for account in exported["accounts"]} >= {"wallet:granted:web:page:ana"}
    assert 7_000 in [row["balance_delta_micros"] for row in exported["ledger"] if row["kind"] == "grant"]
    assert [act["action"] for act in exported["acts"]] == ["refused"]
    assert [begun["system"] for begun in exported["conversations"]] == ["you-are-mine"]
    assert SECRET in json.dumps(exported["waiting"])
    assert [visitor["name"] for visitor in exported["invitation"]] == ["Ana from the third floor"]
    assert "mo" not in json.dumps(exported["limits"])  # the moderator's id belongs in the moderator's export


async def test_an_export_beyond_a_message_is_cut_off_and_tells_the_way_to_all(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.say(f"/imagine {SECRET}")
    await bench.say("/imagine a second one")
    monkeypatch.setattr(deletion, "EXPORT_MAX_BYTES", 1_000)

    reply = await bench.say("/privacy export")
    whole = "".join([part async for part in bench.app.jobs.personal_data.stream_export(person_from_user(ANA))])

    assert reply is not None
    assert "`python -m bot privacy export web:ana`" in reply.text
    cut = json.loads(reply.files[0].text)
    assert cut["cut_off"] is True
    assert len(reply.files[0].text) < 1_500
    assert len(json.loads(whole)["jobs"]) == 2
    assert "cut_off" not in json.loads(whole)


async def test_a_deletion_asks_for_confirmation(bench: Bench) -> None:
    await bench.say(f"/imagine {SECRET}")

    question = get_text(await bench.say("/privacy delete"))

    assert "It cannot be undone." in question
    assert "everywhere on this page" in question
    assert SECRET in await export_data(bench)


async def test_a_deletion_leaves_no_text_picture_or_name(bench: Bench) -> None:
    await bench.say(f"/imagine {SECRET}")
    picture = bench.last_message.reply.pictures[0].sha256
    await bench.say("/chat a question of mine")
    await bench.say("/caption what is it?", image=encode_picture("PNG"))

    text = get_text(await delete_data(bench))

    assert text == "It is gone. Amounts stay in the books, without words."
    remaining = await export_data(bench)
    for deleted in (SECRET, "a question of mine", "Ana", "what is it?", picture):
        assert deleted not in remaining
    assert bench.app.media.find_path(picture) is None
    assert await bench.app.media.list_files() == []
    assert list(bench.platform.messages) == []


async def test_amounts_stay_and_the_ledger_is_consistent(bench: Bench) -> None:
    await verify_ledger(bench.app.database, bench.clock.now())  # later only new rows are read
    await bench.say(f"/imagine {SECRET}")
    spent = bench.starting_credits - await bench.balance()

    await delete_data(bench)

    exported = json.loads(await export_data(bench))
    assert [job["cost_micros"] for job in exported["jobs"]] == [3_000]
    assert bench.starting_credits - await bench.balance() == spent
    assert (await verify_ledger(bench.app.database, bench.clock.now())).discrepancies == ()


async def test_a_deletion_covers_all_workspaces_of_the_platform(bench: Bench) -> None:
    await bench.app.dispatcher.services.moderation.admin.allow_workspace(replace(MODERATOR, workspace="guild"))
    await bench.say(f"/imagine {SECRET}", by=ANA_THERE, channel=THERE)

    await delete_data(bench)

    assert SECRET not in await export_data(bench, ANA_THERE)


async def test_a_deletion_stops_running_jobs_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.jobs.deletion.REPLY_TIMEOUT_SECONDS", 0.1)
    bench.backend.will(hangs_after=0)
    await bench.say(f"/imagine {SECRET}")

    text = await delete_data(bench)
    for _ in range(20):
        await bench.advance_time(0.5)

    assert text is not None
    assert bench.backend.cancelled == [bench.backend.last_run.id]
    assert SECRET not in await export_data(bench)
    assert await bench.list_open_holds() == []


async def test_other_users_keep_their_data_and_shared_pictures(bench: Bench) -> None:
    await bench.say("/imagine a fox --seed 7")
    await bench.say("/imagine a fox --seed 7", by=BEN)
    picture = bench.last_message.reply.pictures[0].sha256

    await delete_data(bench)

    assert bench.app.media.find_path(picture) is not None
    assert "a fox" in await export_data(bench, BEN)


async def test_a_deleted_result_is_not_reused(bench: Bench) -> None:
    await bench.say("/settings pictures --reuse yes", by=MODERATOR)
    await bench.say("/imagine a fox --seed 7")
    await delete_data(bench)

    await bench.say("/imagine a fox --seed 7", by=BEN)

    assert len(bench.backend.runs) == 2
    assert len(bench.last_message.reply.pictures) == 1


async def test_limits_outlive_the_data_and_the_question_mentions_limits(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/quota set ana --day 3", by=MODERATOR)
    question = get_text(await bench.say("/privacy delete"))

    await delete_data(bench)

    assert "A block and limits by moderators stay too." in question
    assert "short" in get_text(await bench.say("/imagine a fox"))


async def test_a_block_outlives_the_data(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/block ana --stop no", by=MODERATOR)

    await delete_data(bench)

    assert "You are blocked here" in get_text(await bench.say("/imagine a fox"))
    assert "Ana" not in await export_data(bench)


async def test_a_requested_deletion_is_finished_by_the_next_sweep(bench: Bench) -> None:
    await bench.say(f"/imagine {SECRET}")
    await bench.app.jobs.personal_data.request_deletion(person_from_user(ANA), ANA)

    await bench.app.retention.sweep()

    assert SECRET not in await export_data(bench)
    async with bench.app.database.read() as tx:
        assert await tx.pending.list_by_kind("erasure") == []


async def test_buttons_of_deleted_jobs_are_refused(bench: Bench) -> None:
    await bench.say(f"/imagine {SECRET}")
    job = (await bench.get_job()).id
    await delete_data(bench)

    reply = await bench.app.dispatcher.handle_press(ButtonPress(ANA, CHANNEL, "again", job, 0, "web:again", "m"))

    assert get_text(reply) == "What was asked there is not kept any more. Please ask again."


def test_a_person_on_slack_is_identified_within_the_team() -> None:
    assert person_from_user(replace(ANA, platform="slack", workspace="T1")) == PersonKey("slack", "T1", "ana")
    assert person_from_user(replace(ANA, platform="discord", workspace="1")) == PersonKey("discord", "", "ana")


async def test_a_deletion_continues_after_a_message_cannot_be_deleted(bench: Bench) -> None:
    await bench.say(f"/imagine {SECRET}")
    bench.platform.will_fail(RuntimeError("an SDK broke"))

    assert get_text(await delete_data(bench)) == "It is gone. Amounts stay in the books, without words."

    assert SECRET not in await export_data(bench)


async def test_a_forged_answer_does_not_stop_a_deletion(bench: Bench) -> None:
    on_slack = replace(ANA, platform="slack", workspace="T1")
    await bench.app.dispatcher.services.moderation.admin.allow_workspace(on_slack)
    await bench.app.jobs.personal_data.request_deletion(person_from_user(on_slack), on_slack)

    press = ButtonPress(
        on_slack, replace(CHANNEL, platform="slack"), "decline", "erasure:slack:T1:ana", 0, "slack:1", ""
    )
    text = get_text(await bench.app.dispatcher.handle_press(press))

    assert "answered already" in text
    async with bench.app.database.read() as tx:
        assert len(await tx.pending.list_by_kind("erasure")) == 1


async def test_no_text_stays_in_other_users_jobs_of_the_conversation(bench: Bench) -> None:
    await bench.say("/chat a question of mine")
    await bench.say("/chat and one of ben's", by=BEN)
    sent = await bench.get_job()
    assert "a question of mine" in str(sent.inputs)
    assert "a question of mine" not in await export_data(bench, BEN)

    await delete_data(bench)

    assert "a question of mine" not in str(await bench.get_job(sent.id))
    assert "and one of ben's" in await export_data(bench, BEN)
    await bench.press("regenerate", by=BEN)
    assert "and one of ben's" in str(bench.backend.last_run.inputs)
    assert "a question of mine" not in str(bench.backend.last_run.inputs)
