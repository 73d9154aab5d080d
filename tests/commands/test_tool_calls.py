"""Chat models that draw and edit for the asker: chains of jobs, their price, their end, and what goes wrong."""

from pathlib import Path

import pytest

from bot.core.jobs import JobState
from bot.core.people import User
from bot.core.platform import Destination
from bot.core.replies import MessageRef, Reply
from bot.credits.credits import Credits
from bot.jobs.recovery import LEASE_SECONDS
from tests.bench import Bench
from tests.fakes.samples import ANA, CHANNEL, MODERATOR

DRAW = ("Here it ", "comes.", '\n{"tool": "imag', 'ine", "prompt": "a fox in snow"}')


@pytest.fixture
async def tools(bench: Bench) -> Bench:
    await bench.say("/settings chat --tools on", by=MODERATOR)
    return bench


def list_texts(bench: Bench) -> list[str]:
    return [message.text for message in bench.platform.messages.values()]


async def test_a_model_draws_and_goes_on_in_words(tools: Bench) -> None:
    tools.backend.answers = [DRAW, ("What do you think?",)]

    await tools.say("/chat draw me a fox")

    answer, picture, ending = list(tools.platform.messages.values())[-3:]
    assert answer.text == "Here it comes.\n\nDrawing: a fox in snow"
    assert not any("tool" in reply.text for reply in answer.history)
    assert picture.reply.buttons[0].label == "Again"
    assert picture.reply.request_summary == "Ana: /imagine a fox in snow"
    assert ending.text == "What do you think?"
    chat, drawing, last = tools.backend.runs.values()
    assert "what to draw, in full" in str(chat.inputs)
    assert drawing.inputs["prompt"] == "a fox in snow"
    assert "[Result of the tool] imagine made 1 file, which the person sees." in str(last.inputs)
    assert await tools.list_open_holds() == []


async def test_tools_are_off_until_a_moderator_turns_them_on(bench: Bench) -> None:
    bench.backend.answers = [DRAW]

    await bench.say("/chat draw me a fox")

    assert len(bench.backend.runs) == 1
    assert "tool" not in str(bench.backend.last_run.inputs)


async def test_tools_are_set_for_one_channel(bench: Bench) -> None:
    await bench.say(f"/settings chat --tools on --channel {CHANNEL.id}", by=MODERATOR)
    bench.backend.answers = [DRAW, ("Done.",)]

    await bench.say("/chat draw me a fox")

    assert len(bench.backend.runs) == 3


async def test_a_model_in_a_loop_gets_three_results(tools: Bench) -> None:
    tools.backend.will(words=DRAW)

    await tools.say("/chat draw me a fox")

    models = [run.model.task for run in tools.backend.runs.values()]
    assert [str(task) for task in models] == ["chat", "imagine"] * 3 + ["chat"]
    assert await tools.list_open_holds() == []


async def test_a_wrong_call_is_told_to_the_model_alone(tools: Bench) -> None:
    tools.backend.answers = [('{"tool": "shell", "command": "ls"}',), ("Sorry.",)]

    await tools.say("/chat list the files")

    assert len(tools.backend.runs) == 2
    assert "There is no such tool" in str(tools.backend.last_run.inputs)
    assert tools.last_text == "Sorry."
    assert not any("shell" in text for text in list_texts(tools))


async def test_an_option_out_of_bounds_is_refused_and_told(tools: Bench) -> None:
    tools.backend.answers = [('{"tool": "imagine", "prompt": "a fox", "count": 90}',), ("Fewer, then.",)]

    await tools.say("/chat ninety foxes please")

    assert len(tools.backend.runs) == 2
    assert "count must be from 1 to 4" in str(tools.backend.last_run.inputs)
    assert tools.last_text == "Fewer, then."


async def test_stop_ends_the_chain(tools: Bench) -> None:
    tools.backend.answers = [DRAW]
    tools.backend.will(pictures=1, hangs_after=4)
    await tools.say("/chat draw me a fox")

    await tools.press("cancel")

    assert not any(str(run.model.task) == "imagine" for run in tools.backend.runs.values())


