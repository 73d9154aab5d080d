"""Votes on chat answers at the bench: buttons, reasons, and what moderators and the person see of them."""

import csv
import io
import json
from dataclasses import replace

from bot.core.models import Task
from bot.core.people import Channel, User
from bot.core.replies import Reply, Tone
from tests.bench import Bench
from tests.commands.test_privacy import delete_data
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR

DIRECT = replace(CHANNEL, id="direct-ana")


async def read_reply(bench: Bench, line: str, *, by: User = ANA) -> str:
    reply = await bench.say(line, by=by)
    assert reply is not None
    assert reply.is_private
    return reply.text


async def vote(bench: Bench, action: str = "vote_up", *, by: User = ANA, channel: Channel = CHANNEL) -> Reply:
    reply = await bench.press(action, by=by, channel=channel)
    assert reply is not None
    return reply


def get_job(bench: Bench) -> str:
    return bench.last_message.reply.buttons[0].job


async def list_votes(bench: Bench) -> list[str]:
    """Return the lines of /feedback list without times and jobs."""
    text = await read_reply(bench, "/feedback list", by=MODERATOR)
    return [" · ".join(line.split(" · ")[1:-1]) for line in text.splitlines()]


async def test_each_person_has_one_vote_on_an_answer_and_may_change_it(bench: Bench) -> None:
    await bench.say("/chat what is a rainbow?")
    thanks = await vote(bench)
    await read_reply(bench, f'/feedback give --job {get_job(bench)} --reason "short and clear"')
    await vote(bench, by=BEN)

    await vote(bench, "vote_down", by=BEN)
    await vote(bench)

    assert thanks.text == "👍 Thank you: it is noted. Moderators can read it."
    assert thanks.is_private
    title = bench.app.dispatcher.services.catalogue.list_for_task(Task.CHAT)[0].title
    assert await list_votes(bench) == [
        f"👍 Ana · {title} · “what is a rainbow?” · because: “short and clear”",
        f"👎 Ben · {title} · “what is a rainbow?”",
    ]


async def test_another_vote_drops_the_reason_of_the_first(bench: Bench) -> None:
    await bench.say("/chat what is a rainbow?")
    await read_reply(bench, f"/feedback give --job {get_job(bench)} --vote down --reason wrong")

    await vote(bench)

    assert "wrong" not in (await list_votes(bench))[0]
    assert (await list_votes(bench))[0].startswith("👍")


async def test_votes_on_private_chats_are_kept_from_moderators(bench: Bench) -> None:
    await bench.say("/chat a secret", channel=DIRECT)
    thanks = await vote(bench, channel=DIRECT)

    assert "Nobody but you reads it" in thanks.text
    nothing = "Nobody has voted on an answer here."
    assert (await read_reply(bench, "/feedback list", by=MODERATOR)).startswith(nothing)
    assert (await read_reply(bench, "/feedback export", by=MODERATOR)).startswith(nothing)
    reply = await bench.say("/privacy export")
    assert reply is not None
    (own,) = json.loads(reply.files[0].text)["feedback"]
    assert (own["vote"], own["is_private"]) == ("up", True)


async def test_votes_are_exported_as_a_file_without_formulas(bench: Bench) -> None:
    await bench.say("/chat what is a rainbow?")
    await read_reply(bench, f'/feedback give --job {get_job(bench)} --vote down --reason "=HYPERLINK(1)"')

    reply = await bench.say("/feedback export", by=MODERATOR)

    assert reply is not None
    assert reply.text == "1 vote."
    (row,) = csv.DictReader(io.StringIO(reply.files[0].text))
    assert row["vote"] == "down"
    assert row["reason"] == "'=HYPERLINK(1)"
    assert row["question"] == "what is a rainbow?"
    assert row["name"] == "Ana"


async def test_deleting_personal_data_deletes_the_votes(bench: Bench) -> None:
    await bench.say("/chat what is a rainbow?")
    await vote(bench)
    await vote(bench, by=BEN)
    await bench.say("/chat and a fog bow?", by=BEN)
    await vote(bench)

    await delete_data(bench)

    assert (await read_reply(bench, "/feedback list", by=MODERATOR)).startswith("Nobody has voted")


async def test_only_finished_answers_of_chat_take_votes(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    assert "vote_up" not in {button.action for button in bench.last_message.reply.buttons}
    of_picture = await bench.say(f"/feedback give --job {get_job(bench)} --vote up")
    await bench.say("/chat what is a rainbow?")
    without_vote = await bench.say("/feedback give --reason good")
    foreign = await bench.say(f"/feedback give --job {get_job(bench)} --vote up", by=BEN, channel=DIRECT)

    job = get_job(bench)
    texts = [reply.text for reply in (of_picture, without_vote, foreign) if reply and reply.tone is Tone.ERROR]
    assert [text.partition(":")[0] for text in texts] == [
        "Votes go to finished answers of /chat",
        "Say whether the answer was good or not",
        f"There is no answer called “{job}” that you can see here. /show lists your jobs.",
    ]


async def test_a_vote_without_a_job_is_for_the_latest_answer(bench: Bench) -> None:
    nothing = await bench.say("/feedback give up")
    await bench.say("/chat what is a rainbow?")
    await bench.say("/imagine a fox")

    await read_reply(bench, "/feedback give up")

    assert nothing is not None
    assert nothing.text == "None of your latest jobs is an answer of /chat. /show lists them."
    assert "“what is a rainbow?”" in (await list_votes(bench))[0]


async def test_a_workspace_may_turn_votes_off(bench: Bench) -> None:
    shown = await read_reply(bench, "/settings chat --feedback off", by=MODERATOR)
    await bench.say("/chat what is a rainbow?")

    assert "**People vote on answers**: nowhere" in shown
    assert [button.action for button in bench.last_message.reply.buttons] == ["regenerate", "delete"]


async def test_a_regenerated_answer_takes_votes_and_a_stopped_one_does_not(bench: Bench) -> None:
    await bench.say("/chat what is a rainbow?")
    await bench.press("regenerate")

    regenerated = [button.action for button in bench.last_message.reply.buttons]
    bench.backend.will(words=("Light ", "in ", "drops."), hangs_after=2)
    await bench.say("/chat and a fog bow?")
    await bench.press("cancel")

    assert regenerated == ["regenerate", "vote_up", "vote_down", "delete"]
    assert [button.action for button in bench.last_message.reply.buttons] == ["continue", "regenerate", "delete"]


async def test_marks_of_direction_never_turn_a_moderators_list_around(bench: Bench) -> None:
    await bench.say("/chat what is a \u202ewobniar?")
    await read_reply(bench, f'/feedback give --job {get_job(bench)} --vote up --reason "\u2067good\u001b[2J"')
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a \u202exof\u0007")

    listed = await read_reply(bench, "/jobs", by=MODERATOR)

    assert "/imagine “a xof” · " in listed
    assert "“what is a wobniar?” · because: “good[2J”" in (await list_votes(bench))[0]
