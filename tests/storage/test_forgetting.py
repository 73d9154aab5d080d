"""What waits, what is on record, and what is forgotten: on both engines."""

from dataclasses import replace
from datetime import timedelta

from bot.core.ids import new_id
from bot.core.invocations import Conversation, PendingAction, Turn, TurnRole
from bot.core.jobs import Job, JobState, Output, PostedMessage
from bot.core.people import PersonKey, Rank, Workspace
from bot.core.replies import MessageRef, Reply
from bot.storage.database import Database, Transaction
from bot.storage.policies import Policy
from bot.storage.web_page import PageMessage, Visitor
from tests.fakes.samples import ANA, CHANNEL
from tests.storage.rows import NOON, a_job, a_prediction, after

ANA_HERE = PersonKey(ANA.platform, "", ANA.id)
HERE = Workspace(ANA.platform, ANA.workspace)
SHA, OTHER = "a" * 64, "b" * 64


def an_ask(**changes: object) -> Job:
    """Ana's, on the page."""
    return a_job(**{"user": ANA, "channel": CHANNEL, **changes})


async def over(tx: Transaction, job: Job) -> Job:
    """The job, added and at its end."""
    await tx.jobs.add(job)
    moved = await tx.jobs.move(job, JobState.DELIVERED, job.created_at)
    assert moved is not None
    return moved


def waits(**changes: object) -> PendingAction:
    plain = PendingAction("q1", "consent", ANA.platform, ANA.workspace, "c1", ANA.id, {"n": 1}, NOON, after(3600))
    return replace(plain, **changes)  # type: ignore[arg-type]  # any field


async def test_what_waits_is_taken_once_and_by_its_person_only(database: Database) -> None:
    mine = (ANA.platform, ANA.workspace, ANA.id)
    async with database.write() as tx:
        await tx.pending.put(waits())
        await tx.pending.put(waits(facts={"n": 2}))

        assert await tx.pending.take("q1", "consent", ANA.platform, ANA.workspace, "ben", NOON) is None
        assert await tx.pending.take("q1", "consent", ANA.platform, "elsewhere", ANA.id, NOON) is None
        assert await tx.pending.take("q1", "erasure", *mine, NOON) is None
        assert await tx.pending.take("q1", "consent", *mine, after(3600)) is None
        assert await tx.pending.take("q1", "consent", *mine, NOON) == waits(facts={"n": 2})
        assert await tx.pending.take("q1", "consent", *mine, NOON) is None


async def test_what_waits_is_listed_removed_and_expires(database: Database) -> None:
    async with database.write() as tx:
        for one in (waits(), waits(id="q2", expires_at=after(10)), waits(id="e1", kind="erasure")):
            await tx.pending.put(one)

        assert [one.id for one in await tx.pending.list_by_kind("consent")] == ["q1", "q2"]
        assert await tx.pending.delete_expired(after(11)) == 1
        await tx.pending.remove("e1")
        await tx.pending.remove("e1")
        assert await tx.pending.get("q2") is None
        assert await tx.pending.list_by_kind("erasure") == []


async def test_the_record_is_read_newest_first_by_workspace_actor_and_kind(database: Database) -> None:
    async with database.write() as tx:
        await tx.audit.add("web:page:mo", "words.added", {"word": "x"}, NOON)
        await tx.audit.add("web:page:eve", "user.blocked", {}, after(1))
        await tx.audit.add("discord:1:mo", "words.added", {}, after(2))
        await tx.audit.add("bot", "workspace.left", {}, after(3), ("web", "page"))
        await tx.audit.add("bot", "nowhere", {}, after(4))

        assert [row.action for row in await tx.audit.list_rows("web", "page", 9)] == [
            "workspace.left",
            "user.blocked",
            "words.added",
        ]
        assert [row.facts for row in await tx.audit.list_rows("web", "page", 9, kind="words.")] == [{"word": "x"}]
        assert [row.actor for row in await tx.audit.list_rows("web", "page", 9, actor="web:page:eve")] == [
            "web:page:eve"
        ]
        assert len(await tx.audit.list_rows("web", "page", 1)) == 1
        assert await tx.audit.delete_before(after(2)) == 2


async def test_a_forgotten_job_keeps_what_it_cost_and_no_word(database: Database) -> None:
    prediction = a_prediction()
    picture = {"sha256": OTHER, "mime": "image/png", "size": 1}
    async with database.write() as tx:
        await tx.predictions.add(prediction)
        conversation = Conversation(new_id(), "web", "page", "c1", "", "m", "be", "web:ana", NOON)
        await tx.conversations.get_or_create(conversation)
        job = await over(tx, an_ask(prediction=prediction.id, options={"prompt": "a fox", "image": picture}))
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


