"""/help, /models, /usage, /cancel, /show and /quota grant, at the bench."""

from dataclasses import replace
from pathlib import Path

from bot.core.models import Task
from bot.core.replies import Tone
from tests.bench import Bench
from tests.catalogue.samples import write_catalogue
from tests.fakes.samples import BEN, CHANNEL, MODERATOR, OWNER, get_text


async def test_help_lists_the_menu_and_explains_a_command(bench: Bench) -> None:
    assert "- `/imagine` Draw pictures from words." in get_text(await bench.say("/help"))
    assert "- `--count` How many pictures? (from 1 to 4; 1 if you say nothing)" in get_text(
        await bench.say("/help imagine")
    )
    assert "Did you mean imagine?" in get_text(await bench.say("/help imagin"))


async def test_models_lists_prices(bench: Bench) -> None:
    reply = get_text(await bench.say("/models imagine"))

    assert "- `flux-schnell` FLUX schnell: Fast pictures for little. 3 credits a picture (default)" in reply
    assert "- `sdxl` SDXL" in reply
    assert "about 5.8 credits a run, at most 58.5" in reply
    assert "/chat" not in reply


async def test_models_without_a_command_sums_up_each_command(bench: Bench) -> None:
    await bench.say("/settings model --task imagine --model flux-dev", by=MODERATOR)

    *lines, _, more = get_text(await bench.say("/models")).splitlines()

    tasks = [task for task in Task if bench.app.dispatcher.services.catalogue.list_for_task(task)]
    assert [line.partition("**/")[2].partition("**")[0] for line in lines] == tasks
    count = len(bench.app.dispatcher.services.catalogue.list_for_task(Task.IMAGINE))
    assert lines[0] == f"- **/imagine** FLUX dev (`flux-dev`), usually 25 credits; {count - 1} more"
    assert "- **/chat** GPT-5 nano (`gpt-5-nano`), usually 0.2 credits; " in "\n".join(lines)
    assert "usually 0 credits" not in "".join(lines)
    assert "- **/speak** Inworld TTS 1.5 Max (`inworld-tts`), 10,000 credits a million characters; " in "\n".join(lines)
    assert more.startswith("`/models imagine` lists the models of one command with their prices.")
    assert sum(map(len, lines)) < 1_500


async def test_models_of_a_command_without_models_says_so(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path, without="gfpgan")
    path.write_text(path.read_text("utf-8").replace('task = "restore"', 'task = "removebg"'), encoding="utf-8")
    bench = await Bench.open(tmp_path, catalogue_path=path)

    reply = await bench.say("/models restore")

    assert get_text(reply) == "No model for /restore is on offer here. Ask my owner to add one."
    assert "/restore" not in get_text(await bench.say("/models"))
    await bench.close()


async def test_usage_shows_remaining_credits_and_spending(bench: Bench) -> None:
    assert "**100** of 100 credits left today. They refill at 00:00 UTC." in get_text(await bench.say("/usage"))
    await bench.say("/imagine a fox --count 2")

    reply = get_text(await bench.say("/usage"))

    assert "**94** of 100 credits left today." in reply
    assert "- flux-schnell: 1 time, 6 credits" in reply
    assert "Spent this month: **6** credits. The next begins on 01 February at 00:00 UTC." in reply
    assert "month" not in get_text(await bench.say("/usage today"))


async def test_cancel_stops_the_latest_job(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")

    reply = await bench.say("/cancel")

    assert get_text(reply).startswith("Stopping /imagine `")
    assert bench.last_text == "⏹ Stopped."
    assert await bench.balance() == bench.starting_credits
    assert get_text(await bench.say("/cancel")) == "Nothing of yours is running."


async def test_another_user_cannot_cancel_a_job(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    job = await bench.get_job()

    by_name = await bench.say(f"/cancel {job.id}", by=BEN)
    by_button = await bench.press("cancel", by=BEN)

    assert "You have no job called" in get_text(by_name)
    assert get_text(by_button) == "Only the person who asked, or a moderator, can stop this."
    assert bench.backend.cancelled == []
    assert await bench.press("cancel", by=MODERATOR) is None
    assert bench.backend.cancelled == [bench.backend.last_run.id]


async def test_show_repeats_a_job_with_working_buttons(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    job = await bench.get_job()

    shown = await bench.say(f"/show {job.id}")

    assert shown == bench.last_message.reply
    assert job.id in get_text(await bench.say("/show"))
    assert (await bench.say(f"/show {job.id}", by=BEN)) == shown
    elsewhere = await bench.say(f"/show {job.id}", by=BEN, channel=replace(CHANNEL, id="c2"))
    assert "There is no job called" in get_text(elsewhere)
    assert get_text(await bench.say("/show", by=BEN)).startswith("You have not asked for anything yet.")


async def test_a_button_of_a_job_in_a_private_thread_does_nothing_elsewhere(bench: Bench) -> None:
    private = replace(CHANNEL, thread="t1")
    bench.platform.private_threads.add("t1")
    await bench.say("/imagine a fox", channel=private)

    elsewhere = [await bench.press(action, by=BEN) for action in ("again", "edit", "report")]

    assert {get_text(reply) for reply in elsewhere} == {"That job is not here any more, so its buttons do nothing."}
    assert await bench.press("again", by=BEN, channel=private) is None


async def test_an_own_job_is_named_by_the_beginning_of_the_id(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    job = await bench.get_job()

    assert (await bench.say(f"/show {job.id[:6]}")) == bench.last_message.reply
    assert "There is no job called" in get_text(await bench.say(f"/show {job.id[:5]}"))
    assert "There is no job called" in get_text(await bench.say(f"/show {job.id[:6]}", by=BEN))
    assert "There is no job called" in get_text(await bench.say(f"/show {job.id[:19]}", by=MODERATOR))


async def test_show_of_a_running_job_has_a_stop_button(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")

    shown = await bench.say(f"/show {(await bench.get_job()).id}")

    assert shown is not None
    assert shown.tone is Tone.WORKING
    assert [button.action for button in shown.buttons] == ["cancel"]


async def test_a_moderator_grants_credits_once(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=BEN)

    reply = await bench.say("/quota grant @Ben 50", by=MODERATOR, key="web:g1")
    await bench.say("/quota grant @Ben 50", by=MODERATOR, key="web:g1")

    assert get_text(reply) == "Ben got 50 credits, and has 50 extra credits now."
    assert await bench.balance(BEN) == bench.starting_credits - 3_000 + 50_000
    assert "**50** extra credits, which do not expire." in get_text(await bench.say("/usage", by=BEN))


async def test_a_grant_is_spent_after_the_daily_credits(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/quota grant ana 100", by=OWNER)
    for _ in range(4):
        await bench.say("/imagine a fox --model flux-dev")

    await bench.say("/imagine a fox --model flux-pro")

    assert await bench.balance() == 100_000 + 100_000 - 3_000 - 4 * 25_000 - 40_000


async def test_a_grant_needs_the_rank_and_a_known_user(bench: Bench) -> None:
    refused = await bench.say("/quota grant ben 50")
    unknown = await bench.say("/quota grant zoe 50", by=MODERATOR)

    assert get_text(refused) == "/quota grant is for a moderator of this workspace."
    assert get_text(unknown) == "I have not seen “zoe” here yet. They must have used me once."
