"""Several prompts in one /imagine, at the bench: question, jobs, galleries, Stop, and a kill in the middle."""

import asyncio
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from bot.core.jobs import JobState
from bot.core.platform import Destination
from bot.core.replies import MessageRef, Reply, Tone
from bot.dispatch.button_actions import ButtonPress
from bot.jobs import batches
from tests.bench import Bench
from tests.fakes.backend import make_png
from tests.fakes.clock import ManualClock
from tests.fakes.platform import FakePlatform
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR, get_text

MATRIX = "/imagine {red|blue|green} fox, {dawn|dusk}"


async def ask(bench: Bench, line: str = MATRIX) -> Reply:
    question = await bench.say(line)
    assert question is not None
    return question


async def press(bench: Bench, reply: Reply, label: str, *, by: object = ANA) -> Reply | None:
    """Press a button of a reply by its label."""
    button = next(button for button in reply.buttons if button.label == label)
    where = (by, CHANNEL, button.action, button.job, button.n, f"web:{label}:{button.job}", "")
    answer = await bench.app.dispatcher.handle_press(ButtonPress(*where))  # type: ignore[arg-type]  # any user
    await bench.wait_until_idle()
    return answer


async def draw(bench: Bench, line: str, label: str) -> Reply:
    """Ask for a batch, confirm, and return the final message."""
    assert await press(bench, await ask(bench, line), label) is None
    await bench.advance_time(batches.CHECK_SECONDS)
    return next(iter(bench.platform.messages.values())).reply


async def test_count_and_price_are_asked_before_anything_runs(bench: Bench) -> None:
    question = await ask(bench)

    assert question.text.splitlines() == [
        "6 pictures with FLUX schnell cost 18 credits. Go ahead?",
        "1. red fox, dawn",
        "2. red fox, dusk",
        "3. blue fox, dawn",
        "4. blue fox, dusk",
        "5. green fox, dawn",
        "… and 1 more",
    ]
    assert question.is_private
    assert [button.label for button in question.buttons] == ["Draw 6", "As one prompt", "No"]
    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits
    assert get_text(await press(bench, question, "Draw 6", by=BEN)) == "Only the person who was asked can answer this."
    assert get_text(await press(bench, question, "No")) == "All right: nothing was done, and nothing was charged."
    assert "answered already" in get_text(await press(bench, question, "Draw 6"))
    assert bench.backend.runs == {}


async def test_a_batch_is_drawn_as_jobs_and_shown_in_one_message(bench: Bench) -> None:
    reply = await draw(bench, f"{MATRIX} --seed 7", "Draw 6")

    assert {run.inputs["prompt"] for run in bench.backend.runs.values()} == {
        f"{color} fox, {time}" for color in ("red", "blue", "green") for time in ("dawn", "dusk")
    }
    assert reply.tone is Tone.DONE
    assert [picture.name for picture in reply.pictures][:3] == [
        *("contact-sheet.jpg", "1-red-fox-dawn.png", "2-red-fox-dusk.png")
    ]
    assert len(reply.pictures) == 7
    assert reply.text.splitlines()[:2] == ["1. red fox, dawn", "2. red fox, dusk"]
    assert reply.note == "FLUX schnell · 6 pictures · 18 credits"
    labels = [*(f"Show {n}" for n in range(1, 7)), "Delete all", "Report"]
    assert [button.label for button in reply.buttons] == labels
    assert len(bench.platform.messages) == 1
    assert await bench.balance() == bench.starting_credits - 18_000
    assert await bench.list_open_holds() == []


async def test_the_contact_sheet_shows_each_picture_in_its_place(bench: Bench) -> None:
    bench.backend.will(picture=make_png(64, 64, "red"))

    reply = await draw(bench, "/imagine {a|b} fox", "Draw 2")

    path = bench.app.media.find_path(reply.pictures[0].sha256)
    assert path is not None
    sheet = Image.open(BytesIO(path.read_bytes())).convert("RGB")
    assert sheet.size == (536, 272)
    for left in (8, 272):
        red, green, _ = sheet.getpixel((left + 128, 8 + 128))  # type: ignore[misc]  # an RGB pixel
        assert red > 200 > 100 > green