async def test_a_costly_call_asks_first(tools: Bench) -> None:
    await tools.say("/settings general --confirm_above 20", by=MODERATOR)
    await tools.say("/settings model imagine flux-dev", by=MODERATOR)
    tools.backend.answers = [DRAW, ("There.",)]
    await tools.say("/chat draw me a fox")
    assert tools.last_text == "This costs 25 credits with FLUX dev. Go ahead?"
    assert len(tools.backend.runs) == 1

    await tools.press("confirm")

    assert [run.model.task.value for run in tools.backend.runs.values()] == ["chat", "imagine", "chat"]
    assert tools.last_text == "There."
    assert await tools.list_open_holds() == []


async def test_a_chain_goes_on_in_the_next_process(tools: Bench, tmp_path: Path) -> None:
    tools.backend.answers = [DRAW, ("After the restart.",)]
    tools.backend.will(hangs_after=4)
    await tools.say("/chat draw me a fox")
    tools.app.jobs.is_accepting = False
    tools.backend.will(hangs_after=None)
    tools.backend.last_run.released.set()
    await tools.wait_until_idle()
    assert len(tools.backend.runs) == 1
    await tools.close()

    again = await tools.open_again(tmp_path)
    await again.wait_until_idle()

    assert [str(run.model.task) for run in again.backend.runs.values()] == ["chat", "imagine", "chat"]
    assert again.last_text == "After the restart."
    assert again.last_message.destination.user.id == ANA.id
    assert await again.list_open_holds() == []
    await again.close()


