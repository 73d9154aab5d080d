"""The painter: the same prompt and seed give the same picture, in the requested size and format."""

import io
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from bot.sandbox.models.drawing import SIZES
from bot.sandbox.painter.picture import SIGNATURE, PictureOrder, draw
from bot.sandbox.painter.scene import read_scene
from tests.sandbox.conftest import SandboxClient
from tests.sandbox.test_predictions import SCHNELL, SDXL

PROMPTS = (
    "a lighthouse at dusk with a boat",
    "a fox in the snow",
    "aurora over a lake at night",
    "a city in the rain",
    "desert with pyramids and a cactus",
    "a galaxy",
    "a castle in the mountains",
    "autumn forest with an oak tree and a cabin in the fog",
    "a meadow with flowers and balloons and birds",
    "",
)


def open_image(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_same_order_gives_the_same_bytes(prompt: str) -> None:
    order = PictureOrder(prompt, 7, (192, 128))

    first = draw(order)
    draw.cache_clear()

    assert draw(order) == first
    assert draw(order) != draw(PictureOrder(prompt, 8, (192, 128)))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_picture_has_light_and_dark_and_colour(prompt: str) -> None:
    picture = open_image(draw(PictureOrder(prompt, 3, (192, 192))))

    assert ImageStat.Stat(picture.convert("L")).stddev[0] > 12
    assert len(picture.convert("RGB").getcolors(192 * 192) or []) > 500


@pytest.mark.parametrize("size", [(64, 64), (64, 512), (640, 64), (257, 101)])
def test_odd_sizes_are_drawn_too(size: tuple[int, int]) -> None:
    for prompt in PROMPTS:
        assert open_image(draw(PictureOrder(prompt, 1, size))).size == size


def test_words_choose_the_scene() -> None:
    night = open_image(draw(PictureOrder("a lake at night", 1, (96, 96))))
    day = open_image(draw(PictureOrder("a lake on a sunny day", 1, (96, 96))))

    assert read_scene("a fox in the snow", 1).subjects == {"fox"}
    assert read_scene("a fox in the snow", 1).weather == "snow"
    assert ImageStat.Stat(day.convert("L")).mean[0] > 2 * ImageStat.Stat(night.convert("L")).mean[0]


@pytest.mark.parametrize(("extension", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
def test_the_file_names_the_painter(extension: str, kind: str) -> None:
    picture = open_image(draw(PictureOrder("a fjord at dawn", 9, (96, 64), extension)))
    exif = picture.getexif()

    assert picture.format == kind
    note = picture.info["Comment"] if kind == "PNG" else exif[0x010E]
    assert SIGNATURE in (picture.info["Software"] if kind == "PNG" else exif[0x0131])
    assert "seed 9" in note
    assert "a fjord at dawn" in note


def test_a_lower_strength_keeps_more_of_the_start_image() -> None:
    start = draw(PictureOrder("a city at night", 1, (96, 96)))

    def distance(strength: float) -> float:
        changed = open_image(draw(PictureOrder("a sunny meadow", 2, (96, 96), "png", 80, start, strength)))
        difference = ImageChops.difference(changed.convert("RGB"), open_image(start).convert("RGB"))
        return sum(ImageStat.Stat(difference).mean)

    assert distance(0.0) == 0
    assert distance(0.0) < distance(0.3) < distance(0.6) < distance(1.0)


@pytest.mark.parametrize("ratio", ["1:1", "16:9", "9:21"])
async def test_flux_draws_in_the_size_of_its_aspect_ratio(client: SandboxClient, ratio: str) -> None:
    model_input: dict[str, Any] = {
        "prompt": "a hill",
        "aspect_ratio": ratio,
        "megapixels": "0.25",
        "output_format": "jpg",
    }

    finished = await client.run(SCHNELL, model_input)
    picture = open_image((await client.request("GET", finished["output"][0])).content)

    assert picture.size == (SIZES[ratio][0] // 2, SIZES[ratio][1] // 2)
    assert finished["output"][0].endswith("/out-0.jpg")


async def test_flux_pro_gives_one_picture_of_a_custom_size(client: SandboxClient) -> None:
    model_input = {"prompt": "a hill", "aspect_ratio": "custom", "width": 300, "height": 256}

    finished = await client.run("black-forest-labs/flux-1.1-pro", model_input)

    assert isinstance(finished["output"], str)
    assert open_image((await client.request("GET", finished["output"])).content).size == (288, 256)


async def test_sdxl_draws_pngs_and_begins_from_an_earlier_output(client: SandboxClient) -> None:
    first = await client.run(SDXL, {"prompt": "a hill", "width": 256, "height": 192, "seed": 1})
    again = {"prompt": "a hill", "width": 256, "height": 192, "seed": 2, "image": first["output"][0]}
    second = await client.run(SDXL, again | {"prompt_strength": 0.0})

    pictures = [await client.request("GET", finished["output"][0]) for finished in (first, second)]

    assert [open_image(picture.content).size for picture in pictures] == [(256, 192)] * 2
    assert open_image(pictures[0].content).tobytes() == open_image(pictures[1].content).tobytes()


async def test_a_random_seed_is_reported_and_reusable(client: SandboxClient) -> None:
    model_input: dict[str, Any] = {"prompt": "a hill", "megapixels": "0.25"}
    first = await client.run(SCHNELL, model_input)
    seed = int(first["logs"].split("Using seed: ")[1].split("\n")[0])

    second = await client.run(SCHNELL, model_input | {"seed": seed})

    contents = [(await client.request("GET", finished["output"][0])).content for finished in (first, second)]
    assert contents[0] == contents[1]
    assert "not by an AI model" in first["logs"]