async def test_more_than_nine_pictures_come_in_further_galleries(bench: Bench) -> None:
    lines = "\n".join(f"fox {n}" for n in range(1, 13))

    first = await draw(bench, f"/imagine {lines}", "Draw 12")

    _, second = bench.platform.messages.values()
    assert [picture.name for picture in first.pictures[1:]] == [f"{n}-fox-{n}.png" for n in range(1, 10)]
    assert second.reply.text == "Pictures 10 to 12 of 12"
    assert [picture.name for picture in second.reply.pictures] == [f"{n}-fox-{n}.png" for n in range(10, 13)]
    assert [button.label for button in second.reply.buttons] == ["Show 10", "Show 11", "Show 12"]


async def test_show_gives_one_picture_with_its_own_next_steps(bench: Bench) -> None:
    reply = await draw(bench, "/imagine {red|blue} fox --count 2", "Draw 4")
    assert [button.label for button in reply.buttons][:2] == ["Show 1–2", "Show 3–4"]

    shown = await press(bench, reply, "Show 3–4")

    assert shown is not None
    assert shown.pictures[0].alt == "blue fox (picture 1 of 2, drawn by FLUX schnell)"
    assert "Delete" not in [button.label for button in shown.buttons]
    assert await press(bench, shown, "Again") is None
    assert bench.backend.last_run.inputs["prompt"] == "blue fox"


async def test_a_picture_of_a_batch_comes_back_in_a_message_of_its_own(bench: Bench) -> None:
    reply = await draw(bench, "/imagine {red|blue} fox", "Draw 2")
    shown = await press(bench, reply, "Show 2")
    assert shown is not None
    await press(bench, shown, "Upscale")

    await bench.say("/undo")

    # All pictures of the scripted backend are the same file: either job of the batch may be the one before.
    assert bench.last_message.reply.pictures[0].alt.endswith(" fox (drawn by FLUX schnell)")
    assert len(bench.platform.messages) == 3
    assert (await bench.get_job()).batch_id == ""


async def test_a_lost_message_leaves_the_result_for_show(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await press(bench, await ask(bench, "/imagine {red|blue} fox"), "Draw 2")
    bench.platform.will_lose(bench.last_message.ref.id)
    for run in bench.backend.runs.values():
        run.released.set()
    await bench.advance_time(batches.CHECK_SECONDS)

    job = await bench.get_job()
    assert job.state is JobState.UNDELIVERABLE
    shown = await bench.say(f"/show {job.id}")
    assert shown is not None
    assert len(shown.pictures) == 3


async def test_lines_can_be_drawn_as_one_prompt(bench: Bench) -> None:
    question = await ask(bench, "/imagine a fox\nin the snow")
    assert question.text.splitlines()[1:] == ["1. a fox", "2. in the snow"]

    assert await press(bench, question, "As one prompt") is None

    assert [run.inputs["prompt"] for run in bench.backend.runs.values()] == ["a fox\nin the snow"]
    await bench.press("again")
    assert bench.backend.last_run.inputs["prompt"] == "a fox\nin the snow"
    assert len(bench.backend.runs) == 2


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ('{"style": "ink|oil", "of": "a fox"}', '{"style": "ink|oil", "of": "a fox"}'),
        ("a { fox", "a { fox"),
        (r"\{red|blue\} fox", "{red|blue} fox"),
        ("{red|blue} fox --batch no", "{red|blue} fox"),
    ],
)
async def test_braces_that_are_no_choice_stay_one_prompt(bench: Bench, words: str, sent: str) -> None:
    assert await bench.say(f"/imagine {words}") is None

    assert [run.inputs["prompt"] for run in bench.backend.runs.values()] == [sent]
    assert (await bench.get_job()).batch_jobs == ()


