"""The painter of masks: brush, eraser, undo, touch, keyboard, and the mask that reaches the bot."""

import asyncio
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tests.browser.visitor import PageVisitor, expect
from tests.media.pictures import encode_picture

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIZE = (640, 400)


async def open_painter(visitor: PageVisitor) -> Any:
    """Attach a picture to /edit and open the painter over the picture."""
    await visitor.words.fill("/edit make it blue")
    await visitor.drop("flag.png", encode_picture("PNG", SIZE))
    await visitor.page.get_by_role("button", name="Paint a mask").click()
    painter = visitor.page.get_by_role("dialog", name="Paint what may change")
    await expect(painter).to_be_visible()
    return painter


async def drag(visitor: PageVisitor, painter: Any, *points: tuple[float, float]) -> None:
    """Draw a line with the mouse through points, as shares of the picture's width and height."""
    box = await painter.locator("canvas").bounding_box()
    mouse = visitor.page.mouse
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    await mouse.move(*places[0])
    await mouse.down()
    for place in places[1:]:
        await mouse.move(*place, steps=5)
    await mouse.up()


KEEP_SENT_MASK = """() => {
    const send = window.fetch;
    window.fetch = (path, options) => {
        if (path === "/api/say") window.sentMask = options.body.get?.("mask") ?? null;
        return send(path, options);
    };
}"""


async def finish(visitor: PageVisitor, painter: Any) -> None:
    """Press Done, and wait until the page has the mask."""
    await painter.get_by_role("button", name="Done").click()
    await expect(visitor.button("Send")).to_be_enabled()
    await expect(visitor.page.get_by_role("button", name="Mask painted · change")).to_be_focused()


async def read_mask(visitor: PageVisitor) -> Image.Image:
    """Send the command, and return the mask that the page sent."""
    await visitor.page.evaluate(KEEP_SENT_MASK)
    # A closed painter is hidden before the page hears so, and until then the page sends nothing.
    await expect(visitor.button("Send")).to_be_enabled()
    await visitor.words.press("Enter")
    # The page's policy forbids text as code, so no `wait_for_function`.
    async with asyncio.timeout(5):
        while not await visitor.page.evaluate("() => window.sentMask !== undefined"):  # noqa: ASYNC110 - in the browser
            await asyncio.sleep(0.02)
    content = await visitor.page.evaluate("async () => [...new Uint8Array(await window.sentMask.arrayBuffer())]")
    return Image.open(BytesIO(bytes(content))).convert("L")


async def test_a_painted_mask_reaches_the_model_in_the_size_of_the_picture(visitor: PageVisitor) -> None:
    painter = await open_painter(visitor)
    await drag(visitor, painter, (0.2, 0.5), (0.5, 0.5))
    await expect(painter.get_by_role("status")).to_have_text("5 % painted")
    await finish(visitor, painter)

    mask = await read_mask(visitor)
    await expect(visitor.answer).not_to_have_attribute("data-tone", "working", timeout=10_000)

    assert mask.size == SIZE
    assert [mask.getpixel(at) for at in ((192, 200), (64, 40), (576, 200))] == [255, 0, 0]
    await expect(visitor.pictures).to_have_count(1)
    await expect(visitor.page.get_by_role("article", name="You").last).to_contain_text("mask.png")
    await expect(visitor.page.get_by_role("button", name="Paint a mask")).to_have_count(0)


async def test_erasing_undo_and_starting_again(visitor: PageVisitor) -> None:
    painter = await open_painter(visitor)
    share = painter.get_by_role("status")
    await drag(visitor, painter, (0.2, 0.5), (0.8, 0.5))
    whole = await share.text_content()
    await painter.get_by_role("button", name="Erase").click()
    await drag(visitor, painter, (0.5, 0.5), (0.9, 0.5))
    assert await share.text_content() != whole

    await painter.get_by_role("button", name="Undo").click()
    await expect(share).to_have_text(str(whole))
    await painter.get_by_role("button", name="Start again").click()
    await expect(share).to_have_text("0 % painted")
    await expect(painter.get_by_role("button", name="Undo")).to_be_disabled()
    await painter.get_by_role("button", name="Done").click()
    await expect(visitor.page.get_by_role("button", name="Paint a mask")).to_be_visible()


