"""Subcommands and confirmations in the page."""

import pytest

from tests.browser.visitor import PageVisitor, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_subcommands_are_suggested_and_completed(visitor: PageVisitor) -> None:
    await visitor.words.press_sequentially("/settings ge")
    await expect(visitor.page.locator("#suggestions li")).to_have_count(1)
    await visitor.words.press("Tab")

    await expect(visitor.words).to_have_value("/settings general ")


async def test_enter_sends_a_flag_that_is_typed_to_its_end(visitor: PageVisitor) -> None:
    await visitor.words.press_sequentially("/show --ancestors")
    await visitor.words.press("Enter")

    await expect(visitor.answer.locator(".words")).to_contain_text("picture")


@pytest.mark.visit(daily_credits=100)  # a separate demo: a setting of the shared demo would affect every test
async def test_a_subcommand_has_a_form(visitor: PageVisitor) -> None:
    await visitor.words.fill("/settings general")
    await visitor.button("Options").click()
    await visitor.page.get_by_label("confirm above").fill("20")
    await visitor.words.press("Enter")

    await expect(visitor.answer.locator(".words")).to_contain_text("A button asks first: above 20 credits")


async def test_a_form_names_a_person(visitor: PageVisitor) -> None:
    await visitor.words.fill("/block")
    await visitor.button("Options").click()
    await visitor.page.get_by_label("user", exact=True).fill("nobody")
    await visitor.words.press("Enter")

    await expect(visitor.page.get_by_text("I have not seen “nobody” here yet.").first).to_be_visible()


@pytest.mark.visit(daily_credits=100)
async def test_an_expensive_request_is_confirmed_and_run_once(visitor: PageVisitor) -> None:
    await visitor.ask("/settings general --confirm_above 2")
    await visitor.ask("/imagine a fox")
    question = visitor.answer
    await expect(question.locator(".words")).to_have_text("This costs 3 credits with FLUX schnell. Go ahead?")

    await visitor.press("Go ahead")

    await expect(visitor.pictures).to_have_count(1)
    await expect(visitor.page.get_by_role("button", name="Go ahead")).to_have_count(0)