async def test_too_many_pictures_are_refused_with_their_number(bench: Bench) -> None:
    reply = await ask(bench, f"/imagine {'{a|b|c|d|e|f|g|h|i|j}' * 4}")

    assert reply.tone is Tone.ERROR
    assert reply.text == (
        "That makes 10,000 pictures, and 24 at once are the most: give fewer lines or choices, or say batch no for one "
        "prompt."
    )
    assert "That makes 28 pictures" in (await ask(bench, "/imagine {a|b|c|d|e|f|g} fox --count 4")).text


async def test_a_purse_that_lasts_for_a_part_is_told_before(bench: Bench) -> None:
    reply = await ask(bench, f"{MATRIX} --model flux-dev")

    assert reply.tone is Tone.ERROR
    assert reply.text == (
        "These 6 requests cost 150 credits, and yours last for 4 of them. Ask for fewer, or for a cheaper model: "
        "/models shows the prices."
    )


async def test_the_limit_of_requests_at_once_is_told_before(bench: Bench) -> None:
    await bench.say("/help")  # the moderator finds Ana by name from here on
    await bench.say("/quota set ana --at_once 4", by=MODERATOR)

    assert (await ask(bench)).text == "These are 6 requests, and you have room for 3 now. Ask for fewer, or wait."


async def test_a_refused_word_of_one_combination_refuses_the_batch(bench: Bench) -> None:
    await bench.say("/words add badger", by=MODERATOR)

    reply = await ask(bench, "/imagine bad{ger|minton}")

    assert reply.tone is Tone.ERROR
    assert bench.backend.runs == {}


async def test_money_spent_since_the_question_refuses_all_of_the_batch(bench: Bench) -> None:
    question = await ask(bench)
    await bench.say("/imagine a hare --model flux-dev --count 4")
    before = await bench.balance()

    refused = await press(bench, question, "Draw 6")

    assert before < 18_000
    assert "credits short" in get_text(refused)
    assert len(bench.backend.runs) == 1
    assert await bench.balance() == before


async def test_a_price_that_rose_since_is_asked_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    question = await ask(bench, "/imagine {red|blue} fox")
    await bench.say("/settings model imagine flux-dev", by=MODERATOR)

    again = await press(bench, question, "Draw 2")

    assert get_text(again).startswith("The price rose since you were asked. 2 pictures with FLUX dev cost 50 credits.")
    assert bench.backend.runs == {}


