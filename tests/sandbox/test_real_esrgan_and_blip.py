"""The upscaler enlarges for real; the captioner reports only measurable properties."""

import base64
import io
import math

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from bot.sandbox.models.blip import answer_question, describe_picture
from bot.sandbox.models.real_esrgan import TooManyPixels, UnreadablePicture, _back_project, enlarge
from bot.sandbox.painter.picture import PictureOrder, draw
from tests.sandbox.conftest import SandboxClient

ESRGAN = "nightmareai/real-esrgan:f121d640bd286e1fdc67f9799164c1d5be36ff74576ee11c803ae5b665dd46aa"
BLIP_2 = "andreasjansson/blip-2:f677695e5e89f8b236e52ecd1d3f01beb44c34606419bcc19345e046d8f786f9"


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def line_art() -> Image.Image:
    picture = Image.new("RGB", (256, 256), "white")
    pen = ImageDraw.Draw(picture)
    for step in range(0, 256, 64):
        pen.line((0, step, 255, 255 - step), fill=(step, 20, 90), width=6)
        pen.ellipse((step, step // 2, step + 90, step // 2 + 90), outline="black", width=5)
    return picture


def psnr(first: Image.Image, second: Image.Image) -> float:
    squares = ImageStat.Stat(ImageChops.difference(first, second)).sum2
    return 10 * math.log10(255**2 * 3 * first.width * first.height / sum(squares))


def test_enlarging_comes_nearer_to_the_truth_than_plain_lanczos() -> None:
    truth = line_art()
    small = truth.resize((64, 64), Image.Resampling.LANCZOS)

    enlarged = Image.open(io.BytesIO(enlarge(png(small), 4)))
    plain = small.resize((256, 256), Image.Resampling.LANCZOS)

    assert enlarged.size == (256, 256)
    assert psnr(enlarged.convert("RGB"), truth) > psnr(plain, truth) + 0.5


@pytest.mark.parametrize(
    ("scale", "size"), [(0, (1, 1)), (0.5, (32, 24)), (1, (64, 48)), (2.5, (160, 120)), (10, (640, 480))]
)
def test_every_scale_of_the_schema_is_taken(scale: float, size: tuple[int, int]) -> None:
    picture = draw(PictureOrder("a hill", 1, (64, 48)))

    assert Image.open(io.BytesIO(enlarge(picture, scale))).size == size


def test_bands_leave_no_seam() -> None:
    picture = line_art()

    by_bands = Image.open(io.BytesIO(enlarge(png(picture), 2)))

    difference = ImageChops.difference(by_bands, _back_project(picture, (512, 512)))
    assert max(high for _, high in difference.getextrema()) <= 3  # type: ignore[misc] # one pair per channel


def test_bands_of_a_large_odd_scale_leave_no_seam_either() -> None:
    picture = line_art().convert("RGBA")

    by_bands = Image.open(io.BytesIO(enlarge(png(picture), 9.5)))

    whole = picture.resize((2432, 2432), Image.Resampling.LANCZOS)
    difference = ImageChops.difference(by_bands, whole)
    assert max(high for _, high in difference.getextrema()) <= 1  # type: ignore[misc] # one pair per channel


def test_16_bit_grey_keeps_its_brightness() -> None:
    enlarged = Image.open(io.BytesIO(enlarge(png(Image.new("I;16", (40, 30), 127 * 257)), 2)))

    assert ImageStat.Stat(enlarged.convert("L")).mean == pytest.approx([127], abs=1)


def test_transparency_is_kept() -> None:
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))

    enlarged = Image.open(io.BytesIO(enlarge(png(picture), 2)))

    assert enlarged.mode == "RGBA"
    assert enlarged.getpixel((8, 8)) == (255, 0, 0, 0)


def test_too_many_pixels_are_refused_in_the_models_words() -> None:
    large = png(Image.new("1", (2048, 1025)))
    wide = png(Image.new("1", (1400, 1400)))

    with pytest.raises(TooManyPixels, match="greater than the max size that fits in GPU memory"):
        enlarge(large, 2)
    with pytest.raises(TooManyPixels, match="CUDA out of memory"):
        enlarge(wide, 10)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(UnreadablePicture, match="than fit in memory"):
        describe_picture(png(Image.new("1", (10_000, 10_000))))


async def test_upscaling_over_http_gives_one_png(client: SandboxClient) -> None:
    picture = draw(PictureOrder("a hill", 1, (64, 48)))
    url = "data:image/png;base64," + base64.b64encode(picture).decode()

    finished = await client.run(ESRGAN, {"image": url, "scale": 2})
    enlarged = await client.request("GET", finished["output"])

    assert Image.open(io.BytesIO(enlarged.content)).size == (128, 96)
    assert "not an AI model" in finished["logs"]


def test_a_description_names_size_light_colours_and_says_that_it_is_measured() -> None:
    said = describe_picture(png(Image.new("RGB", (120, 80), (30, 60, 220))))

    assert said.startswith("Measured, not recognised: a landscape PNG picture of 120 × 80 pixels;")
    assert "mostly blue 100 %" in said
    assert "smooth surfaces" in said


def test_our_own_prompt_and_a_camera_are_read_from_the_notes() -> None:
    ours = describe_picture(draw(PictureOrder("a fjord at dawn", 9, (64, 64), "webp")))
    photo = Image.new("RGB", (64, 64))
    exif = Image.Exif()
    exif[0x0110], exif[0x8825] = "Easel One", {1: "N"}
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", exif=exif)

    assert "Sandbox painter (rules, not AI)" in ours
    assert "a fjord at dawn" in ours
    assert "camera Easel One" in describe_picture(buffer.getvalue())
    assert "GPS position" in describe_picture(buffer.getvalue())


def test_a_question_is_answered_with_the_facts_it_asks_for() -> None:
    picture = png(Image.new("RGB", (80, 80), (200, 30, 30)))

    assert (
        answer_question(picture, "How big is it?")
        == "Measured, not recognised: a square PNG picture of 80 × 80 pixels."
    )
    assert answer_question(picture, "Which colour?") == "Measured, not recognised: mostly red 100 %."
    assert "cannot see what is shown" in answer_question(picture, "Is this a cat?")


@pytest.mark.parametrize(
    ("model_input", "opening"),
    [
        ({}, "Caption: Measured, not recognised: "),
        ({"task": "visual_question_answering", "question": "how big?"}, "Answer: Measured, not recognised: "),
        ({"task": "image_text_matching", "caption": "a cat"}, "Measured, not recognised: "),
    ],
)
async def test_blip_answers_in_its_own_form(client: SandboxClient, model_input: dict[str, str], opening: str) -> None:
    url = "data:image/png;base64," + base64.b64encode(png(Image.new("RGB", (8, 8)))).decode()
    version = "2e1dddc8621f72155f24cf2e0adbde548458d3cab9f00c0139eea840d0ac4746"

    finished = await client.run(version, {"image": url, **model_input})

    assert finished["output"].startswith(opening)


async def test_a_question_task_without_a_question_fails(client: SandboxClient) -> None:
    version = "2e1dddc8621f72155f24cf2e0adbde548458d3cab9f00c0139eea840d0ac4746"

    finished = await client.run(version, {"image": "data:,", "task": "visual_question_answering"})

    assert finished["status"] == "failed"


async def test_blip_2_answers_without_a_prefix(client: SandboxClient) -> None:
    url = "data:image/png;base64," + base64.b64encode(png(Image.new("RGB", (8, 8)))).decode()

    finished = await client.run(BLIP_2, {"image": url, "caption": True})

    assert finished["output"].startswith("Measured, not recognised: a square PNG")
