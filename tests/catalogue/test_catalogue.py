"""The catalogue: choosing models, building inputs, loading files."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from bot.catalogue.catalogue import Catalogue, list_left_out
from bot.catalogue.loading import CatalogueError, load_catalogue
from bot.core.backend import InputFile
from bot.core.errors import BadOption, UnknownName
from bot.core.jobs import Output
from bot.core.models import AddedModel, Metric, OutputKind, Price, PriceTier, Task
from bot.credits.pricing import CreditFormatter
from bot.jobs.presenting import Presenter, Result
from tests.bench import Bench
from tests.fakes.backend import make_png
from tests.fakes.samples import NOW, make_job

CATALOGUE = Catalogue(load_catalogue())
FILE = InputFile("ab" * 32, "image/png", 10, "a.png")

MINIMAL = """
[fox]
title = "Fox"
task = "imagine"
ref = "ana/fox"
output = "pictures"
usual_seconds = 1
max_seconds = 10
price = { tiers = [{ per = "image_output_count", usd = "0.01" }], source = "a page", read_on = 2026-11-01 }
inputs = { prompt = "prompt" }
"""


def test_every_model_has_a_price_with_its_source() -> None:
    assert [model.key for model in CATALOGUE.list_all() if model.price.objection] == [
        "seedream-5-pro",
        *("gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gemini-tts", "elevenlabs-v3"),
        *("seedance-2-0", "seedance-2-5"),
    ]
    for model in CATALOGUE.list_all():
        assert any(tier.micros for tier in model.price.tiers) or model.price.objection == "has no price yet"
        assert model.price.source
        assert model.price.read_on is not None
        assert model.description


def test_every_task_has_a_default() -> None:
    assert {task: CATALOGUE.choose(task).key for task in Task if CATALOGUE.list_for_task(task)} == {
        Task.IMAGINE: "flux-schnell",
        Task.EDIT: "p-image-edit",
        Task.UPSCALE: "real-esrgan",
        Task.REMOVE_BACKGROUND: "851-removebg",
        Task.RESTORE: "gfpgan",
        Task.CAPTION: "gpt-5-nano-caption",
        Task.TRANSCRIBE: "scribe",
        Task.SPEAK: "inworld-tts",
        Task.MUSIC: "lyria-3",
        Task.VIDEO: "p-video",
        Task.CHAT: "gpt-5-nano",
        Task.TRAIN: "sdxl-training",
    }


def test_a_model_is_found_by_key_title_and_the_backends_name() -> None:
    for name in ("sdxl", "SDXL", "stability-ai/sdxl", " Sdxl "):
        assert CATALOGUE.choose(Task.IMAGINE, name).key == "sdxl"


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no model called “flux-shnell”. Did you mean flux-schnell?"):
        CATALOGUE.choose(Task.IMAGINE, "flux-shnell")


def test_a_model_for_another_task_names_that_task() -> None:
    with pytest.raises(BadOption, match="BLIP is for /caption, not for /imagine."):
        CATALOGUE.choose(Task.IMAGINE, "blip")


def test_added_models_are_listed_after_those_of_the_file_and_never_replace_one() -> None:
    fast, fine = CATALOGUE.get("flux-schnell"), CATALOGUE.get("flux-dev")
    new = replace(fine, key="new", title="New")
    same = replace(fine, title="Another model with the key of one of the file")
    added = {model.key: AddedModel(model, (), "web", "page", NOW) for model in (same, new)}
    catalogue = Catalogue([fast, fine], added).for_workspace("web", "page")

    assert catalogue.list_for_task(Task.IMAGINE) == catalogue.list_all() == [fast, fine, new]
    assert catalogue.for_workspace("web", "other").list_for_task(Task.IMAGINE) == [fast, fine]


def test_an_input_picture_selects_a_model_that_accepts_pictures() -> None:
    assert CATALOGUE.choose(Task.IMAGINE, required_option="image").key == "flux-dev"
    choices = [CATALOGUE.choose_for_variation(key) for key in ("flux-schnell", "sdxl", "gone")]
    assert [model.key for model in choices if model] == ["flux-dev", "sdxl", "flux-dev"]
    assert Catalogue([CATALOGUE.get("flux-schnell")]).choose_for_variation("flux-schnell") is None


def test_options_become_fields_of_the_model() -> None:
    inputs = CATALOGUE.build_inputs(
        CATALOGUE.get("sdxl"), {"prompt": "a fox", "aspect": "16:9", "guidance": 7, "count": None}
    )

    assert inputs == {
        "apply_watermark": False,
        "prompt": "a fox",
        "width": 1344,
        "height": 768,
        "guidance_scale": 7,
    }


def test_a_question_changes_the_task_of_a_caption_model() -> None:
    blip = CATALOGUE.get("blip")

    inputs = CATALOGUE.build_inputs(blip, {"image": FILE, "question": "Is it red?"})

    assert inputs == {"task": "visual_question_answering", "image": FILE, "question": "Is it red?"}
    assert CATALOGUE.build_inputs(blip, {"image": FILE})["task"] == "image_captioning"


@pytest.mark.parametrize(
    ("key", "options", "sentence"),
    [
        ("flux-schnell", {"prompt": "x", "steps": 5}, "FLUX schnell takes steps from 1 to 4, not 5."),
        (
            "flux-schnell",
            {"prompt": "x", "image": FILE},
            "FLUX schnell does not take image. Try flux-dev or flux-pro or sdxl.",
        ),
        ("flux-pro", {"prompt": "x", "count": 2}, "does not take count. Try flux-schnell or flux-dev or sdxl."),
        ("flux-pro", {"prompt": "x", "aspect": "21:9"}, "FLUX 1.1 pro takes aspect 1:1, 16:9"),
    ],
)
def test_a_refusal_names_the_models_bounds(key: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadOption) as caught:
        CATALOGUE.build_inputs(CATALOGUE.get(key), options)  # type: ignore[arg-type]  # made of the right types

    assert sentence in str(caught.value)


def test_options_that_only_tune_are_left_out_of_a_model_without_them() -> None:
    model = CATALOGUE.get("flux-schnell")
    options: dict[str, object] = {"prompt": "x", "negative": "y", "scheduler": "DDIM", "guidance": None}

    assert CATALOGUE.build_inputs(model, options) == CATALOGUE.build_inputs(model, {"prompt": "x"})  # type: ignore[arg-type]  # made of the right types
    assert list_left_out(model, options) == ["negative", "scheduler"]  # type: ignore[arg-type]  # made of the right types
    assert list_left_out(CATALOGUE.get("a model that is gone"), {"scheduler": "DDIM"}) == []


@pytest.mark.parametrize(
    ("sides", "sent"),
    [
        ((640, 480), (640, 512)),
        ((1000, 1000), (1024, 1024)),
        ((4000, 1000), (1024, 256)),
        ((3, 5000), (64, 1024)),
        ((33, 21), (64, 64)),
    ],
)
def test_a_model_draws_in_the_size_of_the_picture(sides: tuple[int, int], sent: tuple[int, int]) -> None:
    picture = replace(FILE, width_pixels=sides[0], height_pixels=sides[1])

    inputs = CATALOGUE.build_inputs(CATALOGUE.get("sd-inpainting"), {"prompt": "x", "image": picture, "mask": FILE})

    assert (inputs["width"], inputs["height"]) == sent


def test_the_number_of_an_option_finds_its_choice_however_it_is_written() -> None:
    topaz = CATALOGUE.get("topaz-upscale")

    assert [CATALOGUE.build_inputs(topaz, {"scale": scale}) for scale in (2, 2.0)] == [{"upscale_factor": "2x"}] * 2
    with pytest.raises(BadOption, match="Topaz Upscale takes scale 2, 4, 6, not “3”."):
        CATALOGUE.build_inputs(topaz, {"scale": 3.0})


def test_one_table_adds_a_model(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(MINIMAL)

    (model,) = load_catalogue(path)

    assert (model.key, model.output) == ("fox", OutputKind.PICTURES)
    assert model.price.tiers == (PriceTier(Metric.IMAGE_OUTPUT_COUNT, Fraction(10_000)),)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ('ref = "ana/fox"', "", "[fox] lacks 'ref'."),
        ('task = "imagine"', 'task = "paint"', "[fox] is wrong: 'paint' is not a valid Task."),
        ('output = "pictures"', 'output = "smell"', "[fox] is wrong: 'smell' is not a valid OutputKind."),
        ('title = "Fox"', 'titel = "Fox"', "[fox] has keys that no model has: titel."),
        ('"0.01"', '"cheap"', "[fox] is wrong"),
        ("[fox]", "[fox", "The catalogue models.toml cannot be read"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, before: str, after: str, sentence: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(MINIMAL.replace(before, after))

    with pytest.raises(CatalogueError) as caught:
        load_catalogue(path)

    assert sentence in str(caught.value)


@pytest.mark.parametrize("finer", ["owl", "fox", "cat"])
def test_a_draft_model_names_another_model_that_draws(tmp_path: Path, finer: str) -> None:
    cat = MINIMAL.replace("fox", "cat").replace("imagine", "edit")
    path = tmp_path / "models.toml"
    path.write_text(MINIMAL.replace("usual_seconds", f'finish = "{finer}"\nusual_seconds') + cat)

    with pytest.raises(CatalogueError, match="finish names another model of imagine"):
        load_catalogue(path)


@pytest.mark.parametrize("usd", ["FILL IN", "8"])
async def test_a_model_is_off_until_the_owner_agrees_to_its_price(tmp_path: Path, usd: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(f"{MINIMAL}\n{MINIMAL.replace('[fox]', '[owl]').replace('Fox', 'Owl').replace('0.01', usd)}")
    bench = await Bench.open(tmp_path, catalogue_path=path)

    reply = await bench.say("/imagine a fox --model owl")
    models = await bench.say("/models imagine")

    assert reply is not None
    assert models is not None
    assert reply.text == "Owl is off until my owner agrees to its price."
    assert "owl" not in models.text
    assert bench.backend.runs == {}
    await bench.close()


@pytest.mark.parametrize(
    ("price", "sentence"),
    [
        ('tiers = [{ per = "moon", usd = "1" }]', "'moon' is not a valid Metric"),
        ('tiers = [{ per = "run", usd = "-1" }]', "a price cannot be negative"),
        ('tiers = [{ per = "run", usd = "1", whem = 3 }]', "a tier of a price has no whem"),
        ('tiers = [{ per = "video_output_duration_seconds", usd = "1" }]', "its price needs bounds for video_output"),
        ("usd_per_image = 3", "a price has no usd_per_image"),
    ],
)
def test_a_mistake_in_a_price_is_named(tmp_path: Path, price: str, sentence: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(MINIMAL.replace('tiers = [{ per = "image_output_count", usd = "0.01" }]', price))

    with pytest.raises(CatalogueError, match=sentence):
        load_catalogue(path)


async def test_a_command_without_a_model_says_so(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(MINIMAL)
    bench = await Bench.open(tmp_path, catalogue_path=path)

    reply = await bench.say("/caption", image=make_png())

    assert reply is not None
    assert reply.text == "No model for /caption is on offer here. Ask my owner to add one."
    await bench.close()


async def test_vary_is_offered_only_if_a_model_accepts_pictures(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(MINIMAL)
    bench = await Bench.open(tmp_path, catalogue_path=path)

    await bench.say("/imagine a fox")

    actions = [button.action for button in bench.last_message.reply.buttons]
    assert "again" in actions
    assert "vary" not in actions
    await bench.close()


def test_the_price_on_a_button_follows_a_model_that_is_read_anew() -> None:
    dear = CATALOGUE.get("flux-dev")
    free = replace(dear, price=Price())
    added = {dear.key: AddedModel(dear, (), "", "", NOW)}
    presenter = Presenter(CreditFormatter(), Catalogue([], added))
    job, result = make_job(model=dear.key), Result((Output("p1", 1, "0" * 64, "image/png"),))

    def read_label() -> str:
        return next(b.label for b in presenter.render_result(job, dear, result).buttons if b.action == "vary")

    labels = [read_label(), read_label()]
    added[dear.key] = replace(added[dear.key], model=free)

    assert [*labels, read_label()] == ["Vary · FLUX dev, 25 credits"] * 2 + ["Vary · FLUX dev, 0 credits"]
