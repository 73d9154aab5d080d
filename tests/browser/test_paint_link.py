"""The page of a link to the painter: opened without signing in, painted, sent once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.bench import Bench
from tests.browser.test_painter import drag
from tests.browser.visitor import PageVisitor, expect
from tests.media.pictures import encode_picture
from tests.platforms.painter_link import PUBLIC_URL, find_token, open_painter_page

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIZE = (640, 400)


@pytest_asyncio.fixture(loop_scope="session")
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = await Bench.open(tmp_path, public_url=PUBLIC_URL, http_port=0)
    yield bench
    await bench.close()


async def open_link(bench: Bench, browser: "Browser", address: str, **options: Any) -> PageVisitor:
    """Ask for a link at the bench, and open the link in a new browser."""
    reply = await bench.say("/edit a red hat --paint yes", image=encode_picture("PNG", SIZE))
    assert reply is not None
    context = await browser.new_context(**options)
    page = await context.new_page()
    visitor = PageVisitor(context, page, f"{address}/paint#{find_token(reply.text)}")
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    page.set_default_timeout(10_000)
    await page.goto(visitor.address)
    return visitor


async def test_a_link_is_painted_and_sent_once(bench: Bench, browser: "Browser") -> None:
    async with open_painter_page(bench.app) as served:
        visitor = await open_link(bench, browser, served.address)
        page = visitor.page
        painter = page.get_by_role("dialog", name="Paint what may change")
        await expect(painter).to_be_visible()
        await painter.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_role("button", name="Send")).to_be_disabled()
        await expect(page.get_by_text("“a red hat”")).to_be_visible()
        await page.get_by_role("button", name="Paint", exact=True).click()
        await drag(visitor, painter, (0.2, 0.5), (0.5, 0.5))
        await painter.get_by_role("button", name="Done").click()
        await expect(page.get_by_role("button", name="Send")).to_be_focused()
        assert await visitor.find_accessibility_problems() == []

        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_role("heading", name="Sent")).to_be_visible()
        await expect(page.get_by_role("status").first).to_contain_text("The picture appears on this page.")
        await bench.wait_until_idle()
        await page.reload()
        await expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
        await expect(page.get_by_role("status").first).to_contain_text("used already")

        inputs = bench.backend.last_run.inputs
        assert inputs["mask"] != inputs["image"]
        assert visitor.complaints == []
        await visitor.context.close()


async def test_a_refused_mask_is_told_on_the_page_and_sent_again(bench: Bench, browser: "Browser") -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    async with open_painter_page(bench.app) as served:
        visitor = await open_link(bench, browser, served.address, **phone)
        page = visitor.page
        painter = page.get_by_role("dialog", name="Paint what may change")
        await drag(visitor, painter, (0.2, 0.5), (0.5, 0.5))
        await painter.get_by_role("button", name="Done").click()
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        bench.app.jobs.is_accepting = False
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_role("status").first).to_contain_text("I am restarting.")
        bench.app.jobs.is_accepting = True

        await page.get_by_role("button", name="Send").click()

        await expect(page.get_by_role("heading", name="Sent")).to_be_visible()
        await bench.wait_until_idle()
        assert len(bench.backend.runs) == 1
        await visitor.context.close()
