"""Layout and accessibility: phones, dark mode, keyboard, screen readers, reduced motion."""

import asyncio
from typing import Any

import pytest

from tests.browser.visitor import PageVisitor, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_first_screen_has_no_serious_accessibility_problem(visitor: PageVisitor) -> None:
    await expect(visitor.page.locator(".idea")).to_have_count(4)
    assert await visitor.find_accessibility_problems() == []

    await visitor.words.fill("/")
    await expect(visitor.page.get_by_role("listbox").get_by_role("option").first).to_be_visible()
    assert await visitor.find_accessibility_problems() == []

    await visitor.words.fill("/imagine a red fox")
    await open_options(visitor)
    assert await visitor.find_accessibility_problems() == []


async def test_a_conversation_and_its_dialogs_have_no_serious_accessibility_problem(visitor: PageVisitor) -> None:
    await converse(visitor)
    assert await visitor.find_accessibility_problems() == []

    await visitor.page.get_by_title("Open large").first.click()
    await expect(visitor.page.get_by_role("dialog", name="Picture")).to_be_visible()
    assert await visitor.find_accessibility_problems() == []

    await visitor.page.keyboard.press("Escape")
    await visitor.button("What just happened").click()
    await expect(visitor.page.get_by_role("dialog", name="What just happened")).to_be_visible()
    assert await visitor.find_accessibility_problems() == []


@pytest.mark.visit(
    color_scheme="dark", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, device_scale_factor=2
)
async def test_a_dark_phone_screen_does_not_scroll_sideways(visitor: PageVisitor) -> None:
    await converse(visitor)
    await fits_a_phone(visitor)

    await visitor.words.fill("/imagine a red fox")
    await open_options(visitor)
    await fits_a_phone(visitor)

    await visitor.page.get_by_role("button", name="Conversations").click()
    await expect(visitor.button("New conversation")).to_be_visible()
    await fits_a_phone(visitor)


async def converse(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a red fox --count 2")
    await visitor.ask("/imagine a fox fault:nsfw")
    await visitor.ask("How do I give someone credits?")


async def open_options(visitor: PageVisitor) -> None:
    await visitor.page.get_by_role("button", name="Options").click()
    await expect(visitor.page.get_by_label("Model").locator("option", has_text="FLUX dev")).to_have_count(1)


async def fits_a_phone(visitor: PageVisitor) -> None:
    assert await visitor.page.evaluate("document.documentElement.scrollWidth") == 360
    assert await visitor.page.evaluate("document.querySelector('main').scrollWidth") <= 360
    assert await visitor.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(26, 23, 21)"
    assert await visitor.find_accessibility_problems() == []


async def test_the_page_works_by_keyboard(visitor: PageVisitor) -> None:
    keys = visitor.page.keyboard
    for key in ("/", "ArrowDown", "ArrowUp", "Enter"):
        await keys.press(key)
    await expect(visitor.words).to_have_value("/imagine ")
    await keys.type("a red fox --count 2")
    await keys.press("Enter")
    await expect(visitor.pictures).to_have_count(2)

    await visitor.answer.get_by_title("Open large").first.focus()
    await keys.press("Enter")
    large = visitor.page.get_by_role("dialog", name="Picture")
    first = await large.locator("img").get_attribute("src")
    for expected in (False, True):
        await keys.press("ArrowRight")
        assert (await large.locator("img").get_attribute("src") == first) is expected
    await keys.press("Escape")
    await expect(large).to_be_hidden()
    await expect(visitor.answer.get_by_title("Open large").first).to_be_focused()


async def test_a_slow_picture_does_not_move_the_layout(visitor: PageVisitor) -> None:
    arrived = asyncio.Event()

    async def late(route: Any) -> None:
        await arrived.wait()
        await route.continue_()

    await visitor.page.route("**/media/*", late)
    await visitor.ask("/imagine a red fox --aspect 16:9")
    before = [await visitor.pictures.bounding_box(), await visitor.answer.bounding_box()]
    arrived.set()
    await visitor.pictures.evaluate("(image) => image.decode()")

    assert [await visitor.pictures.bounding_box(), await visitor.answer.bounding_box()] == before
    assert before[0] is not None
    assert abs(before[0]["width"] / before[0]["height"] - 16 / 9) < 0.05


@pytest.mark.visit(reduced_motion="reduce")
async def test_reduced_motion_stops_all_animations(visitor: PageVisitor) -> None:
    await visitor.say("/imagine a red fox --model flux-dev")
    await expect(visitor.answer.get_by_role("progressbar")).to_be_visible()

    assert await visitor.page.evaluate("document.getAnimations().length") == 0
