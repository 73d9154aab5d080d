"""Tests the smaller stores: each row is read back as written, once."""

from dataclasses import replace

import pytest

from bot.core.errors import AlreadyClaimed
from bot.core.ids import new_id
from bot.core.invocations import Conversation, Turn, TurnRole
from bot.core.jobs import MessageState, Output, PostedMessage
from bot.core.people import BOT, Actor, PersonKey
from bot.core.replies import Button, MessageRef, Picture, Progress, Recipient, Reply, Stage, TextFile, Tone
from bot.storage.database import Database
from bot.storage.models import Preset
from bot.storage.moderation import PauseKind, PauseTarget
from bot.storage.policies import Policy
from bot.storage.web_page import PageMessage
from tests.storage.raw import execute
from tests.storage.rows import ANA, NOON, after, make_job, make_prediction

HOUR = 3600
EVERYTHING, SDXL = PauseTarget(PauseKind.ALL), PauseTarget(PauseKind.MODEL, "sdxl")


async def test_a_closed_prediction_has_a_cost_and_no_inputs(database: Database) -> None:
    record = make_prediction()

    async with database.write() as tx:
        await tx.predictions.add(record)
        assert await tx.predictions.get(record.id) == record
        await tx.predictions.mark_submitted(record.id, after(1))
        await tx.predictions.mark_submitted(record.id, after(2))
        await tx.predictions.bind_backend_id(record.id, "abc")
        await tx.predictions.bind_backend_id(record.id, "abc")
        await tx.predictions.close(record.id, "succeeded", 1.5, 4500)

    closed = replace(record, submitted_at=after(1), backend_id="abc", state="succeeded", inputs={})
    async with database.read() as tx:
        assert await tx.predictions.get(record.id) == replace(closed, predict_seconds=1.5, cost_micros=4500)
        assert await tx.predictions.get("none") is None


async def test_a_run_belongs_to_one_prediction(database: Database) -> None:
    first, second, elsewhere = make_prediction(), make_prediction(), make_prediction(backend="other")
    async with database.write() as tx:
        for record in (first, second, elsewhere):
            await tx.predictions.add(record)
        await tx.predictions.bind_backend_id(first.id, "abc")
        await tx.predictions.bind_backend_id(elsewhere.id, "abc")

    for prediction, backend_id in ((second.id, "abc"), (first.id, "def")):
        with pytest.raises(AlreadyClaimed):
            async with database.write() as tx:
                await tx.predictions.bind_backend_id(prediction, backend_id)


async def test_the_usual_duration_follows_slowly(database: Database) -> None:
    async with database.write() as tx:
        assert await tx.predictions.get_usual_seconds("sdxl") is None
        await tx.predictions.update_usual_seconds("sdxl", 10)
        assert await tx.predictions.get_usual_seconds("sdxl") == 10
        await tx.predictions.update_usual_seconds("sdxl", 20)
        assert await tx.predictions.get_usual_seconds("sdxl") == pytest.approx(12)


async def test_outputs_are_stored_once(database: Database) -> None:
    record, content = make_prediction(), "a" * 64
    picture = Output(record.id, 1, content, "image/png", 2**33, 512, 768, alt="A fox\0", expires_at=after(HOUR))
    text = Output(record.id, 2, text="A fox.", is_flagged=True)
    async with database.write() as tx:
        await tx.predictions.add(record)
        await tx.outputs.add([text, picture])
        await tx.outputs.add([replace(picture, alt="again"), text])
        await tx.outputs.add([])

    kept = replace(picture, alt="A fox")
    async with database.read() as tx:
        assert await tx.outputs.list_outputs(record.id) == [kept, text]


async def test_messages_are_replaced_by_part_and_expired_tokens_erased(database: Database) -> None:
    job = make_job()
    ref = MessageRef("discord", "guild", "lobby", "", "m1", "secret", after(900))
    first = PostedMessage(job.id, 0, ref)
    original = replace(ref, id="m2", is_original_response=True)
    later = replace(first, ref=original, state=MessageState.FINAL, start=3, end=9, opening="```python")
    async with database.write() as tx:
        await tx.jobs.add(job)
        for message in (replace(first, part=1), first, later):
            await tx.messages.put(message)

    async with database.write() as tx:
        assert await tx.messages.list_messages(job.id) == [later, replace(first, part=1)]
        assert await tx.messages.erase_expired_tokens(after(900)) == 0
        assert await tx.messages.erase_expired_tokens(after(901)) == 2
        assert [message.ref.token for message in await tx.messages.list_messages(job.id)] == ["", ""]
        assert await tx.messages.erase_expired_tokens(after(901)) == 0


