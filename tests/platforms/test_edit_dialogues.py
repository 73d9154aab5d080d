"""/edit, /removebg and /restore on each platform with the sandbox's models: the pixels that come back are looked at."""

import json
from io import BytesIO
from pathlib import Path

import aiohttp
from PIL import Image, ImageDraw

from bot.sandbox.server import SandboxThread
from tests.emulators.slack.forms import SlackFileUpload
from tests.platforms.conftest import use_sandbox
from tests.platforms.discord.town import finish, open_town
from tests.platforms.slack.office import create_office
from tests.platforms.web.page_bench import PAGE_HEADERS
from tests.platforms.web.web_bot import Browser, open_web_bot

SIZE = (128, 64)
RESTORE = {"scale": 2.0}


def encode(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def make_card() -> bytes:
    """Return a grey disc on white."""
    card = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(card).ellipse((24, 12, 72, 52), fill="gray")
    return encode(card)


def make_left_mask() -> bytes:
    mask = Image.new("L", SIZE, 0)
    ImageDraw.Draw(mask).rectangle((0, 0, SIZE[0] // 2 - 1, SIZE[1]), fill=255)
    return encode(mask)


def check_masked_edit(content: bytes) -> None:
    """Assert that the left half became red, and the right half stayed."""
    edited, card = Image.open(BytesIO(content)).convert("RGB"), Image.open(BytesIO(make_card()))
    assert edited.size == SIZE
    red, green, _ = edited.getpixel((40, 32))  # type: ignore[misc] # an RGB pixel
    assert red > green + 20
    right = (SIZE[0] // 2, 0, *SIZE)
    assert edited.crop(right).tobytes() == card.crop(right).tobytes()


def check_cutout(content: bytes) -> None:
    """Assert that the background is transparent, and the disc is not."""
    opacity = Image.open(BytesIO(content)).convert("RGBA").getchannel("A")
    assert (opacity.getpixel((2, 2)), opacity.getpixel((48, 32))) == (0, 255)


def check_restored(content: bytes) -> None:
    assert Image.open(BytesIO(content)).size == (256, 128)


async def test_pictures_are_edited_on_discord(tmp_path: Path, sandbox: SandboxThread) -> None:
    async with (
        open_town(tmp_path, replicate_base_url=sandbox.url) as town,
        use_sandbox(town.app, sandbox),
    ):
        options = {"prompt": "make it red", "image": make_card(), "mask": make_left_mask()}
        edited = await finish(await town.ana.use_command("edit", options))
        check_masked_edit(edited.pictures[0].data)
        cutout = await finish(await town.ana.use_command("removebg", {"image": make_card()}))
        check_cutout(cutout.pictures[0].data)
        restored = await finish(await town.ana.use_command("restore", {"image": make_card(), **RESTORE}))
        check_restored(restored.pictures[0].data)


async def test_pictures_are_edited_on_slack(tmp_path: Path, sandbox: SandboxThread) -> None:
    office = await (await create_office(tmp_path, replicate_base_url=sandbox.url)).open()
    try:
        async with use_sandbox(office.app, sandbox):
            await office.ana.use_command("/edit", "make it red", office.general)
            form = await office.ana.wait_for_modal("Edit")
            files = {"image": make_card(), "mask": make_left_mask()}
            given = {name: SlackFileUpload(f"{name}.png", content) for name, content in files.items()}
            await office.ana.submit(form, {"prompt": "make it red", **given})
            edited = await office.general.wait_for_bot_message("inpainting", condition=lambda one: one.files)
            check_masked_edit(edited.files[0].content)

            posted = await office.ana.say("A disc.", office.general, files=[make_card()])
            await office.ana.use_message_shortcut("picture:removebg", posted)
            thread = office.general.get_thread(posted)
            cutout = await thread.wait_for_bot_message("/removebg", condition=lambda one: one.files)
            check_cutout(cutout.files[0].content)
            mention = f"{office.team.mention} restore --scale 2"
            asked = await office.ana.say(mention, office.general, files=[make_card()])
            answer = await office.general.get_thread(asked).wait_for_bot_message(condition=lambda one: one.files)
            check_restored(answer.files[0].content)
            assert office.slack.violations == []
    finally:
        await office.close()
        await office.slack.stop()


async def test_pictures_are_edited_on_the_page(tmp_path: Path, sandbox: SandboxThread) -> None:
    async with (
        open_web_bot(tmp_path, replicate_base_url=sandbox.url) as bot,
        use_sandbox(bot.app, sandbox),
    ):
        ana = await bot.invite("Ana")
        check_masked_edit(await ask(ana, "/edit make it red", image=make_card(), mask=make_left_mask()))
        check_cutout(await ask(ana, "/removebg", image=make_card()))
        check_restored(await ask(ana, "/restore --scale 2", image=make_card()))


async def ask(browser: Browser, text: str, **files: bytes) -> bytes:
    """Send a command with files, and return the picture of the result."""
    before = (await browser.messages() or [{"id": ""}])[-1]["id"]
    form = aiohttp.FormData()
    request_id = f"ask-{text.split()[0][1:]}-1"
    form.add_field("ask", json.dumps({"channel": "main", "text": text, "request_id": request_id}))
    for name, content in files.items():
        form.add_field(name, content, filename=f"{name}.png", content_type="image/png")
    async with browser.session.post(f"{browser.address}/api/say", data=form, headers=PAGE_HEADERS) as response:
        assert (await response.json())["error"] == ""
    result = await browser.wait_for_result(after=before)
    async with browser.session.get(f"{browser.address}{result['pictures'][0]['url']}") as response:
        return await response.read()
