"""Tests the erasure of old jobs, of people and of workspaces."""

from dataclasses import replace
from datetime import timedelta

from bot.core.ids import new_id
from bot.core.invocations import Conversation, Turn, TurnRole
from bot.core.jobs import Job, JobState, Output, PostedMessage, Vote
from bot.core.people import BOT, PersonKey, Rank, Workspace
from bot.core.replies import MessageRef, Reply
from bot.storage.database import Database, Transaction
from bot.storage.policies import Policy
from bot.storage.web_page import PageMessage, Visitor
from tests.fakes.samples import ANA, CHANNEL
from tests.storage.raw import export_person
from tests.storage.rows import NOON, after, make_job, make_prediction
from tests.storage.test_pending import make_action

ANA_HERE = PersonKey(ANA.platform, "", ANA.id)
HERE = Workspace(ANA.platform, ANA.workspace)
SHA, OTHER = "a" * 64, "b" * 64


def make_job_of_ana(**changes: object) -> Job:
    """Make a job of Ana on the web page."""
    return make_job(**{"user": ANA, "channel": CHANNEL, **changes})


async def add_delivered(tx: Transaction, job: Job) -> Job:
    """Add a job and move the job to its final state."""
    await tx.jobs.add(job)
    moved = await tx.jobs.move(job, JobState.DELIVERED, job.created_at)
    assert moved is not None
    return moved


async def test_an_erased_job_keeps_the_amounts_and_no_words(database: Database) -> None:
    prediction = make_prediction()
    picture = {"sha256": OTHER, "mime": "image/png", "size": 1}
    async with database.write() as tx:
        await tx.predictions.add(prediction)
        conversation = Conversation(new_id(), "web", "page", "c1", "", "m", "be", "web:ana", NOON)
        await tx.conversations.get_or_create(conversation)
        job = await add_delivered(
            tx, make_job_of_ana(prediction=prediction.id, options={"prompt": "a fox", "image": picture})
        )
        await tx.outputs.add([Output(prediction.id, 1, sha256=SHA)])
        await tx.messages.put(PostedMessage(job.id, 0, MessageRef("web", "page", "c1", "", "m1")))
        await tx.conversations.add_turn(Turn("t1", conversation.id, TurnRole.USER, "hello", NOON, job=job.id))

        unused = await tx.erasure.erase_jobs([job], after(1))
        again = await tx.erasure.list_jobs_before(after(10), 10)
        kept = await tx.jobs.get(job.id)

        assert unused == {SHA, OTHER}
        assert again == []
        assert kept is not None
        assert (kept.options, kept.inputs, kept.user.name, kept.max_micros) == ({}, {}, "", job.max_micros)
        assert await tx.outputs.list_outputs(prediction.id) == []
        assert await tx.messages.list_messages(job.id) == []
        assert await tx.conversations.list_turns(conversation.id, 9) == []
        assert await tx.erasure.erase_jobs([], NOON) == set()


async def test_votes_go_with_the_answer_the_person_or_the_workspace(database: Database) -> None:
    ben, both = replace(ANA, id="ben"), list(Vote)
    async with database.write() as tx:
        first, second = [await add_delivered(tx, make_job_of_ana(options={"message": "hi"})) for _ in range(2)]
        for minutes, (job, user) in enumerate(((first, ANA), (second, ANA), (second, ben))):
            await tx.feedback.put(job.id, user, Vote.UP, "good", after(minutes), is_private=False)
        await tx.feedback.put(first.id, ben, Vote.DOWN, "", after(9), is_private=True)
        listed = await tx.feedback.list_shown(ANA.platform, ANA.workspace, both, 9)
        assert [(row.job, row.user, row.question) for row in listed] == [
            (second.id, "ben", "hi"),
            (second.id, "ana", "hi"),
            (first.id, "ana", "hi"),
        ]
        assert await tx.feedback.list_shown(ANA.platform, ANA.workspace, [Vote.DOWN], 9) == []

        await tx.erasure.erase_jobs([first], after(1))
        assert [await tx.feedback.find(first.id, user) for user in (ANA, ben)] == [None, None]
        await tx.erasure.erase_person(ANA_HERE)
        assert await tx.feedback.find(second.id, ANA) is None
        assert await tx.feedback.find(second.id, ben) == (Vote.UP, "good")
        await tx.erasure.erase_workspace(HERE)
        assert await tx.feedback.find(second.id, ben) is None


async def test_outputs_stay_while_another_job_shares_the_prediction(database: Database) -> None:
    prediction = make_prediction()
    async with database.write() as tx:
        await tx.predictions.add(prediction)
        mine = await add_delivered(tx, make_job_of_ana(prediction=prediction.id))
        await add_delivered(tx, make_job_of_ana(prediction=prediction.id, user=replace(ANA, id="ben")))
        await tx.outputs.add([Output(prediction.id, 1, sha256=SHA)])

        assert await tx.erasure.erase_jobs([mine], after(1)) == set()
        assert len(await tx.outputs.list_outputs(prediction.id)) == 1


async def test_only_finished_jobs_are_listed_for_erasure(database: Database) -> None:
    async with database.write() as tx:
        await tx.jobs.add(make_job_of_ana(options={"image": {"sha256": SHA}}))
        done = await add_delivered(tx, make_job_of_ana())
        elsewhere = await add_delivered(tx, make_job_of_ana(user=replace(ANA, workspace="other")))

        assert {job.id for job in await tx.erasure.list_jobs_before(after(1), 9)} == {done.id, elsewhere.id}
        assert [job.id for job in await tx.erasure.list_jobs_before(after(1), 9, HERE)] == [done.id]
        assert len(await tx.erasure.list_jobs(ANA_HERE, 9)) == 2
        assert len(await tx.erasure.list_jobs(PersonKey(ANA.platform, "other", ANA.id), 9)) == 1
        assert len(await tx.erasure.list_open_jobs(ANA_HERE)) == 1
        assert await tx.erasure.list_jobs_before(NOON - timedelta(1), 9) == []