async def test_an_unposted_message_keeps_its_recipient_until_it_is_posted(database: Database) -> None:
    job = make_job()
    ref = MessageRef("slack", "T1", "C1", "1.5", f"{job.id}:0", unposted_for=Recipient("U1", "T2"))
    unposted = PostedMessage(job.id, 0, ref)
    posted = replace(unposted, ref=replace(ref, id="2.5", unposted_for=None))
    async with database.write() as tx:
        await tx.jobs.add(job)

    for message in (unposted, posted):
        async with database.write() as tx:
            await tx.messages.put(message)
            assert await tx.messages.list_messages(job.id) == [message]


async def test_policies_of_a_workspace_and_of_the_bot(database: Database) -> None:
    ours = Policy("discord", "guild", "role", "painters", "daily", {"credits": 5}, Actor("discord", "guild", "1"), NOON)
    everywhere = Policy("", "", "bot", "", "monthly", 10, Actor("discord", "guild", "1"), NOON)
    changed = replace(ours, value=None, by=Actor("discord", "guild", "2"), at=after(1))
    async with database.write() as tx:
        for policy in (ours, everywhere, replace(ours, workspace="other"), changed):
            await tx.policies.put(policy)

    async with database.write() as tx:
        assert await tx.policies.list_policies("discord", "guild") == [everywhere, changed]
        removed = [await tx.policies.remove("discord", "guild", "role", "painters", "daily") for _ in range(2)]
        assert removed == [True, False]
        assert await tx.policies.list_policies("discord", "guild") == [everywhere]


async def test_a_preset_belongs_to_a_person_or_to_a_workspace(database: Database) -> None:
    mine = Preset("slack", "team", "1", "ours", {"model": "flux-dev", "steps": 30}, Actor("slack", "team", "1"), NOON)
    changed = replace(mine, options={"count": 2}, by=Actor("slack", "team", "2"), at=after(1))
    shared, elsewhere = replace(mine, user=""), replace(mine, workspace="other")
    async with database.write() as tx:
        for preset in (mine, shared, elsewhere, changed, replace(mine, name="a")):
            await tx.presets.put(preset)

    async with database.write() as tx:
        owner = PersonKey("slack", "team", "1")
        assert await tx.presets.list_presets(owner) == [replace(mine, name="a"), changed]
        assert [await tx.presets.remove(owner, "ours") for _ in range(2)] == [True, False]
        assert await tx.presets.list_presets(PersonKey("slack", "team", "")) == [shared]
        assert await tx.presets.list_presets(PersonKey("slack", "other", "1")) == [elsewhere]


async def test_people_are_found_by_id_or_name_in_one_workspace(database: Database) -> None:
    namesake = replace(ANA, id="2", name="ANA STRÖM")
    async with database.write() as tx:
        await tx.people.upsert_user(ANA, NOON)
        await tx.people.upsert_user(namesake, after(1))
        await tx.people.upsert_user(replace(ANA, id="3", name="1"), after(2))

    async with database.read() as tx:
        assert await tx.people.find_user_ids("discord", "guild", "1") == ["1"]
        assert await tx.people.find_user_ids("discord", "guild", "ana ström") == ["2", "1"]
        assert await tx.people.find_user_ids("discord", "other", "1") == []


async def test_blocks_have_an_end_and_a_reason(database: Database) -> None:
    async with database.write() as tx:
        assert await tx.people.get_block(ANA) is None
        await tx.people.set_block(ANA, after(HOUR), "spam")
        await tx.people.upsert_user(ANA, NOON)
        assert await tx.people.get_block(ANA) == (after(HOUR), "spam")
        assert await tx.people.get_block(replace(ANA, workspace="other")) is None
        await tx.people.set_block(ANA, None, "")
        assert await tx.people.get_block(ANA) is None


async def test_workspaces_are_unknown_until_allowed_and_after_removal(database: Database) -> None:
    async with database.write() as tx:
        assert not await tx.people.is_workspace_allowed("slack", "T1")
        await tx.people.allow_workspace("slack", "T1", NOON)
        assert await tx.people.is_workspace_allowed("slack", "T1")

    await execute(database, "UPDATE workspaces SET removed_at = '2026-11-20 12:00:00+00'")
    async with database.write() as tx:
        assert not await tx.people.is_workspace_allowed("slack", "T1")
        await tx.people.allow_workspace("slack", "T1", NOON)
        assert await tx.people.is_workspace_allowed("slack", "T1")


