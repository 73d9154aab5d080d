"""/imagine and the buttons of its pictures, at the bench."""

from dataclasses import replace
from itertools import pairwise

import pytest

from bot.commands.imagine import Imagine
from bot.core.people import Channel
from bot.core.replies import Stage, Tone
from tests.bench import Bench, make_attachment
from tests.fakes.backend import FLAGGED_ERROR, make_png
from tests.fakes.samples import ANA, CHANNEL


async def test_a_picture_comes_with_its_facts_and_buttons(bench: Bench) -> None:
    await bench.invoke(Imagine(prompt="a fox in the snow", seed=7))

    reply = bench.last_message.reply
    assert reply.tone is Tone.DONE
    assert reply.note == "FLUX schnell · seed 7 · 32×24 · 1.5 s · 3 credits"
    assert [(p.name, p.alt) for p in reply.pictures] == [
        ("a-fox-in-the-snow.png", "a fox in the snow (drawn by FLUX schnell)")
    ]
    assert [button.label for button in reply.buttons] == [
        *(
            "Again",
            "Finish · FLUX dev, 25 credits",
            "Vary · FLUX dev, 25 credits",
            "Edit",
            "Upscale",
            "Animate · P-Video, 20 credits",
            "Caption",
            "Edit prompt",
            "Delete",
            "Report",
        ),
    ]
    assert await bench.balance() == bench.starting_credits - 3_000


async def test_a_placeholder_is_posted_first_and_each_edit_changes_the_message(bench: Bench) -> None:
    bench.backend.will(percents=(25, 50, 50, 100))

    await bench.say("/imagine a fox")

    history = bench.last_message.history
    assert history[0].progress is not None
    assert history[0].progress.stage is Stage.QUEUED
    assert history[0].note == "FLUX schnell · 3 credits"
    assert [button.label for button in history[0].buttons] == ["Stop"]
    assert all(before != after for before, after in pairwise(history))


async def test_four_pictures_have_numbered_buttons(bench: Bench) -> None:
    await bench.say("/imagine a fox --count 4")

    reply = bench.last_message.reply
    assert [picture.name for picture in reply.pictures] == [f"a-fox-{n}.png" for n in (1, 2, 3, 4)]
    assert reply.pictures[2].alt == "a fox (picture 3 of 4, drawn by FLUX schnell)"
    assert [button.label for button in reply.buttons if button.n == 4] == [
        *("Vary 4 · FLUX dev, 25 credits", "Edit 4", "Upscale 4", "Animate 4 · P-Video, 20 credits"),
    ]
    assert await bench.balance() == bench.starting_credits - 12_000


async def test_a_failed_picture_releases_the_credits(bench: Bench) -> None:
    bench.backend.will(error="out of memory")

    await bench.invoke(Imagine(prompt="a fox in the snow"))

    assert bench.last_text == "⚠ The model failed: out of memory. You were not charged."
    assert await bench.balance() == bench.starting_credits
    assert [button.label for button in bench.last_message.reply.buttons] == ["Try again", "Delete"]


async def test_a_flagged_picture_releases_the_credits(bench: Bench) -> None:
    bench.backend.will(error=FLAGGED_ERROR)

    await bench.say("/imagine something")

    assert bench.last_text == "⚠ The model refused this as sensitive. You were not charged."
    assert await bench.balance() == bench.starting_credits


async def test_withheld_pictures_are_counted_and_free(bench: Bench) -> None:
    bench.backend.will(pictures=3)

    await bench.say("/imagine a fox --count 4")

    assert "1 withheld by the model's safety filter" in bench.last_message.reply.note
    assert await bench.balance() == bench.starting_credits - 9_000


async def test_no_picture_at_all_costs_nothing(bench: Bench) -> None:
    bench.backend.will(pictures=0)

    await bench.say("/imagine a fox")

    assert bench.last_text == "⚠ The model gave no picture. You were not charged."
    assert await bench.balance() == bench.starting_credits


async def test_again_draws_the_same_prompt_with_another_seed(bench: Bench) -> None:
    await bench.say("/imagine a fox --seed 7 --aspect 16:9")

    await bench.press("again")

    first, second = bench.backend.runs.values()
    assert second.inputs["prompt"] == "a fox"
    assert second.inputs["aspect_ratio"] == "16:9"
    assert second.inputs["seed"] != first.inputs["seed"]


async def test_vary_starts_from_the_picture_on_a_model_with_a_picture_input(bench: Bench) -> None:
    await bench.say("/imagine a fox --count 2")

    await bench.press("vary", n=2)

    assert bench.backend.last_run.model.key == "flux-dev"
    assert bench.backend.last_run.inputs["prompt_strength"] == 0.6
    assert str(bench.backend.last_run.inputs["image"]).startswith("data:image/png;sha256,")


