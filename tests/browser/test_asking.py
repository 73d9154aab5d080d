"""The four commands in the composer, the form of options, and errors."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.visitor import PageVisitor, expect
from tests.media.pictures import encode_picture

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_idea_becomes_a_picture_with_facts_and_next_steps(visitor: PageVisitor) -> None:
    await visitor.page.locator(".idea").first.click()
    await visitor.words.press("Enter")
    await expect(visitor.pictures).to_have_count(1)

    assert "a lighthouse at dusk" in (await visitor.pictures.get_attribute("alt") or "")
    await expect(visitor.answer.locator(".note")).to_have_text(
        re.compile(r"FLUX schnell · seed \d+ · 1024×1024 · [\d.]+ s · 3 credits · sandbox: rules, not AI")
    )
    for name in ("Again", "Upscale", "Caption", "Edit prompt", "What just happened", "Delete"):
        await expect(visitor.answer.get_by_role("button", name=name, exact=True)).to_be_visible()


async def test_buttons_upscale_and_caption_a_picture(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a lighthouse at dusk")
    await visitor.press("Upscale")
    await expect(visitor.answer.locator(".note")).to_contain_text("2048×2048")

    await visitor.press("Caption")
    await expect(visitor.answer.locator(".words")).to_contain_text("Measured, not recognised")


async def test_a_draft_is_finished_in_its_own_shape_with_its_own_seed(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a lighthouse at dusk --seed 7 --aspect 16:9 --count 2")
    await visitor.press("Finish all 2 · FLUX dev, 50 credits")

    await expect(visitor.pictures).to_have_count(2)
    await expect(visitor.answer.locator(".note")).to_contain_text("FLUX dev · seed 7 · 1344×768")


async def test_a_dropped_picture_is_captioned(visitor: PageVisitor) -> None:
    await visitor.drop("flag.png", encode_picture("PNG", (320, 200)))
    await expect(visitor.page.get_by_text("flag.png")).to_be_visible()
    await visitor.words.press("Enter")

    await expect(visitor.answer.locator(".words")).to_contain_text("320 × 200 pixels")
    await expect(visitor.page.get_by_role("article", name="You")).to_contain_text("with flag.png")


async def test_a_chosen_file_is_read_beside_the_words_and_another_kind_is_named(visitor: PageVisitor) -> None:
    picker = visitor.page.locator("#picker")
    await picker.set_input_files({"name": "hens.ts", "mimeType": "video/mp2t", "buffer": b"const hens = 12;"})
    await expect(visitor.page.locator(".chip")).to_contain_text("hens.ts")
    await visitor.button("Send").click()
    await expect(visitor.page.get_by_role("article", name="You").last).to_contain_text("with hens.ts")
    await expect(visitor.answer.locator(".words")).to_contain_text("not a language model")

    await picker.set_input_files({"name": "hens.zip", "mimeType": "application/zip", "buffer": b"PK\3\4"})
    await visitor.words.fill("How many?")
    await visitor.words.press("Enter")

    refusal = "I cannot read hens.zip: I read pictures, PDFs and text files."
    await expect(visitor.page.get_by_text(refusal).last).to_be_visible()
    await expect(visitor.words).to_have_value("How many?")


async def test_a_chosen_picture_is_upscaled(visitor: PageVisitor, tmp_path: Path) -> None:
    await visitor.words.fill("/upscale ")
    await expect(visitor.page.get_by_text("Drop, paste or attach a picture")).to_be_visible()
    (tmp_path / "flag.png").write_bytes(encode_picture("PNG", (320, 200)))
    await visitor.page.locator("#picker").set_input_files(tmp_path / "flag.png")
    await visitor.words.press("Enter")

    await expect(visitor.answer.locator(".note")).to_contain_text("640×400")


async def test_several_pictures_are_edited_and_too_many_are_told_before(visitor: PageVisitor) -> None:
    for name in ("flag.png", "wall.png"):
        await visitor.drop(name, encode_picture("PNG", (320, 200)))
    await visitor.words.fill("/upscale ")
    await expect(visitor.page.get_by_text("/upscale takes one picture")).to_be_visible()
    await expect(visitor.button("Send")).to_be_disabled()

    await visitor.words.fill("/edit make it winter")
    await visitor.words.press("Enter")

    await expect(visitor.answer.locator(".note")).to_contain_text("P-Image Edit")
    await expect(visitor.page.get_by_role("article", name="You")).to_contain_text("with flag.png, wall.png")
    await expect(visitor.page.locator(".chip")).to_have_count(0)


async def test_the_edit_button_puts_the_picture_into_the_composer(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a lighthouse at dusk")
    await visitor.button("Edit").click()
    await expect(visitor.page.locator(".chip")).to_have_count(1)
    await expect(visitor.words).to_have_value("/edit ")

    await visitor.words.press_sequentially("make it blue")
    await visitor.words.press("Enter")
    await expect(visitor.answer.locator(".note")).to_contain_text("P-Image Edit · seed")
    await visitor.button("Edit prompt").click()

    await expect(visitor.words).to_have_value("/edit make it blue")
    await expect(visitor.page.locator(".chip")).to_have_count(1)


async def test_words_stream_in_and_are_drawn_as_markdown_without_markup(visitor: PageVisitor) -> None:
    await visitor.ask("How do I give someone credits?")

    await expect(visitor.answer.locator("strong")).to_have_count(1)
    await expect(visitor.answer.locator("code").first).to_be_visible()
    await expect(visitor.answer.get_by_role("button", name="Regenerate")).to_be_visible()
    await visitor.ask('<img src=x onerror="document.title=1"> **bold**')
    await expect(visitor.page.locator("article img, article b")).to_have_count(0)


@pytest.mark.parametrize(
    "unit", [">", "> ", "- ", "1. ", "*_", "**a ", "~~a ", "`", "` ``", "[", "[a](", "https://", "| - "]
)
async def test_a_text_of_any_shape_is_drawn_at_once(module_page: "Page", unit: str) -> None:
    seconds, drawn = await module_page.evaluate(
        """async (unit) => {
            const { Markdown } = await import("/static/markdown.js");
            const root = document.createElement("div");
            const started = performance.now();
            new Markdown(root).show(unit.repeat(16000 / unit.length));
            return [(performance.now() - started) / 1000, root.childNodes.length];
        }""",
        unit,
    )

    assert drawn >= 1
    assert seconds < 3.0


async def test_the_form_is_drawn_from_the_declaration_and_its_values_are_sent(visitor: PageVisitor) -> None:
    await visitor.words.fill("/imagine a red fox in fresh snow")
    await visitor.button("Options").click()
    form = visitor.page.get_by_role("group", name="Options of /imagine")

    await expect(form.get_by_label("Model").locator("option", has_text="FLUX dev · 25 credits")).to_have_count(1)
    assert await form.get_by_label("Count").get_attribute("max") == "4"
    await form.get_by_label("Aspect").select_option("3:2")
    await form.get_by_label("Count").fill("2")
    await form.get_by_label("Seed").fill("7")
    await form.get_by_label("Seed").press("Enter")

    await expect(visitor.pictures).to_have_count(2)
    await expect(visitor.answer.locator(".note")).to_contain_text("seed 7")
    await expect(visitor.button("Upscale 2")).to_be_visible()
    await expect(form).to_be_hidden()


async def test_a_value_out_of_bounds_is_reported_at_the_field_and_not_sent(visitor: PageVisitor) -> None:
    await visitor.words.fill("/imagine a red fox")
    await visitor.button("Options").click()
    count = visitor.page.get_by_label("Count")
    await count.fill("9")
    await count.press("Enter")

    await expect(count).to_have_attribute("aria-invalid", "true")
    await expect(count).to_be_focused()
    await expect(visitor.page.locator("#problem-count")).to_contain_text("4")
    await expect(visitor.page.get_by_role("article")).to_have_count(0)


async def test_the_form_shows_the_price_of_each_number_for_the_chosen_model(visitor: PageVisitor) -> None:
    await visitor.words.fill("/imagine a red fox")
    await visitor.button("Options").click()
    choices = visitor.page.locator("#choices-count option")
    await expect(choices).to_have_count(4)
    await expect(choices.nth(1)).to_have_attribute("label", "2 · 6 credits with FLUX schnell")

    await visitor.page.get_by_label("Model").select_option("flux-dev")

    await expect(choices.nth(1)).to_have_attribute("label", "2 · 50 credits")
    await visitor.page.get_by_label("Count").fill("3")
    await visitor.page.get_by_label("Count").blur()
    await expect(visitor.page.locator("#option-model option", has_text="FLUX dev · 75 credits")).to_have_count(1)


async def test_a_refused_message_stays_in_the_composer(visitor: PageVisitor) -> None:
    await visitor.words.fill("/imagine a fox --count 9")
    await visitor.words.press("Enter")

    await expect(visitor.answer).to_contain_text("count must be from 1 to 4, not 9.")
    await expect(visitor.page.locator("#hint")).to_have_text("count must be from 1 to 4, not 9.")
    await expect(visitor.words).to_have_value("/imagine a fox --count 9")


async def test_an_unknown_command_is_reported_with_the_nearest(visitor: PageVisitor) -> None:
    await visitor.words.fill("/imagin a fox")
    await visitor.words.press("Enter")

    await expect(visitor.answer).to_contain_text("Did you mean imagine?")


@pytest.mark.visit(daily_credits=4)
async def test_a_lack_of_credits_is_reported_with_amount_and_refill_time(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a red fox")
    await visitor.words.fill("/imagine a second fox")
    await visitor.words.press("Enter")

    await expect(visitor.answer).to_contain_text(re.compile(r"You are 2 credits short\. They refill \w+ at 00:00 UTC"))
    await expect(visitor.words).to_have_value("/imagine a second fox")


async def test_a_published_model_has_its_own_form(visitor: PageVisitor, tmp_path: Path) -> None:
    await visitor.ask("/run nightmareai/real-esrgan")
    await expect(visitor.answer.locator(".words")).to_contain_text("Still needed: image.")
    await visitor.button("Change inputs").click()
    form = visitor.page.get_by_role("dialog")
    bounds = "getBoundingClientRect()"
    label, field = f"querySelector('[for=option-scale]').{bounds}", f"querySelector('#option-scale').{bounds}"
    assert await form.evaluate(f"form => form.{label}.bottom <= form.{field}.top && form.offsetHeight < innerHeight")
    await form.get_by_label("scale").fill("3")
    (tmp_path / "flag.png").write_bytes(encode_picture("PNG", (320, 200)))
    await form.get_by_label("image").set_input_files(tmp_path / "flag.png")
    await form.get_by_role("button", name="Done").click()
    await expect(form).to_have_count(0)
    await expect(visitor.answer.locator(".words")).to_contain_text("scale: 3")

    await visitor.press("Run")
    await expect(visitor.answer.locator(".note")).to_contain_text("960×600")