async def test_words_and_pauses_are_listed_and_pauses_end(database: Database) -> None:
    async with database.write() as tx:
        for platform, workspace, word in (("discord", "guild", "b"), ("", "", "a"), ("", "", "b"), ("slack", "T", "c")):
            await tx.moderation.add_word(platform, workspace, word, "discord:1")
        await tx.moderation.add_word("discord", "guild", "b", "discord:2")
        assert await tx.moderation.list_words("discord", "guild") == ["a", "b"]

        await tx.moderation.set_pause(EVERYTHING, "moving", "discord:1")
        await tx.moderation.set_pause(EVERYTHING, "moved", "discord:1")
        await tx.moderation.set_pause(SDXL, "", "discord:1")
        assert await tx.moderation.list_pauses() == {EVERYTHING: "moved", SDXL: ""}
        await tx.moderation.set_pause(EVERYTHING, None, "discord:1")
        assert await tx.moderation.list_pauses() == {SDXL: ""}
    assert await execute(database, "SELECT target FROM pauses") == [("model:sdxl",)]


async def test_each_channel_and_thread_has_one_conversation(database: Database) -> None:
    chat = Conversation(new_id(), "discord", "guild", "lobby", "", "llama", "Be kind.", "1", NOON)
    async with database.write() as tx:
        assert await tx.conversations.get_or_create(chat) == chat
        assert await tx.conversations.get_or_create(replace(chat, id="other", model="sdxl")) == chat
        assert await tx.conversations.get(chat.id) == chat
        assert await tx.conversations.find("discord", "guild", "lobby", "") == chat
        assert await tx.conversations.find("discord", "guild", "lobby", "t") is None
        assert await tx.conversations.get("other") is None


async def test_a_reply_chain_and_a_thread_on_the_same_message_are_two_conversations(database: Database) -> None:
    chain = Conversation("k1", "discord", "guild", "lobby", "m1", "llama", "", "1", NOON, is_reply_chain=True)
    thread = replace(chain, id="k2", is_reply_chain=False)
    place = ("discord", "guild", "lobby", "m1")
    async with database.write() as tx:
        assert await tx.conversations.get_or_create(chain) == chain
        assert await tx.conversations.find(*place) is None
        assert await tx.conversations.get_or_create(thread) == thread
        assert await tx.conversations.find(*place, is_reply_chain=True) == chain


async def test_the_latest_turns_are_listed_oldest_first_and_once_per_job(database: Database) -> None:
    chat = Conversation(new_id(), "discord", "guild", "lobby", "", "llama", "", "1", NOON)
    asked = Turn("t1", chat.id, TurnRole.USER, "Why?\0", after(1), job="j1", user="1", files=("a" * 64,), parent="t0")
    answered = Turn("t2", chat.id, TurnRole.ASSISTANT, "Because.", after(2), job="j1", platform_message="m1")
    noted = [Turn(f"t{n}", chat.id, TurnRole.USER, "And?", after(n)) for n in (3, 4)]
    async with database.write() as tx:
        await tx.conversations.get_or_create(chat)
        for turn in (answered, asked, *noted, replace(answered, id="again", text="No.", platform_message="m2")):
            await tx.conversations.add_turn(turn)

    async with database.read() as tx:
        assert await tx.conversations.list_turns(chat.id, 9) == [replace(asked, text="Why?"), answered, *noted]
        assert await tx.conversations.list_turns(chat.id, 2) == noted


async def test_a_worker_is_alive_until_removed(database: Database) -> None:
    async with database.write() as tx:
        await tx.jobs.add(make_job(owner="me"))
        await tx.workers.record_heartbeat("me", after(-99))
        await tx.workers.record_heartbeat("me", NOON)
        assert await tx.jobs.claim("you", after(-10), NOON, 9) == []
        await tx.workers.remove("me")
        assert len(await tx.jobs.claim("you", after(-10), NOON, 9)) == 1


async def test_the_audit_log_keeps_actor_and_action(database: Database) -> None:
    async with database.write() as tx:
        await tx.audit.add(Actor("discord", "guild", "1"), "grant", {"to": "discord:2", "micros": 5}, NOON)

    assert await execute(database, "SELECT actor, action FROM audit") == [("discord:guild:1", "grant")]


REPLY = Reply(
    text="Here it is: \0 “fox”",
    pictures=(Picture("a" * 64, "image/png", 512, 512, "A fox", "fox-1.png", is_flagged=True),),
    progress=Progress(Stage.RUNNING, 40, 3, 9),
    note="flux-schnell · 3 credits",
    buttons=(Button("vary", "Vary", "j1", 1),),
    tone=Tone.DONE,
    is_private=True,
)