async def test_finish_draws_a_draft_on_the_finer_model_with_the_same_seed_shape_and_number(bench: Bench) -> None:
    await bench.say("/imagine a fox --count 2 --aspect 3:2")
    assert "Finish all 2 · FLUX dev, 50 credits" in [button.label for button in bench.last_message.reply.buttons]

    await bench.press("finish")

    draft, finished = bench.backend.runs.values()
    assert finished.model.key == "flux-dev"
    for name in ("prompt", "seed", "aspect_ratio", "num_outputs"):
        assert finished.inputs[name] == draft.inputs[name]
    assert await bench.balance() == bench.starting_credits - 6_000 - 50_000
    assert "finish" not in [button.action for button in bench.last_message.reply.buttons]


async def test_a_draft_of_a_shape_of_its_own_is_finished_in_the_shape_of_its_picture(bench: Bench) -> None:
    bench.backend.will(picture=make_png(1344, 768))
    await bench.say("/imagine a fox --model p-image")

    await bench.press("finish")

    assert bench.backend.last_run.model.key == "flux-pro"
    assert bench.backend.last_run.inputs["aspect_ratio"] == "16:9"


async def test_no_finish_is_offered_where_the_finer_model_cannot_draw_the_same(bench: Bench) -> None:
    bench.backend.will(picture=make_png(700, 100))
    for draft in ("/imagine a fox --model p-image", "/imagine a fox --model sdxl", "/imagine a fox --model flux-dev"):
        await bench.say(draft)
        assert "finish" not in [button.action for button in bench.last_message.reply.buttons]


async def test_an_option_that_the_draft_was_drawn_without_hinders_no_finish(bench: Bench) -> None:
    await bench.say("/imagine a fox --aspect 3:2 --negative hens")

    await bench.press("finish")

    assert bench.backend.last_run.model.key == "flux-dev"
    assert "without" not in bench.last_message.reply.note


async def test_a_reference_paid_by_the_megapixel_is_shrunk(bench: Bench) -> None:
    await bench.say("/imagine a fox --model flux-2-pro", image=make_png(4_000, 3_000))

    # 15 for the run, 15 for the megapixel drawn with 1024 pixels a side, 30 for the two given.
    assert bench.last_message.history[0].note.startswith("FLUX.2 pro · about 60, at most 60.7 credits")


async def test_a_finish_paid_by_the_second_names_its_usual_price(bench: Bench) -> None:
    await bench.say("/imagine a fox --aspect 9:16 --model sdxl-lightning")

    labels = [button.label for button in bench.last_message.reply.buttons]
    assert [label for label in labels if label.startswith("Finish")] == ["Finish · SDXL, about 5.8 credits"]


