"""The models that edit: words change the given pictures by rules, masks are obeyed, backgrounds become transparent."""

import io

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from bot.sandbox.painter.editor import EditOrder, MaskMismatch, edit, extend, find_rules, remove_background, restore
from tests.fakes.backend import make_data_url
from tests.sandbox.conftest import SandboxClient

P_IMAGE_EDIT, KONTEXT = "prunaai/p-image-edit", "black-forest-labs/flux-kontext-pro"
SD_INPAINTING = (
    "stability-ai/stable-diffusion-inpainting:95b7223104132402a9ae91cc677285bc5eb997834bd2349fa486f53910fd68b3"
)
CONTROLNET_CANNY = "jagilley/controlnet-canny:aff48af9c68d162388d230a2ab003f68d2638d88307bdaf1c2f1ac95079c9613"
REMBG = "cjwbw/rembg:fb8af171cfa1616ddcf1242c093f9c46bcada5ad4cf6f2fbe8b81b330ec5c003"
GFPGAN = "tencentarc/gfpgan:9283608cc6b7be6b65a8e44983db012355fde4132009bf99d976b2f0896856a3"


def encode(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def decode(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def make_card(colour: str = "teal", size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Return a disc on a plain background."""
    card = Image.new("RGB", size, "white")
    ImageDraw.Draw(card).ellipse((24, 12, 72, 52), fill=colour)
    return card


def apply(words: str, *pictures: Image.Image, mask: Image.Image | None = None) -> Image.Image:
    given = tuple(encode(picture) for picture in pictures)
    return decode(edit(EditOrder(words, 7, given, encode(mask) if mask else None))).convert("RGB")


def test_words_change_light_and_colour() -> None:
    card = make_card()

    assert ImageStat.Stat(apply("darker, please", card)).mean < ImageStat.Stat(card).mean
    red, _, blue = ImageStat.Stat(apply("make it red", Image.new("RGB", (64, 64), "gray"))).mean
    assert red > blue + 20
    grey = apply("in black and white", card)
    assert grey.convert("L").convert("RGB").tobytes() == grey.tobytes()


@pytest.mark.parametrize("words", ["whitewashed walls", "a darkroom", "redacted"])
def test_a_part_of_a_word_is_no_rule(words: str) -> None:
    assert find_rules(words) == []


def test_a_mask_is_obeyed() -> None:
    card = make_card()
    mask = Image.new("L", card.size, 0)
    ImageDraw.Draw(mask).rectangle((0, 0, 47, 63), fill=255)

    edited = apply("night", card, mask=mask)

    difference = ImageChops.difference(edited, card)
    assert difference.crop((48, 0, 96, 64)).getbbox() is None
    assert difference.crop((0, 0, 48, 64)).getbbox() is not None


def test_a_mask_of_another_size_fails() -> None:
    with pytest.raises(MaskMismatch, match="must have the same size, not 8x8 and 96x64"):
        apply("night", make_card(), mask=Image.new("L", (8, 8)))


@pytest.mark.parametrize(
    ("outpaint", "size", "corner"),
    [
        ("Zoom out 2x", (192, 128), (48, 32)),
        ("Make square", (96, 96), (0, 16)),
        ("Left outpaint", (144, 64), (48, 0)),
        ("Bottom outpaint", (96, 96), (0, 0)),
    ],
)
def test_a_picture_grows_and_stays_itself(outpaint: str, size: tuple[int, int], corner: tuple[int, int]) -> None:
    card = make_card()

    grown = decode(extend(EditOrder("night", 7, (encode(card),)), outpaint)).convert("RGB")

    assert grown.size == size
    kept = grown.crop((*corner, corner[0] + card.width, corner[1] + card.height))
    assert kept.tobytes() == card.tobytes()
    assert ImageStat.Stat(grown).mean[0] < ImageStat.Stat(card).mean[0]


async def test_the_twin_of_fill_pro_takes_a_mask_or_an_outpaint(client: SandboxClient) -> None:
    given = {"prompt": "night", "image": make_data_url(encode(make_card()))}
    grown = await client.run("black-forest-labs/flux-fill-pro", {**given, "outpaint": "Make square"})
    bare = await client.run("black-forest-labs/flux-fill-pro", given)

    assert decode((await client.request("GET", grown["output"])).content).size == (96, 96)
    assert grown["metrics"]["image_output_count"] == 1
    assert "a mask or an outpaint is required" in bare["error"]


def test_references_are_blended() -> None:
    blended = apply("combine", Image.new("RGB", (32, 32), "red"), Image.new("RGB", (64, 32), "blue"))

    assert blended.size == (32, 32)
    assert blended.getpixel((16, 16)) == pytest.approx((127, 0, 127), abs=1)


def test_words_without_a_rule_tint_the_picture_by_a_scene() -> None:
    card = make_card()

    assert ImageChops.difference(apply("a castle by the sea", card), card).getbbox() is not None


def test_the_background_becomes_transparent_and_the_subject_stays() -> None:
    cut = decode(remove_background(encode(make_card())))

    opacity = cut.getchannel("A")
    assert opacity.getpixel((2, 2)) == 0
    assert opacity.getpixel((48, 32)) == 255


def test_a_restored_picture_is_larger() -> None:
    assert decode(restore(encode(make_card()))).size == (192, 128)


@pytest.mark.parametrize(
    ("version", "inputs"),
    [
        (P_IMAGE_EDIT, {"prompt": "winter", "images": 2}),
        (KONTEXT, {"prompt": "winter", "input_image": 1, "aspect_ratio": "1:1"}),
        (SD_INPAINTING, {"prompt": "winter", "image": 1, "mask": 1}),
        (CONTROLNET_CANNY, {"prompt": "winter", "image": 1, "num_samples": "4"}),
        (REMBG, {"image": 1}),
        (GFPGAN, {"img": 1}),
    ],
)
async def test_each_model_gives_a_picture_over_http(
    client: SandboxClient, version: str, inputs: dict[str, object]
) -> None:
    url = make_data_url(encode(make_card()))
    lists = {"images": [url, url]}
    sent = {name: lists.get(name, url) if isinstance(value, int) else value for name, value in inputs.items()}

    finished = await client.run(version, sent)

    assert finished["status"] == "succeeded", finished["error"]
    output = finished["output"]
    reply = await client.request("GET", output[0] if isinstance(output, list) else output)
    assert min(decode(reply.content).size) >= 64
    assert "not an AI model" in finished["logs"]


async def test_a_repainted_picture_has_the_size_of_the_fields(client: SandboxClient) -> None:
    sent = {"prompt": "winter", "image": make_data_url(encode(make_card())), "mask": make_data_url(encode(make_card()))}

    sizes = []
    for fields in ({}, {"width": 192, "height": 128}):
        finished = await client.run(SD_INPAINTING, {**sent, **fields})
        sizes.append(decode((await client.request("GET", finished["output"][0])).content).size)
    refused = await client.run(SD_INPAINTING, {**sent, "width": 100, "height": 128})

    assert sizes == [(512, 512), (192, 128)]
    assert refused["error"] == "width and height must be multiples of 64, not 100x128"


async def test_a_drawing_over_lines_begins_with_the_lines(client: SandboxClient) -> None:
    sent = {"prompt": "a fox", "image": make_data_url(encode(make_card())), "num_samples": "4", "seed": 7}

    finished = await client.run(CONTROLNET_CANNY, sent)

    pictures = [decode((await client.request("GET", url)).content) for url in finished["output"]]
    assert [picture.size for picture in pictures] == [(768, 512)] * 5
    lines = pictures[0].convert("L")
    assert {value for value, count in enumerate(lines.histogram()) if count} == {0, 255}
    assert 0 < ImageStat.Stat(lines).mean[0] < 60
    drawn = ImageChops.multiply(pictures[1].convert("L"), lines)
    assert drawn.getextrema() == (0, 0)  # black where the lines are


async def test_an_edit_without_a_picture_and_a_list_of_no_addresses_are_refused(client: SandboxClient) -> None:
    reply = await client.request(
        "POST", f"/v1/models/{P_IMAGE_EDIT}/predictions", json={"input": {"prompt": "x", "images": ["fox.png"]}}
    )
    assert reply.status == 422

    failed = await client.run(KONTEXT, {"prompt": "winter"})
    assert failed["error"] == "Input validation error: an image is required"
