"""Running jobs in the page: stopping, reloading, second tabs, editing and deleting."""

import re

import pytest

from tests.browser.visitor import PageVisitor, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
QUESTION = "How do I give someone credits?"


@pytest.mark.visit(slow=True)
async def test_stop_ends_a_stream_and_keeps_the_words(visitor: PageVisitor) -> None:
    await visitor.say(QUESTION)
    await expect(visitor.answer.locator(".words")).to_contain_text("guide")
    await visitor.button("Stop").click()

    await expect(visitor.answer).to_contain_text("⏹ Stopped.")
    await expect(visitor.answer).to_contain_text("The sandbox's guide")
    await expect(visitor.answer).to_have_attribute("data-tone", "done")


@pytest.mark.visit(slow=True)
async def test_a_stream_continues_after_a_reload_and_in_a_second_tab(visitor: PageVisitor) -> None:
    await visitor.say(QUESTION)
    await expect(visitor.answer.locator(".words")).to_contain_text("guide")
    await visitor.page.reload()
    second = await PageVisitor.open_page(visitor.context, visitor.address)

    for tab in (visitor, second):
        seen = len(await tab.answer.locator(".words").inner_text())
        await expect(tab.answer).to_have_attribute("data-tone", "working")
        await expect(tab.answer.locator(".words")).to_have_text(re.compile(rf".{{{seen + 10},}}", re.DOTALL))
    await second.button("Stop").click()
    for tab in (visitor, second):
        await expect(tab.answer).to_contain_text("⏹ Stopped.")
        await expect(tab.page.get_by_role("article")).to_have_count(2)


@pytest.mark.visit(slow=True)
async def test_progress_shows_stage_seconds_and_usual_time(visitor: PageVisitor) -> None:
    await visitor.say("/imagine a red fox --model flux-dev")

    # In one look: on a busy machine the picture may be there a moment later.
    progress = visitor.answer.locator(".progress:has([role=progressbar])")
    await expect(progress.locator(".time")).to_have_text(re.compile(r"(\d+ % · )?\d+ s of usually \d+ s"))


@pytest.mark.visit(daily_credits=1000)
async def test_each_conversation_has_an_address_and_back_works(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a red fox")
    await visitor.button("New conversation").click()
    await expect(visitor.page.get_by_text("What shall we make?")).to_be_visible()
    await visitor.ask("/models imagine")
    second = visitor.page.url

    await visitor.page.go_back()
    await expect(visitor.page.get_by_role("article", name="You")).to_have_text("/imagine a red fox")
    side = visitor.page.get_by_role("navigation", name="Conversations")
    await expect(side.get_by_role("link")).to_have_count(2)
    await expect(side.locator("[aria-current=page]")).to_have_text("A red fox", ignore_case=True)
    await side.get_by_role("link", name="/models imagine").click()
    await expect(visitor.page.get_by_role("article", name="You")).to_have_text("/models imagine")
    assert visitor.page.url == second


async def test_a_link_to_a_job_shows_the_job_again(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a red fox")
    await visitor.ask("/show")
    await visitor.answer.get_by_role("link").first.click()

    await expect(visitor.pictures).to_have_count(1)
    await expect(visitor.answer.locator(".note")).to_contain_text("FLUX schnell")


async def test_a_prompt_can_be_edited_with_the_options(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a red fox --aspect 3:2 --seed 7")
    await visitor.button("Edit prompt").click()

    await expect(visitor.words).to_have_value("/imagine a red fox")
    await expect(visitor.page.get_by_label("Aspect")).to_have_value("3:2")
    await expect(visitor.page.get_by_label("Seed")).to_have_value("7")


async def test_a_second_press_deletes_a_message_in_every_tab_and_the_database(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a red fox")
    second = await PageVisitor.open_page(visitor.context, visitor.address)
    await visitor.button("Delete").click()
    await expect(visitor.pictures).to_have_count(1)
    await visitor.answer.get_by_role("button", name="Delete").click()

    for tab in (visitor, second):
        await expect(tab.page.get_by_role("article", name="Easel")).to_have_count(0)
    await visitor.page.reload()
    await expect(visitor.page.get_by_role("article")).to_have_count(1)


async def test_the_drawer_shows_states_request_run_and_ledger(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a red fox --seed 7")
    await visitor.button("What just happened").click()
    drawer = visitor.page.get_by_role("dialog", name="What just happened")

    for text in ("accepted", "running", "delivered", "a red fox", "hold", "settle"):
        await expect(drawer).to_contain_text(text)
    await visitor.page.keyboard.press("Escape")
    await expect(drawer).to_be_hidden()


@pytest.mark.visit(daily_credits=1000)
async def test_the_remaining_credits_follow_the_spending(visitor: PageVisitor) -> None:
    await expect(visitor.page.locator("#left")).to_have_text("1,000 of 1,000 credits left today")
    await visitor.ask("/imagine a red fox")

    await expect(visitor.page.locator("#left")).to_have_text("997 of 1,000 credits left today")