async def test_upscale_and_caption_take_the_picture_of_the_message(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    drawn = bench.last_message

    await bench.press("upscale", on=drawn, n=1)
    assert bench.backend.last_run.model.key == "real-esrgan"
    assert bench.last_message.reply.pictures[0].alt == "A picture made larger by Real-ESRGAN"

    await bench.press("caption", on=drawn, n=1)
    assert bench.backend.last_run.model.key == "gpt-5-nano-caption"
    assert bench.last_text == "A short answer."


async def test_a_named_model_gets_its_own_inputs(bench: Bench) -> None:
    await bench.say("/imagine a fox --model sdxl --negative blue --aspect 16:9", image=make_png())

    inputs = bench.backend.last_run.inputs
    assert (inputs["width"], inputs["height"], inputs["negative_prompt"]) == (1344, 768, "blue")
    assert bench.last_message.history[0].note == "SDXL · about 5.8, at most 58.5 credits"


async def test_an_option_that_only_tunes_is_left_out_and_named(bench: Bench) -> None:
    await bench.say("/imagine a fox --negative hens --scheduler DDIM --safety_tolerance 1 --prompt_upsampling yes")

    assert set(bench.backend.last_run.inputs) == {
        *("prompt", "num_outputs", "output_format", "go_fast", "seed"),
    }
    told = "without negative, scheduler, prompt_upsampling and safety_tolerance, which FLUX schnell does not have"
    assert told in bench.last_message.reply.note
    assert told in bench.last_message.history[0].note


async def test_a_picture_without_a_model_for_pictures_is_still_refused(bench: Bench) -> None:
    refused = await bench.say("/imagine a fox --model flux-schnell", image=make_png())

    assert refused is not None
    assert refused.text == "FLUX schnell does not take image. Try flux-dev or flux-pro or sdxl."
    assert bench.backend.runs == {}


async def test_models_get_the_options_that_they_have(bench: Bench) -> None:
    await bench.say("/imagine a fox --model sdxl --scheduler DDIM --quality refined")
    classic = bench.backend.last_run.inputs
    await bench.say("/imagine a fox --model flux-2-flex --prompt_upsampling yes --safety_tolerance 1")
    flexible = bench.backend.last_run.inputs

    assert (classic["scheduler"], classic["refine"], classic["high_noise_frac"]) == (
        *("DDIM", "expert_ensemble_refiner", 0.8),
    )
    assert (flexible["prompt_upsampling"], flexible["safety_tolerance"]) == (True, 1)
    assert "without" not in bench.last_message.reply.note


async def test_a_draft_is_drawn_fast_unless_a_seed_must_draw_the_same_again(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    fast = bench.backend.last_run.inputs
    await bench.say("/imagine a fox --seed 7")
    exact = bench.backend.last_run.inputs

    assert fast["go_fast"] is True
    assert isinstance(fast["seed"], int)
    assert (exact["go_fast"], exact["seed"]) == (False, 7)


async def test_a_seed_that_a_model_has_not_reuses_no_earlier_picture(bench: Bench) -> None:
    await bench.say("/settings pictures --reuse yes", by=replace(ANA, is_administrator=True))

    for _ in range(2):
        await bench.say("/imagine a fox --model nano-banana --seed 7")

    assert len(bench.backend.runs) == 2
    assert "without seed" in bench.last_message.reply.note


@pytest.mark.parametrize("setting", ["", "pictures --adult off", "pictures --flagged refuse"])
async def test_a_loose_filter_needs_an_age_restricted_channel_and_adult_pictures(bench: Bench, setting: str) -> None:
    line = "/imagine a fox --model flux-pro --safety_tolerance 3"
    restricted = replace(CHANNEL, is_age_restricted=True)
    if setting:
        await bench.say(f"/settings {setting}", by=replace(ANA, is_administrator=True))

    refused = [await bench.say(line), *([await bench.say(line, channel=restricted)] if setting else [])]

    assert {reply.text for reply in refused if reply is not None} == {
        "A safety tolerance above 2 is for age-restricted channels of workspaces with adult pictures. "
        "Ask for 2 at most here."
    }
    assert bench.backend.runs == {}
    if not setting:
        assert await bench.say(line, channel=restricted) is None
        assert bench.backend.last_run.inputs["safety_tolerance"] == 3


async def test_reference_pictures_reach_models_that_take_several(bench: Bench) -> None:
    pictures = tuple(make_attachment(make_png(colour=colour)) for colour in ("red", "green"))

    await bench.invoke(Imagine(prompt="a fox in both styles", images=pictures))

    assert bench.backend.last_run.model.key == "flux-2-klein-4b"
    assert len(str(bench.backend.last_run.inputs["images"]).split("data:")) == 3


async def test_a_model_that_draws_over_lines_needs_a_picture(bench: Bench) -> None:
    refused = await bench.say("/imagine a fox --model controlnet-canny")

    assert refused is not None
    assert refused.text == "ControlNet Canny needs a picture: give one, or choose another model."
    assert await bench.balance() == bench.starting_credits
    assert await bench.say("/imagine a fox --model controlnet-canny --guidance 12", image=make_png()) is None
    assert (bench.backend.last_run.inputs["scale"], bench.backend.last_run.inputs["num_samples"]) == (12, "1")


def mark_default_model_as_adult(bench: Bench) -> Channel:
    """Mark the default model as a model for adults; return a channel for adult models."""
    models = bench.app.dispatcher.services.catalogue._models
    models["flux-schnell"] = replace(models["flux-schnell"], is_adult=True)
    return replace(CHANNEL, is_age_restricted=True)


async def test_pictures_of_an_adult_model_are_flagged(bench: Bench) -> None:
    channel = mark_default_model_as_adult(bench)

    await bench.say("/imagine a fox", channel=channel)

    assert [picture.is_flagged for picture in bench.last_message.reply.pictures] == [True]


async def test_an_adult_model_is_refused_without_flagged_pictures(bench: Bench) -> None:
    channel = mark_default_model_as_adult(bench)
    await bench.say("/settings pictures --flagged refuse", by=replace(ANA, is_administrator=True))

    refused = await bench.say("/imagine a fox", channel=channel)

    assert refused is not None
    assert refused.text == "FLUX schnell is for adults, and this workspace shows no such pictures."
    assert await bench.balance() == bench.starting_credits
