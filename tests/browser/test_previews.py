"""The page shows the unfinished pictures of a run on the owner's ComfyUI server."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bot.app import App
from bot.platforms.web.authenticators import DemoAuthenticator
from bot.platforms.web.platform import WebPlatform
from bot.settings import Settings
from tests.browser.visitor import PageVisitor, expect
from tests.emulators.comfyui.catalogue import write_catalogue
from tests.emulators.comfyui.emulator import ComfyUIEmulator

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path) -> AsyncIterator[ComfyUIEmulator]:
    async with ComfyUIEmulator(tmp_path / "comfyui", step_seconds=0.25) as server:
        server.awaits_listeners = True
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def address(tmp_path: Path, server: ComfyUIEmulator) -> AsyncIterator[str]:
    catalogue = write_catalogue(tmp_path / "catalogue", server.url, side=512, steps=8)
    settings = Settings(
        _env_file=None, data_dir=tmp_path / "bot", http_host="127.0.0.1", http_port=0, catalogue_path=catalogue
    )
    app = App(settings)
    web = WebPlatform(app.database, app.clock)
    await app.open(web)
    yield await app.serve(web, DemoAuthenticator())
    await app.close()


async def test_unfinished_pictures_show_until_the_finished_one_comes(
    browser: "Browser",
    address: str,
    server: ComfyUIEmulator,
) -> None:
    context = await browser.new_context()
    visitor = await PageVisitor.open_page(context, address)
    server.hold(step=6)

    await visitor.say("/imagine a red fox")
    preview = visitor.answer.get_by_alt_text("Unfinished picture")
    first = await preview.get_attribute("src")
    await expect(preview).not_to_have_attribute("src", first or "")
    is_drawn = "image => image.complete && image.naturalWidth === 256"
    assert await preview.evaluate(is_drawn)
    server.release()

    await expect(visitor.pictures).to_have_count(1)
    await expect(preview).to_have_count(0)
    assert visitor.complaints == []
    await context.close()