async def test_one_stop_stops_all_and_only_what_ran_is_paid(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await press(bench, await ask(bench), "Draw 6")
    runs = bench.backend.runs.values()
    next(run for run in runs if run.inputs["prompt"] == "red fox, dawn").released.set()
    await bench.advance_time(batches.CHECK_SECONDS)
    assert bench.last_message.reply.progress is not None
    assert bench.last_message.reply.note == "FLUX schnell · 1 of 6 done · at most 18 credits"
    assert get_text(await press(bench, bench.last_message.reply, "Stop all", by=BEN)).startswith("Only the person")

    assert await press(bench, bench.last_message.reply, "Stop all") is None
    await bench.advance_time(batches.CHECK_SECONDS)

    reply = bench.last_message.reply
    assert len(reply.pictures) == 2
    assert reply.text.splitlines()[:2] == ["1. red fox, dawn", "⚠ red fox, dusk: stopped"]
    assert await bench.list_open_holds() == []
    spent = bench.starting_credits - await bench.balance()
    assert f"{spent // 1000} credits" in reply.note


async def test_cancel_without_a_name_stops_the_whole_batch(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await press(bench, await ask(bench), "Draw 6")

    await bench.say("/cancel")
    await bench.advance_time(batches.CHECK_SECONDS)

    assert bench.last_message.reply.text == "⏹ Stopped."
    assert await bench.list_open_holds() == []


async def test_a_batch_of_failures_fails_for_nothing(bench: Bench) -> None:
    bench.backend.will(error="out of memory")

    reply = await draw(bench, "/imagine {red|blue} fox", "Draw 2")

    assert reply.text == "⚠ The model failed: out of memory. You were not charged."
    assert reply.tone is Tone.ERROR
    assert await bench.balance() == bench.starting_credits


async def test_a_full_disk_at_the_end_says_where_the_paid_pictures_are(bench: Bench) -> None:
    bench.backend.will(hangs_after=0)
    await press(bench, await ask(bench, "/imagine {red|blue} fox"), "Draw 2")
    for run in bench.backend.runs.values():
        run.released.set()
    await bench.wait_until_idle()
    folder = bench.app.settings.data_dir / "media"
    for n in range(256):
        if not (folder / f"{n:02x}").exists():
            (folder / f"{n:02x}").write_bytes(b"")
    await bench.advance_time(batches.CHECK_SECONDS)

    reply = bench.last_message.reply
    assert reply.text == "⚠ The contact sheet could not be stored. /show lists the pictures one by one."
    assert reply.note.startswith("FLUX schnell · 6 credits")


async def test_delete_all_takes_down_every_message_and_picture(bench: Bench) -> None:
    lines = "\n".join(f"fox {n}" for n in range(1, 13))
    reply = await draw(bench, f"/imagine {lines}", "Draw 12")

    await press(bench, reply, "Delete all")

    assert bench.platform.messages == {}
    assert not any(bench.app.media.find_path(picture.sha256) for picture in reply.pictures)


async def test_a_picture_given_with_choices_is_kept_for_the_answer(bench: Bench) -> None:
    question = await bench.say("/imagine {red|blue} fox", image=make_png())

    assert question is not None
    await press(bench, question, question.buttons[0].label)
    await bench.advance_time(batches.CHECK_SECONDS)

    assert len(bench.backend.runs) == 2
    assert bench.last_message.reply.tone is Tone.DONE


async def restart_between_runs(first: Bench, folder: Path, ended: int) -> Bench:
    """Restart the bot after `ended` of its runs have ended, let all others end, and return the second bot's bench."""
    for run in list(first.backend.runs.values())[:ended]:
        run.released.set()
    await first.wait_until_idle()

    await first.close()
    second = await first.open_again(folder)
    for run in second.backend.runs.values():
        run.released.set()
    await second.wait_until_idle()
    await second.advance_time(2 * batches.CHECK_SECONDS)
    return second


@pytest.mark.parametrize("ended", [0, 3, 6])
async def test_a_kill_in_the_middle_loses_and_doubles_nothing(tmp_path: Path, ended: int) -> None:
    first = await Bench.open(tmp_path)
    first.backend.will(hangs_after=0)
    await press(first, await ask(first), "Draw 6")

    second = await restart_between_runs(first, tmp_path, ended)

    assert len(second.backend.runs) == 6
    (message,) = second.platform.messages.values()
    assert len(message.reply.pictures) == 7
    assert await second.balance() == second.starting_credits - 18_000
    assert await second.list_open_holds() == []
    job = await second.get_job()
    assert job.state is JobState.DELIVERED
    await second.close()


class StallingPlatform(FakePlatform):
    """Never answers a post of a third message."""

    is_stalling = True

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        if self.is_stalling and destination.nonce.endswith(":2"):
            await asyncio.Event().wait()
        return await super().post(destination, reply)


async def test_a_kill_between_galleries_posts_none_twice(tmp_path: Path) -> None:
    clock = ManualClock()
    platform = StallingPlatform("web", clock)
    first = await Bench.open(tmp_path, clock=clock, platform=platform)
    lines = "\n".join(f"fox {n}" for n in range(1, 25))
    await press(first, await ask(first, f"/imagine {lines}"), "Draw 24")
    await first.advance_time(batches.CHECK_SECONDS)
    assert len(platform.messages) == 2

    await first.close()
    platform.is_stalling = False
    second = await first.open_again(tmp_path)
    await second.wait_until_idle()

    assert [len(message.reply.pictures) for message in platform.messages.values()] == [10, 10, 5]
    assert (await second.get_job()).state is JobState.DELIVERED
    await second.close()