async def test_a_lost_question_is_not_asked_again_and_again(tools: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await tools.say("/settings general --confirm_above 20", by=MODERATOR)
    await tools.say("/settings model imagine flux-dev", by=MODERATOR)
    tools.backend.answers = [DRAW]
    tools.backend.will(hangs_after=4)
    await tools.say("/chat draw me a fox")
    answer = await tools.get_job()

    async def fail(destination: Destination, _reply: Reply) -> MessageRef:
        raise RuntimeError(f"an SDK broke at {destination.channel.id}")

    monkeypatch.setattr(tools.platform, "post", fail)
    tools.backend.last_run.released.set()
    await tools.wait_until_idle()
    await tools.advance_time(30)

    assert (await tools.get_job(answer.id)).notified_at is not None
    assert len(tools.backend.runs) == 1


async def test_a_channel_without_tools_is_refused(bench: Bench) -> None:
    reply = await bench.say(f"/settings chat --language German --channel {CHANNEL.id}", by=MODERATOR)

    assert reply is not None
    assert reply.text.startswith("channel belongs to tools")


async def test_a_call_after_the_last_is_hidden(tools: Bench) -> None:
    tools.backend.will(words=DRAW[2:])

    await tools.say("/chat draw me a fox")

    assert "No tool is left for this question: answer in words." in str(tools.backend.last_run.inputs)
    assert tools.last_text == "I may use no more tools for this question. Ask again, and I go on."
    assert not any('"tool"' in reply.text for shown in tools.platform.messages.values() for reply in shown.history)


async def test_a_stopped_answer_shows_no_half_call(tools: Bench) -> None:
    tools.backend.answers = [DRAW]
    tools.backend.will(hangs_after=3)
    await tools.say("/chat draw me a fox")

    await tools.press("cancel")

    assert "Here it comes." in tools.last_text
    assert "tool" not in tools.last_text


async def test_a_stop_at_the_end_of_an_answer_ends_the_chain(tools: Bench) -> None:
    tools.backend.answers = [DRAW]
    tools.backend.will(hangs_after=4)
    await tools.say("/chat draw me a fox")
    job = await tools.get_job()
    async with tools.app.database.write() as tx:  # another process heard the press; this one has read the last word
        await tx.jobs.request_cancel(job.id, "web:ana", tools.clock.now())

    tools.backend.last_run.released.set()
    await tools.wait_until_idle()

    assert (await tools.get_job(job.id)).state is JobState.DELIVERED
    assert len(tools.backend.runs) == 1


async def test_tools_turned_off_meanwhile_draw_nothing(tools: Bench) -> None:
    tools.backend.answers = [DRAW, ("Another time.",)]
    tools.backend.will(hangs_after=4)
    await tools.say("/chat draw me a fox")
    tools.backend.will(hangs_after=None)

    await tools.say("/settings chat --tools off", by=MODERATOR)
    tools.backend.last_run.released.set()
    await tools.wait_until_idle()

    assert [str(run.model.task) for run in tools.backend.runs.values()] == ["chat", "chat"]
    assert "Tools are turned off here now." in str(tools.backend.last_run.inputs)
    assert tools.last_text == "Another time."


async def test_a_restart_while_a_tool_begins_is_no_refusal(
    tools: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_ask = Credits.count_ask

    async def count_and_drain(self: Credits, user: User, request_key: str) -> None:
        tools.app.jobs.is_accepting = not request_key.endswith(":tool")
        await count_ask(self, user, request_key)

    tools.backend.answers = [DRAW, ("After the restart.",)]
    with monkeypatch.context() as patch:
        patch.setattr(Credits, "count_ask", count_and_drain)
        await tools.say("/chat draw me a fox")
    assert len(tools.backend.runs) == len(tools.platform.messages) == 1
    await tools.close()

    again = await tools.open_again(tmp_path)
    await again.wait_until_idle()

    assert [str(run.model.task) for run in again.backend.runs.values()] == ["chat", "imagine", "chat"]
    assert again.last_text == "After the restart."
    await again.close()


async def test_a_question_of_a_tool_is_asked_once(tools: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await tools.say("/settings general --confirm_above 20", by=MODERATOR)
    await tools.say("/settings model imagine flux-dev", by=MODERATOR)
    tools.backend.answers = [DRAW, ("There.",)]
    with monkeypatch.context() as patch:
        patch.setattr("bot.jobs.messages.record_delivery", _break)
        await tools.say("/chat draw me a fox")
    await tools.advance_time(LEASE_SECONDS)
    assert len(tools.platform.messages) == 2

    await tools.press("confirm")

    assert [run.model.task.value for run in tools.backend.runs.values()] == ["chat", "imagine", "chat"]


async def _break(*_arguments: object, **_options: object) -> None:
    raise RuntimeError("the process ends before the commit")


async def test_a_purse_that_is_empty_after_the_picture_ends_in_one_sentence(tools: Bench) -> None:
    tools.backend.answers = [DRAW]
    tools.backend.will(hangs_after=0)
    await tools.say("/chat draw me a fox")
    tools.backend.last_run.released.set()
    await tools.wait_until_idle()
    await tools.say(f"/quota set {ANA.id} --day 3", by=MODERATOR)

    tools.backend.last_run.released.set()
    await tools.wait_until_idle()

    assert tools.last_text.startswith("The answer does not go on. ")
    assert "credits short" in tools.last_text
    assert len(tools.backend.runs) == 2
    assert await tools.list_open_holds() == []


async def test_half_a_character_in_a_call_is_drawn_all_the_same(tools: Bench) -> None:
    tools.backend.answers = [('{"tool": "imagine", "prompt": "\\ud83e fox"}',), ("There.",)]

    await tools.say("/chat draw me a fox")

    assert [run.model.task.value for run in tools.backend.runs.values()] == ["chat", "imagine", "chat"]
    assert "Drawing: \ufffd fox" in list_texts(tools)


async def test_a_model_reads_what_is_wrong_with_a_call(tools: Bench) -> None:
    tools.backend.answers = [('Well. {"tool": "imagine", "prom',), ("Sorry.",)]

    await tools.say("/chat draw me a fox")

    assert "The call was not one JSON object." in str(tools.backend.last_run.inputs)
    assert list_texts(tools)[-2:] == ["Well.", "Sorry."]
