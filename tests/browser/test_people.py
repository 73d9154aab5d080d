"""Switching between the demo's two people."""

import pytest

from tests.browser.visitor import PageVisitor, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.visit(daily_credits=1000)
async def test_switching_the_person_switches_conversations_and_credits(visitor: PageVisitor) -> None:
    await visitor.ask("/imagine a red fox")
    person = visitor.page.get_by_label("Who you are")
    await person.select_option(index=1)

    await expect(visitor.page.get_by_text("What shall we make?")).to_be_visible()
    await expect(visitor.page.locator("#left")).to_have_text("1,000 of 1,000 credits left today")
    await person.select_option(index=0)
    await visitor.page.get_by_role("link", name="a red fox").click()
    await expect(visitor.pictures).to_have_count(1)
    await expect(visitor.page.locator("#left")).to_have_text("997 of 1,000 credits left today")
