"""A person in front of the page: types, presses, drops files, and reads the result."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Locator, Page


SERIOUS = ("serious", "critical")


def expect(locator: "Locator") -> Any:
    """Return Playwright's `expect`, imported late: a machine without Playwright skips these tests."""
    from playwright.async_api import expect

    return expect(locator)


@dataclass
class PageVisitor:
    """A browser tab. `complaints` collects errors of the console; each test ends with an empty list."""

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
        """Type and send a message, without waiting for the answer."""
        await self.words.fill(text)
        await self.words.press("Enter")
        await expect(self.words).to_have_value("")

    async def ask(self, text: str) -> None:
        """Send a message, and wait for the answer."""
        before = await self.page.get_by_role("article", name="Easel").count()
        await self.say(text)
        await self.wait_for_answer(before)

    async def press(self, name: str) -> None:
        """Press a button under the latest message, and wait for the answer."""
        before = await self.page.get_by_role("article", name="Easel").count()
        await self.button(name).click()
        await self.wait_for_answer(before)

    async def wait_for_answer(self, before: int) -> None:
        await expect(self.page.get_by_role("article", name="Easel")).to_have_count(before + 1)
        await expect(self.answer).not_to_have_attribute("data-tone", "working", timeout=10_000)

    async def drop(self, name: str, content: bytes) -> None:
        """Drop a picture on the page."""
        script = """([name, bytes]) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
            for (const type of ["dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
        }"""
        await self.page.evaluate(script, [name, list(content)])

    async def find_accessibility_problems(self) -> list[str]:
        """Return axe's findings of serious or critical impact."""
        from axe_playwright_python.async_playwright import Axe

        violations: list[dict[str, Any]] = (await Axe().run(self.page)).response["violations"]
        return [
            f"{finding['id']}: {[(node['target'], node['failureSummary']) for node in finding['nodes']]}"
            for finding in violations
            if finding["impact"] in SERIOUS
        ]