async def test_files_of_open_jobs_and_of_pending_actions_are_needed(database: Database) -> None:
    prediction = make_prediction()
    async with database.write() as tx:
        await tx.predictions.add(prediction)
        await tx.jobs.add(make_job_of_ana(options={"image": {"sha256": SHA}}, prediction=prediction.id))
        await tx.outputs.add([Output(prediction.id, 1, sha256="c" * 64)])
        await tx.pending.put(make_action(facts={"files": {"image": {"sha256": OTHER}}}))

        assert await tx.erasure.list_needed_files() == {SHA, OTHER, "c" * 64}
        await tx.erasure.delete_outputs(["c" * 64])
        assert await tx.outputs.list_outputs(prediction.id) == []


async def test_old_turns_are_deleted_with_conversations_left_empty(database: Database) -> None:
    async with database.write() as tx:
        for name, workspace in (("k1", "page"), ("k2", "other")):
            await tx.conversations.get_or_create(
                Conversation(name, "web", workspace, "c1", "", "m", "", "web:ana", NOON)
            )
            await tx.conversations.add_turn(Turn(f"old-{name}", name, TurnRole.USER, "old", NOON))
        await tx.conversations.add_turn(Turn("new", "k1", TurnRole.USER, "new", after(100)))

        assert await tx.erasure.delete_turns_before(after(50), 9, Workspace("web", "other")) == 1
        assert await tx.conversations.get("k2") is None
        assert await tx.erasure.delete_turns_before(after(50), 9) == 1
        assert [turn.id for turn in await tx.conversations.list_turns("k1", 9)] == ["new"]


async def test_an_erased_person_keeps_a_block(database: Database) -> None:
    elsewhere = replace(ANA, workspace="other")
    async with database.write() as tx:
        for user in (ANA, elsewhere, replace(ANA, id="ben")):
            await tx.people.upsert_user(user, NOON)
        await tx.people.set_block(elsewhere, after(9_999), "spam")
        await tx.conversations.get_or_create(
            Conversation("k1", "web", "page", "c1", "", "m", "be nice", "web:ana", NOON)
        )
        await tx.conversations.add_turn(Turn("t1", "k1", TurnRole.USER, "mine", NOON, user="web:ana"))
        await tx.conversations.add_turn(Turn("t2", "k1", TurnRole.USER, "ben's", NOON, user="web:ben"))
        await tx.pending.put(make_action())
        await tx.page.put(PageMessage("p1", "ana.main", "ana", "", False, Reply(text="mine"), NOON, NOON))

        said = await export_person(tx, ANA_HERE)
        on_page = await tx.page.list_by_user(ANA_HERE)
        await tx.erasure.erase_person(ANA_HERE)
        left = await export_person(tx, ANA_HERE)

        found = {name: len(rows) for name, rows in said.items() if isinstance(rows, list) and rows}
        assert found == {"seen": 2, "said": 1, "conversations": 1, "waiting": 1, "page": 1}
        assert on_page == [("p1", "ana.main")]
        assert left["seen"] == [
            {
                "platform": "web",
                "workspace": "other",
                "id": "ana",
                "blocked_until": after(9_999).isoformat(),
                "block_reason": "spam",
            }
        ]
        assert (left["said"], left["page"]) == ([], [])
        assert [turn.text for turn in await tx.conversations.list_turns("k1", 9)] == ["ben's"]
        assert await tx.people.get_names("web", "page", ["ana", "ben"]) == {"ben": ANA.name}
        assert await tx.pending.get("q1") is None


async def test_a_removed_workspace_is_erased_completely(database: Database) -> None:
    async with database.write() as tx:
        await tx.people.allow_workspace("discord", "1", NOON)
        await tx.people.allow_workspace("discord", "2", NOON)
        for guild in ("1", "2"):
            await tx.moderation.add_word("discord", guild, "badger", "mo")
            await tx.policies.put(Policy("discord", guild, "workspace", "", "setting:join", "starter", BOT, NOON))
        await tx.people.forbid_workspace("discord", "1", NOON, is_removed=True)
        await tx.people.forbid_workspace("discord", "2", NOON, is_removed=False)

        assert await tx.erasure.list_removed_workspaces(after(1)) == [Workspace("discord", "1")]
        await tx.erasure.erase_workspace(Workspace("discord", "1"))

        assert await tx.moderation.list_words("discord", "1") == []
        assert await tx.moderation.list_words("discord", "2") == ["badger"]
        assert [policy.workspace for policy in await tx.policies.list_by_key("setting:join")] == ["2"]
        assert await tx.erasure.list_removed_workspaces(after(1)) == []
        assert not await tx.people.is_workspace_allowed("discord", "2")


async def test_expired_invitations_are_deleted(database: Database) -> None:
    async with database.write() as tx:
        await tx.visitors.put(Visitor("v1", "Mia", Rank.USER, NOON))
        await tx.visitors.add_invitation("v1", "s1", after(10))
        await tx.visitors.add_invitation("v1", "s2", after(1_000))
        await tx.visitors.use_invitation("s2", "cookie", NOON)

        assert await tx.erasure.delete_expired_keys(after(11)) == 1
        assert await tx.visitors.find_by_cookie("cookie") is not None
