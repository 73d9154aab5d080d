"""The sandbox's films and sounds play and can be sought in Chromium."""

import base64
from typing import TYPE_CHECKING

import pytest

from bot.sandbox.painter.film import FilmOrder, shoot
from bot.sandbox.sound.music import play
from bot.sandbox.sound.wav import encode_wav

if TYPE_CHECKING:
    from playwright.async_api import Browser

# Resolves to the length, the width, and the moment reached by playing on from a sought moment.
_PLAY = """async ([tag, url, moment]) => {
    const player = document.createElement(tag);
    const next = (event) => new Promise((done, fail) => {
        player.addEventListener(event, done, {once: true});
        player.addEventListener("error", () => fail(player.error.message), {once: true});
    });
    const loaded = next("loadedmetadata");
    player.muted = true;
    player.src = url;
    document.body.append(player);
    await loaded;
    const sought = next("seeked");
    player.currentTime = moment;
    await sought;
    await player.play();
    while (player.currentTime < moment + 0.2) await next("timeupdate");
    player.pause();
    return [player.duration, player.videoWidth ?? 0, player.videoHeight ?? 0, player.readyState];
}"""


@pytest.mark.asyncio(loop_scope="session")
async def test_a_film_and_a_piece_play_from_a_sought_moment(browser: "Browser") -> None:
    film, piece = shoot(FilmOrder("a lighthouse at dusk", 3, 6)), encode_wav(play("happy piano", 1, 4))
    page = await browser.new_page()

    seen = await page.evaluate(_PLAY, ["video", make_url("video/webm", film), 4.5])
    heard = await page.evaluate(_PLAY, ["audio", make_url("audio/wav", piece), 2.5])
    await page.close()

    assert seen[:3] == [6, 640, 360]
    assert heard[0] == 4


def make_url(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"