async def test_a_mask_is_painted_by_keyboard(visitor: PageVisitor) -> None:
    painter = await open_painter(visitor)
    keys = visitor.page.keyboard
    await expect(painter.locator("canvas")).to_be_focused()
    await keys.down(" ")
    for _ in range(4):
        await keys.press("ArrowRight")
    await keys.up(" ")
    painted = await painter.get_by_role("status").text_content()
    for key in ("e", "+", " "):
        await keys.press(key)
    await expect(painter.get_by_role("button", name="Erase")).to_have_attribute("aria-pressed", "true")
    assert await painter.get_by_role("status").text_content() != painted
    await keys.press("Control+z")
    await expect(painter.get_by_role("status")).to_have_text(str(painted))
    assert await visitor.find_accessibility_problems() == []

    await painter.get_by_role("button", name="Done").focus()
    await keys.press("Enter")
    await expect(visitor.page.get_by_role("button", name="Mask painted · change")).to_be_focused()
    mask = await read_mask(visitor)
    assert mask.getpixel((SIZE[0] // 2, SIZE[1] // 2)) == 255
    assert mask.getpixel((10, 10)) == 0


async def test_the_painter_goes_on_where_it_was_left_and_cancel_changes_nothing(visitor: PageVisitor) -> None:
    painter = await open_painter(visitor)
    await drag(visitor, painter, (0.2, 0.5), (0.5, 0.5))
    await finish(visitor, painter)

    await visitor.page.get_by_role("button", name="Mask painted · change").click()
    await drag(visitor, painter, (0.6, 0.2), (0.9, 0.2))
    await expect(painter.get_by_role("status")).to_have_text("10 % painted")
    await visitor.page.keyboard.press("Escape")
    await expect(painter).to_have_count(0)
    mask = await read_mask(visitor)

    assert [mask.getpixel(at) for at in ((192, 200), (480, 80))] == [255, 0]


async def test_a_mask_that_edit_prompt_brought_back_is_painted_on(visitor: PageVisitor) -> None:
    painter = await open_painter(visitor)
    await drag(visitor, painter, (0.2, 0.5), (0.5, 0.5))
    await finish(visitor, painter)
    await visitor.words.press("Enter")
    await expect(visitor.words).to_have_value("")
    await expect(visitor.pictures).to_have_count(1, timeout=10_000)
    await visitor.answer.get_by_role("button", name="Edit prompt").first.click()

    await visitor.page.get_by_role("button", name="Mask painted · change").click()
    await expect(painter.get_by_role("status")).to_have_text("5 % painted")
    await painter.get_by_role("button", name="Erase").click()
    await drag(visitor, painter, (0.4, 0.5), (0.6, 0.5))
    await painter.get_by_role("button", name="Brush").click()
    await drag(visitor, painter, (0.8, 0.2), (0.9, 0.2))
    await finish(visitor, painter)
    mask = await read_mask(visitor)

    assert [mask.getpixel(at) for at in ((160, 200), (290, 200), (544, 80), (20, 20))] == [255, 0, 255, 0]


async def test_a_mask_is_offered_for_a_single_picture_of_a_command_that_takes_one(visitor: PageVisitor) -> None:
    paint = visitor.page.locator(".paint:visible")
    await visitor.drop("flag.png", encode_picture("PNG", SIZE))
    await visitor.words.fill("/upscale")
    await expect(paint).to_have_count(0)
    await visitor.words.fill("/edit make it blue")
    await expect(paint).to_have_count(1)
    await visitor.drop("second.png", encode_picture("PNG", SIZE))
    await expect(paint).to_have_count(0)


@pytest.mark.visit(
    color_scheme="dark", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, device_scale_factor=2
)
async def test_a_finger_paints_on_a_phone(visitor: PageVisitor) -> None:
    painter = await open_painter(visitor)
    assert await visitor.page.evaluate("document.documentElement.scrollWidth") == 360
    box = await painter.locator("canvas").bounding_box()
    assert box["width"] <= 360
    client = await visitor.context.new_cdp_session(visitor.page)
    start = {"x": box["x"] + box["width"] * 0.2, "y": box["y"] + box["height"] * 0.5}
    await client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [start]})
    for share in (0.4, 0.6, 0.8):
        move = {**start, "x": box["x"] + box["width"] * share}
        await client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [move]})
    await client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await expect(painter.get_by_role("status")).not_to_have_text("")
    assert await visitor.find_accessibility_problems() == []

    await finish(visitor, painter)
    mask = await read_mask(visitor)
    assert [mask.getpixel(at) for at in ((320, 200), (320, 20))] == [255, 0]