async def test_page_messages_are_read_back_as_shown(database: Database) -> None:
    said = PageMessage("m1", "c1", "ana", "", False, Reply("/imagine a fox " + "x" * 99), NOON, NOON)
    shown = PageMessage("m2", "c1", "ana", "j1", True, Reply("Working"), after(1), after(1))
    other = PageMessage("m3", "c2", "ben", "", False, Reply("/help"), after(9), after(9))
    third = PageMessage("m4", "c3", "ana", "", True, Reply("Hello"), after(2), after(2))
    async with database.write() as tx:
        for message in (shown, said, other, third, replace(shown, reply=REPLY, updated_at=after(5))):
            await tx.page.put(message)

    async with database.read() as tx:
        now = replace(shown, reply=REPLY, updated_at=after(5))
        assert await tx.page.get("m2") == now
        assert await tx.page.get("none") is None
        assert await tx.page.list_in_channel("c1", 9) == [said, now]
        assert await tx.page.list_in_channel("c1", 1) == [now]
        assert await tx.page.list_channels("ana", 9) == [
            ("c1", said.reply.text[:80], after(5)),
            ("c3", "Hello", after(2)),
        ]
        assert await tx.page.list_channels("ana", 1) == [("c1", said.reply.text[:80], after(5))]
        assert await tx.page.list_channels("eve", 9) == []


async def test_the_contents_of_files_lie_beside_the_messages_of_the_page(database: Database) -> None:
    files = (TextFile("a.csv", "text/csv", "a" * 1_000), TextFile("b.csv", "text/csv", "zwei"))
    message = PageMessage("m1", "c1", "ana", "", True, Reply("Two files", files=files), NOON, NOON)
    without = replace(message, reply=replace(message.reply, files=tuple(replace(file, text="") for file in files)))
    async with database.write() as tx:
        await tx.page.put(message)
        await tx.page.put(without)  # as an edit of a message that memory holds without contents

    async with database.read() as tx:
        assert await tx.page.get("m1") == message
        assert await tx.page.list_in_channel("c1", 9) == [without]
    (reply,) = (await execute(database, "SELECT reply FROM page_messages"))[0]
    assert "aaaa" not in str(reply)

    async with database.write() as tx:
        await tx.page.remove("m1")
    assert await execute(database, "SELECT count(*) FROM page_files") == [(0,)]


async def test_words_are_added_and_removed_once(database: Database) -> None:
    async with database.write() as tx:
        assert await tx.moderation.add_word("web", "page", "badger", "mo")
        assert not await tx.moderation.add_word("web", "page", "badger", "mo")
        assert await tx.moderation.remove_word("web", "page", "badger")
        assert not await tx.moderation.remove_word("web", "page", "badger")


async def test_the_audit_log_is_listed_newest_first_by_workspace_actor_and_kind(database: Database) -> None:
    async with database.write() as tx:
        await tx.audit.add(Actor("web", "page", "mo"), "words.added", {"word": "x"}, NOON)
        await tx.audit.add(Actor("web", "page", "eve"), "user.blocked", {}, after(1))
        await tx.audit.add(Actor("discord", "1", "mo"), "words.added", {}, after(2))
        await tx.audit.add(BOT, "workspace.left", {}, after(3), ("web", "page"))
        await tx.audit.add(BOT, "nowhere", {}, after(4))

        assert [row.action for row in await tx.audit.list_rows("web", "page", 9)] == [
            "workspace.left",
            "user.blocked",
            "words.added",
        ]
        assert [row.facts for row in await tx.audit.list_rows("web", "page", 9, kind="words.")] == [{"word": "x"}]
        assert [row.actor for row in await tx.audit.list_rows("web", "page", 9, actor=Actor("web", "page", "eve"))] == [
            Actor("web", "page", "eve")
        ]
        assert len(await tx.audit.list_rows("web", "page", 1)) == 1
        assert await tx.audit.delete_before(after(2)) == 2


async def test_notes_of_a_message_survive_a_replacement(database: Database) -> None:
    job, ref = make_job(), MessageRef("slack", "T1", "C1", "1.0", "1.1")
    async with database.write() as tx:
        await tx.jobs.add(job)
        await tx.messages.put(PostedMessage(job.id, 0, ref))
        assert await tx.messages.get_notes(ref) == {}

        await tx.messages.put_notes(ref, {"files": {"sha": "F1"}})
        await tx.messages.put(PostedMessage(job.id, 0, ref, end=5))
        await tx.messages.put_notes(replace(ref, id="unknown"), {"files": {}})

    async with database.read() as tx:
        assert await tx.messages.get_notes(ref) == {"files": {"sha": "F1"}}
        assert await tx.messages.get_notes(replace(ref, workspace="T2")) == {}


async def test_workers_with_a_recent_heartbeat_are_alive(database: Database) -> None:
    async with database.write() as tx:
        await tx.workers.record_heartbeat("one", NOON)
        await tx.workers.record_heartbeat("two", after(10))

        assert await tx.workers.list_alive(after(-1)) == ["one", "two"]
        assert await tx.workers.list_alive(after(5)) == ["two"]
