"""Sounds and videos on the page: players that play and seek, also on a phone."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bot.core.ids import new_id
from bot.media.joining import join_sounds
from bot.sandbox.server import SandboxThread
from tests.browser.demo import open_demo
from tests.browser.visitor import PageVisitor, expect
from tests.media.pictures import encode_picture
from tests.media.recordings import make_mp3, make_ogg, make_wav
from tests.sandbox.test_sounds_and_films import ZEROSCOPE

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator

pytestmark = pytest.mark.asyncio(loop_scope="session")

_ZEROSCOPE_REF, _, _ZEROSCOPE_VERSION = ZEROSCOPE.partition(":")
CATALOGUE = f"""
[band]
title = "Band"
task = "imagine"
ref = "google/lyria-3"
output = "audio"
price = {{ tiers = [{{ per = "run", usd = "0.04" }}], source = "a test", read_on = 2026-12-01 }}
max_seconds = 60
usual_seconds = 5
inputs = {{ prompt = "prompt" }}

[film]
title = "Film"
task = "imagine"
ref = "{_ZEROSCOPE_REF}"
version = "{_ZEROSCOPE_VERSION}"
output = "video"
price = {{ tiers = [{{ per = "run", usd = "0.04" }}], source = "a test", read_on = 2026-12-01 }}
max_seconds = 60
usual_seconds = 5
inputs = {{ prompt = "prompt" }}

[words]
title = "Words"
task = "chat"
ref = "meta/meta-llama-3-8b-instruct"
output = "text_stream"
price = {{ tiers = [{{ per = "run", usd = "0.01" }}], source = "a test", read_on = 2026-12-01 }}
max_seconds = 60
usual_seconds = 5
inputs = {{ prompt = "prompt" }}
"""
PLAY = """async (player) => {
    player.muted = true;
    await player.play();
    while (player.currentTime === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    player.pause();
    player.currentTime = player.duration / 2;
    await new Promise((resolve) => player.addEventListener("seeked", resolve, { once: true }));
    return [player.duration, player.currentTime, player.error];
}"""

DECODE = """async (url) => {
    const content = Uint8Array.from(atob(url.split(",")[1]), (sign) => sign.charCodeAt(0));
    return (await new OfflineAudioContext(1, 1, 48000).decodeAudioData(content.buffer)).duration;
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def listener(browser: "Browser", sandbox: SandboxThread, tmp_path: Path) -> AsyncIterator[PageVisitor]:
    """A person on a phone, with models of sounds and videos alone."""
    catalogue = tmp_path / "models.toml"
    catalogue.write_text(CATALOGUE, encoding="utf-8")
    async with open_demo(tmp_path, sandbox, catalogue_path=catalogue) as address:
        context = await browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
        visitor = await PageVisitor.open_page(context, f"{address}#c/{new_id()}")
        yield visitor
        await context.close()
    assert visitor.complaints == []


async def test_a_sound_and_a_video_play_and_seek(listener: PageVisitor) -> None:
    await listener.ask("/imagine a sea shanty")
    sound = listener.answer.locator("audio")
    await expect(sound).to_have_attribute("aria-label", "a sea shanty (drawn by Band)")
    await _check_player(sound)

    await listener.ask("/imagine waves in the night --model film")
    video = listener.answer.locator("video")
    await _check_player(video)

    assert await video.evaluate("(player) => [player.videoWidth > 0, player.readyState >= 2]") == [True, True]
    assert await listener.page.evaluate("document.documentElement.scrollWidth") == 360
    assert await listener.find_accessibility_problems() == []


async def _check_player(player: "Locator") -> None:
    seconds, position, error = await player.evaluate(PLAY)

    assert seconds > 1
    assert position == pytest.approx(seconds / 2, abs=0.3)
    assert error is None


async def test_a_long_text_plays_as_one_sound_of_each_format(visitor: PageVisitor) -> None:
    await visitor.ask(f"/speak {'I am a fox. ' * 50} --model chatterbox-turbo")

    sound = visitor.answer.locator("audio")
    await expect(sound).to_have_count(1)
    await _check_player(sound)
    await expect(visitor.answer).to_contain_text("2 parts")

    for mime, make in (("audio/wav", make_wav), ("audio/mpeg", make_mp3), ("audio/ogg", make_ogg)):
        joined = b"".join(join_sounds([make(2), make(1)], mime))
        url = f"data:{mime};base64,{base64.b64encode(joined).decode()}"

        assert await visitor.page.evaluate(DECODE, url) == pytest.approx(3, abs=0.06), mime


async def test_an_attached_sound_has_a_chip_and_a_hint(listener: PageVisitor) -> None:
    await listener.page.locator("#picker").set_input_files(
        {"name": "voice.ogg", "mimeType": "audio/ogg", "buffer": b"OggS"}
    )
    await expect(listener.page.locator(".chip")).to_contain_text("voice.ogg")
    await expect(listener.page.locator(".chip img")).to_have_count(0)


async def test_an_attached_sound_without_words_is_written_down(visitor: PageVisitor) -> None:
    await visitor.page.locator("#picker").set_input_files(
        {"name": "voice.wav", "mimeType": "audio/wav", "buffer": make_wav(2)}
    )
    await visitor.button("Send").click()

    await expect(visitor.page.get_by_role("article", name="You").last).to_contain_text("/transcribe")
    await expect(visitor.answer.locator(".words")).to_contain_text("cannot hear")
    await expect(visitor.page.locator(".chip")).to_have_count(0)


async def test_a_picture_for_a_command_of_sounds_is_named(visitor: PageVisitor, tmp_path: Path) -> None:
    await visitor.words.fill("/transcribe")
    await expect(visitor.page.locator("#hint")).to_have_text("Drop, paste or attach a file")
    (tmp_path / "flag.png").write_bytes(encode_picture("PNG"))
    await visitor.page.locator("#picker").set_input_files(tmp_path / "flag.png")
    await visitor.button("Send").click()

    await expect(visitor.page.get_by_text("That is a picture, not a sound or a video I can read").last).to_be_visible()
