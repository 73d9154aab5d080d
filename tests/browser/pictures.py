"""`python -m tests.browser.pictures [NAME …]`: takes the screenshots of docs/pictures/, with 256 colours each."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Browser, async_playwright

from bot.cli.sandbox import find_documents
from bot.platforms.web.auth import OWNER_ID
from bot.sandbox.server import SandboxOptions, SandboxThread
from bot.settings import Owner
from tests.browser.demo import open_demo
from tests.browser.visitor import PageVisitor, expect
from tests.commands.run_bench import PAINTER, write_short_catalogue

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
SCREEN = {"viewport": {"width": 1200, "height": 880}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


async def page(visitor: PageVisitor) -> None:
    """The README's first screen: a picture and an answer."""
    await visitor.ask("/imagine a lighthouse at dusk --aspect 21:9 --seed 12")
    await visitor.say("How do I give someone credits?")
    await visitor.answer.get_by_text("Money: credits").wait_for()


async def page_dark(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a red fox in fresh snow --aspect 3:2 --count 2 --seed 3")


async def phone(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine mountains over a lake at sunrise --seed 5")


async def options(visitor: PageVisitor) -> None:
    await visitor.words.fill("/imagine a harbour town in the rain")
    await visitor.button("Options").click()
    await visitor.page.get_by_label("Model").select_option("flux-dev")
    await visitor.page.get_by_label("Aspect").select_option("16:9")
    await visitor.page.get_by_label("Seed").fill("7")


async def drawer(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a lighthouse at dusk --seed 7")
    await visitor.button("What just happened").click()
    await expect(visitor.page.get_by_role("dialog")).to_be_visible()


async def setup(visitor: PageVisitor) -> None:
    """The owner's first minutes: the result of /setup and the next steps."""
    await visitor.ask("/setup --budget 5000")


async def settings(visitor: PageVisitor) -> None:
    """A changed setting, and the settings now."""
    await visitor.ask("/settings general --time_zone Europe/Berlin --confirm_above 20")
    await visitor.ask("/settings show")
    await visitor.words.fill("/settings ")


async def question(visitor: PageVisitor) -> None:
    """The confirmation of an expensive request."""
    await visitor.ask("/settings general --confirm_above 20")
    await visitor.ask("/imagine a lighthouse at dusk --model flux-dev")


async def audit(visitor: PageVisitor) -> None:
    """Moderation, and the audit."""
    await visitor.ask("/imagine a red fox in fresh snow --seed 3")
    await visitor.ask("/words add badg*")
    await visitor.ask("/words test two BADGERS")
    await visitor.ask("/settings general --time_zone Europe/Berlin --confirm_above 20")
    await visitor.ask("/audit")


async def switch_to(visitor: PageVisitor, user: str) -> None:
    """Become another person of the demo."""
    async with visitor.page.expect_navigation():
        await visitor.page.locator("#person").select_option(user)
    await expect(visitor.page.locator("#person")).to_have_value(user)


async def run(visitor: PageVisitor) -> None:
    """The form of a published model, drawn from its schema."""
    await visitor.ask(f"/run {PAINTER} a red fox in fresh snow")
    await visitor.button("Change inputs").click()
    await expect(visitor.page.get_by_role("dialog")).to_be_visible()


async def approval(visitor: PageVisitor) -> None:
    """The request for a model, as the owner reads it."""
    await switch_to(visitor, "mia")
    await visitor.ask(f"/run {PAINTER} a red fox in fresh snow")
    await visitor.button("Ask for approval").click()
    await visitor.answer.get_by_text("I asked the moderators").wait_for()
    await switch_to(visitor, "owner")
    await visitor.page.locator("#channels a", has_text="asks to run").click()
    await visitor.button("Approve here only").wait_for()


async def batch(visitor: PageVisitor) -> None:
    """The contact sheet of several prompts, and the first pictures."""
    await visitor.say("/imagine {a lighthouse|a red fox|a harbour town} at {dawn|night} --seed 3")
    await visitor.button("Draw 6").click()
    await expect(visitor.pictures).to_have_count(7, timeout=40_000)
    await visitor.answer.evaluate("(message) => message.scrollIntoView()")


async def model_show(visitor: PageVisitor) -> None:
    """The inputs and the price of a published model."""
    await visitor.ask("/model show nightmareai/real-esrgan")


LOW = {"viewport": {"width": 1200, "height": 620}}
VIEWS: list[tuple[Callable[[PageVisitor], Awaitable[None]], dict[str, Any]]] = [
    (page, {"viewport": {"width": 1200, "height": 944}}),
    (page_dark, {**SCREEN, "color_scheme": "dark"}),
    (phone, PHONE),
    (options, SCREEN),
    (drawer, SCREEN),
    (setup, LOW),
    (settings, SCREEN),
    (question, LOW),
    (audit, SCREEN),
    (run, SCREEN),
    (approval, LOW),
    (model_show, LOW),
    (batch, SCREEN),
]

UNLISTED = (run, approval, model_show)
"""Views with a catalogue of one model: other models need an approval."""


async def take_all(models: SandboxThread, names: Sequence[str]) -> None:
    chromium = shutil.which("chromium") or os.environ["CHROME"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for view, screen in VIEWS:
            if names and view.__name__ not in names:
                continue
            with tempfile.TemporaryDirectory() as folder:
                changes: dict[str, Any] = {"admin_users": (Owner("web", "page", OWNER_ID),)}
                changes |= {"catalogue_path": write_short_catalogue(Path(folder))} if view in UNLISTED else {}
                async with open_demo(Path(folder), models, daily_credits=100, **changes) as address:
                    await take(browser, address, view, screen)
        await browser.close()


async def take(
    browser: Browser, address: str, view: Callable[[PageVisitor], Awaitable[None]], screen: dict[str, Any]
) -> None:
    context = await browser.new_context(**screen)
    visitor = await PageVisitor.open_page(context, address)
    await expect(visitor.page.locator("#left")).not_to_be_empty()
    await visitor.page.mouse.move(600, 5)
    await view(visitor)
    await visitor.page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
    name = view.__name__.replace("_", "-")
    with Image.open(BytesIO(await visitor.page.screenshot()), formats=["PNG"]) as shot:
        colours = shot.convert("RGB")
        colours.quantize(palette=colours.quantize(256, kmeans=2)).save(FOLDER / f"{name}.png", optimize=True)
    await context.close()


def main() -> None:
    models = SandboxThread(SandboxOptions(docs=find_documents(), speed=1.0))
    models.start()
    try:
        asyncio.run(take_all(models, sys.argv[1:]))
    finally:
        models.stop()


if __name__ == "__main__":
    main()