async def test_a_run_that_others_share_keeps_its_outputs(database: Database) -> None:
    prediction = a_prediction()
    async with database.write() as tx:
        await tx.predictions.add(prediction)
        mine = await over(tx, an_ask(prediction=prediction.id))
        await over(tx, an_ask(prediction=prediction.id, user=replace(ANA, id="ben")))
        await tx.outputs.add([Output(prediction.id, 1, sha256=SHA)])

        assert await tx.erasure.erase_jobs([mine], after(1)) == set()
        assert len(await tx.outputs.list_outputs(prediction.id)) == 1


async def test_only_jobs_that_are_over_are_old(database: Database) -> None:
    async with database.write() as tx:
        await tx.jobs.add(an_ask(options={"image": {"sha256": SHA}}))
        done = await over(tx, an_ask())
        elsewhere = await over(tx, an_ask(user=replace(ANA, workspace="other")))

        assert {job.id for job in await tx.erasure.list_jobs_before(after(1), 9)} == {done.id, elsewhere.id}
        assert [job.id for job in await tx.erasure.list_jobs_before(after(1), 9, HERE)] == [done.id]
        assert len(await tx.erasure.list_jobs(ANA_HERE, 9)) == 2
        assert len(await tx.erasure.list_jobs(PersonKey(ANA.platform, "other", ANA.id), 9)) == 1
        assert len(await tx.erasure.list_open_jobs(ANA_HERE)) == 1
        assert await tx.erasure.list_jobs_before(NOON - timedelta(1), 9) == []


async def test_files_of_open_jobs_and_of_questions_are_needed(database: Database) -> None:
    prediction = a_prediction()
    async with database.write() as tx:
        await tx.predictions.add(prediction)
        await tx.jobs.add(an_ask(options={"image": {"sha256": SHA}}, prediction=prediction.id))
        await tx.outputs.add([Output(prediction.id, 1, sha256="c" * 64)])
        await tx.pending.put(waits(facts={"files": {"image": {"sha256": OTHER}}}))

        assert await tx.erasure.list_needed_files() == {SHA, OTHER, "c" * 64}
        await tx.erasure.delete_outputs(["c" * 64])
        assert await tx.outputs.list_outputs(prediction.id) == []


async def test_old_turns_go_and_the_conversations_they_leave_empty(database: Database) -> None:
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


async def test_a_person_goes_but_a_block_stays(database: Database) -> None:
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
        await tx.pending.put(waits())
        await tx.page.put(PageMessage("p1", "ana.main", "ana", "", False, Reply(text="mine"), NOON, NOON))

        said = await tx.erasure.export_person(ANA_HERE)
        on_page = await tx.page.list_by_user(ANA_HERE)
        await tx.erasure.erase_person(ANA_HERE)
        left = await tx.erasure.export_person(ANA_HERE)

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


async def test_a_removed_workspace_is_forgotten_whole(database: Database) -> None:
    async with database.write() as tx:
        await tx.people.allow_workspace("discord", "1", NOON)
        await tx.people.allow_workspace("discord", "2", NOON)
        for guild in ("1", "2"):
            await tx.moderation.add_word("discord", guild, "badger", "mo")
            await tx.policies.put(Policy("discord", guild, "workspace", "", "setting:join", "starter", "mo", NOON))
        await tx.people.forbid_workspace("discord", "1", NOON, is_removed=True)
        await tx.people.forbid_workspace("discord", "2", NOON, is_removed=False)

        assert await tx.erasure.list_removed_workspaces(after(1)) == [Workspace("discord", "1")]
        await tx.erasure.erase_workspace(Workspace("discord", "1"))

        assert await tx.moderation.list_words("discord", "1") == []
        assert await tx.moderation.list_words("discord", "2") == ["badger"]
        assert [policy.workspace for policy in await tx.policies.list_by_key("setting:join")] == ["2"]
        assert await tx.erasure.list_removed_workspaces(after(1)) == []
        assert not await tx.people.is_workspace_allowed("discord", "2")


async def test_invitations_that_ran_out_are_deleted(database: Database) -> None:
    async with database.write() as tx:
        await tx.visitors.put(Visitor("v1", "Mia", Rank.USER, NOON))
        await tx.visitors.add_invitation("v1", "s1", after(10))
        await tx.visitors.add_invitation("v1", "s2", after(1_000))
        await tx.visitors.use_invitation("s2", "cookie", NOON)

        assert await tx.erasure.delete_expired_keys(after(11)) == 1
        assert await tx.visitors.find_by_cookie("cookie") is not None


async def test_words_are_removed_once(database: Database) -> None:
    async with database.write() as tx:
        assert await tx.moderation.add_word("web", "page", "badger", "mo")
        assert not await tx.moderation.add_word("web", "page", "badger", "mo")
        assert await tx.moderation.remove_word("web", "page", "badger")
        assert not await tx.moderation.remove_word("web", "page", "badger")
