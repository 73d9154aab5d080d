"""A person in front of the page: what they do and what they see."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Locator, Page


SERIOUS = ("serious", "critical")


def expect(seen: "Locator") -> Any:
    """Playwright's, imported late: without it these tests are skipped, not broken."""
    from playwright.async_api import expect

    return expect(seen)


@dataclass
class PageVisitor:
    """One tab. `complaints` collects what the console says; a test ends by finding none."""

    context: "BrowserContext"
    page: "Page"
    address: str
    complaints: list[str] = field(default_factory=list)

    @classmethod
    async def open_page(cls, context: "BrowserContext", address: str) -> "PageVisitor":
        page = await context.new_page()
        page.set_default_timeout(10_000)
        visitor = cls(context, page, address)
        page.on("console", lambda said: visitor.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        await page.goto(address)
        await expect(visitor.words).to_be_focused()
        return visitor

    @property
    def words(self) -> "Locator":
        return self.page.locator("#words")

    @property
    def answer(self) -> "Locator":
        """The bot's latest message."""
        return self.page.get_by_role("article", name="Easel").last

    @property
    def pictures(self) -> "Locator":
        return self.answer.locator(".frame img")

    def button(self, name: str) -> "Locator":
        return self.page.get_by_role("button", name=name, exact=True).last

    async def say(self, text: str) -> None:
        """Type and send, without waiting for the answer."""
        await self.words.fill(text)
        await self.words.press("Enter")
        await expect(self.words).to_have_value("")

    async def ask(self, text: str) -> None:
        """Say it, and wait until it is answered."""
        before = await self.page.get_by_role("article", name="Easel").count()
        await self.say(text)
        await self.wait_for_answer(before)

    async def press(self, name: str) -> None:
        """Press a button under the latest message, and wait until it is answered."""
        before = await self.page.get_by_role("article", name="Easel").count()
        await self.button(name).click()
        await self.wait_for_answer(before)

    async def wait_for_answer(self, before: int) -> None:
        await expect(self.page.get_by_role("article", name="Easel")).to_have_count(before + 1)
        await expect(self.answer).not_to_have_attribute("data-tone", "working", timeout=10_000)

    async def drop(self, name: str, content: bytes) -> None:
        """Let go of a picture over the page."""
        script = """([name, bytes]) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
            for (const type of ["dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
        }"""
        await self.page.evaluate(script, [name, list(content)])

    async def find_accessibility_problems(self) -> list[str]:
        """What axe finds serious for people who do not see, hear or point well."""
        from axe_playwright_python.async_playwright import Axe

        found: list[dict[str, Any]] = (await Axe().run(self.page)).response["violations"]
        return [
            f"{one['id']}: {[(node['target'], node['failureSummary']) for node in one['nodes']]}"
            for one in found
            if one["impact"] in SERIOUS
        ]
