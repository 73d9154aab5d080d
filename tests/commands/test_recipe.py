"""/recipe: what a file says of its making, with the price here, and buttons that draw it once."""

import pytest

from bot.core.invocations import Invocation
from bot.core.replies import Reply, Tone
from bot.dispatch.plain_text import invocation_from_text
from tests.bench import Bench, make_attachment
from tests.commands.test_confirmation import build_press, press_and_wait
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR, get_text
from tests.media.pictures import make_recipe_picture


async def read_recipe(bench: Bench, picture: bytes) -> Reply:
    reply = await bench.say("/recipe", image=picture)
    assert reply is not None
    return reply


async def test_a_named_model_draws_the_same_words_and_seed_again(bench: Bench) -> None:
    shown = await read_recipe(bench, make_recipe_picture("CFG scale: 7, Seed: 5, Model: FLUX_schnell.safetensors"))

    assert shown.text.splitlines() == [
        "The file says: “a fox in the snow”",
        "Not: “blurry”",
        "FLUX_schnell.safetensors · seed 5 · steps 20 · guidance 7.0",
    ]
    assert shown.buttons[0].label == "Again · FLUX schnell, 3 credits"
    assert shown.buttons[1].label.startswith("Vary · ")
    assert (len(bench.backend.runs), await bench.balance()) == (0, bench.starting_credits)

    assert await press_and_wait(bench, build_press(shown, "confirm")) is None

    # Steps beyond the model's bounds and options that the model lacks are left out.
    inputs = bench.backend.last_run.inputs
    assert (inputs["prompt"], inputs["seed"]) == ("a fox in the snow", 5)
    assert "num_inference_steps" not in inputs
    assert (bench.last_message.reply.tone, bench.last_message.reply.is_private) == (Tone.DONE, False)
    assert bench.starting_credits - await bench.balance() == 3_000
    again = get_text(await press_and_wait(bench, build_press(shown, "confirm", n=2)))
    assert again.startswith("That question was answered already")
    assert len(bench.backend.runs) == 1


async def test_vary_starts_from_the_picture_without_its_words(bench: Bench) -> None:
    await bench.say("/settings general --confirm_above 1", by=MODERATOR)
    shown = await read_recipe(bench, make_recipe_picture("Seed: 5, Model: unknown_v9"))
    assert "unknown_v9 is not on offer here: FLUX schnell would draw." in shown.text
    varied = Reply(buttons=shown.buttons[1:])

    assert get_text(await press_and_wait(bench, build_press(varied, "confirm", by=BEN))).startswith("Only the person")
    assert await press_and_wait(bench, build_press(varied, "confirm", n=2)) is None

    job = await bench.get_job()
    path = bench.app.media.find_path(job.given_files[0])
    assert path is not None
    assert b"fox" not in path.read_bytes()
    assert (job.command, job.options["prompt"], job.options["strength"]) == ("imagine", "a fox in the snow", 0.6)


async def test_a_recipe_of_several_lines_and_choices_is_one_prompt_at_the_named_price(bench: Bench) -> None:
    words = "a fox\n{red|blue} snow,\nat dusk"
    shown = await read_recipe(bench, make_recipe_picture("Seed: 5, Model: flux-schnell", prompt=words))

    assert await press_and_wait(bench, build_press(shown, "confirm")) is None
    assert await press_and_wait(bench, build_press(Reply(buttons=shown.buttons[1:]), "confirm", n=2)) is None

    assert [run.inputs["prompt"] for run in bench.backend.runs.values()] == [words, words]


async def test_a_recipe_draws_the_words_that_are_shown(bench: Bench) -> None:
    hidden = "".join(chr(0xE0000 + ord(sign)) for sign in "a hen")
    shown = await read_recipe(bench, make_recipe_picture("Seed: 5", prompt=f"a \u202efox{hidden} in snow\x1b[2J"))

    await press_and_wait(bench, build_press(shown, "confirm"))

    assert "The file says: “a fox in snow[2J”" in shown.text
    assert bench.backend.last_run.inputs["prompt"] == "a fox in snow[2J"
    assert (await read_recipe(bench, make_recipe_picture("Seed: 5", prompt=hidden))).text.startswith("That file does")


async def test_a_prompt_longer_than_imagine_takes_is_cut(bench: Bench) -> None:
    shown = await read_recipe(bench, make_recipe_picture("Seed: 5", prompt="x" * 2_400))

    assert len(shown.text) < 1_700
    assert "/imagine takes 1,500 characters" in shown.text
    assert await press_and_wait(bench, build_press(shown, "confirm")) is None
    assert len(str((await bench.get_job()).options["prompt"])) == 1_500


async def test_a_file_without_a_recipe_is_told(bench: Bench) -> None:
    assert (await read_recipe(bench, make_png())).text.startswith("That file does not say how it was made")
    assert (await read_recipe(bench, b"no picture")).text.startswith("That file does not say how it was made")


@pytest.mark.parametrize(
    ("text", "has_recipe", "command"), [("", True, "recipe"), ("", False, "chat"), ("what is this?", True, "chat")]
)
async def test_a_picture_alone_with_a_recipe_is_read(bench: Bench, text: str, has_recipe: bool, command: str) -> None:
    picture = make_recipe_picture("Seed: 5") if has_recipe else make_png()

    call: Invocation = await invocation_from_text(
        bench.app.dispatcher.services, ANA, CHANNEL, text, "web:1", files=[make_attachment(picture)]
    )

    assert call.command == command
    assert await call.attachments["image"].read() == picture
