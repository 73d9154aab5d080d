"""The page's Markdown: tables, deep nesting, and a message that cannot be drawn."""

from typing import TYPE_CHECKING

import pytest

from tests.browser.visitor import PageVisitor, expect

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

DRAW = """async (text) => {
    const { Markdown } = await import("/static/markdown.js");
    const root = document.createElement("div");
    new Markdown(root).show(text);
    return root.outerHTML;
}"""
READ_ROWS = """async (text) => {
    const { Markdown } = await import("/static/markdown.js");
    const root = document.createElement("div");
    new Markdown(root).show(text);
    return [...root.querySelectorAll("tr")].map((row) => [...row.children].map((cell) => cell.textContent));
}"""
MEASURE_DEPTH = """async (text) => {
    const { Markdown } = await import("/static/markdown.js");
    const root = document.createElement("div");
    new Markdown(root).show(text);
    let deepest = 0;
    for (const node of root.querySelectorAll("*")) {
        let depth = 0;
        for (let at = node; at !== root; at = at.parentNode) depth++;
        deepest = Math.max(deepest, depth);
    }
    return [deepest, root.textContent];
}"""


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("| a \\| b | c |\n|---|---|\n| d | e \\| f |", [["a | b", "c"], ["d", "e | f"]]),
        ("a | b\n--|--\nc \\|| d", [["a", "b"], ["c |", "d"]]),
        ("| a | b |\n|---|---|\n| `x \\| y` | z |", [["a", "b"], ["x | y", "z"]]),
        ("| a |\n|---|\n| c \\|", [["a"], ["c |"]]),
        ("The models:\n| name | price |\n|---|---|\n| fox | 3 |\nThat is all.", [["name", "price"], ["fox", "3"]]),
        ("- The models:\n  | name | price |\n  |---|---|\n  | fox | 3 |", [["name", "price"], ["fox", "3"]]),
        ("> The models:\n> | name | price |\n> |---|---|\n> | fox | 3 |", [["name", "price"], ["fox", "3"]]),
    ],
)
async def test_a_table_is_split_into_its_cells(module_page: "Page", text: str, rows: list[list[str]]) -> None:
    assert await module_page.evaluate(READ_ROWS, text) == rows


async def test_the_words_around_a_table_stay_words(module_page: "Page") -> None:
    drawn = await module_page.evaluate(DRAW, "The models:\n| name |\n|---|\n| fox |\n\nThat is all | for now.\n")

    assert drawn.startswith("<div><p>The models:</p><div")
    assert drawn.endswith("</div><p>That is all | for now.</p></div>")


@pytest.mark.parametrize("unit", ["> ", ">", "> - ", "- a\n  ", "1. > ", "*a _b ", "**a ~~b ", "* > "])
async def test_nesting_has_a_bounded_depth_and_loses_no_word(module_page: "Page", unit: str) -> None:
    depth, words = await module_page.evaluate(MEASURE_DEPTH, unit * 2000 + "the end")

    assert depth <= 40
    assert "the end" in words


async def test_nesting_is_drawn_again_after_a_failure(module_page: "Page") -> None:
    quoted = await module_page.evaluate(
        """async () => {
            const { Markdown } = await import("/static/markdown.js");
            const show = (text) => {
                const root = document.createElement("div");
                new Markdown(root).show(text);
                return root;
            };
            const create = document.createElement;
            document.createElement = (tag) => {
                if (tag === "em") throw new Error("no such element");
                return create.call(document, tag);
            };
            const failed = Array.from({ length: 20 }, () => show("before\\n\\n> > *words*\\n\\nafter").textContent);
            document.createElement = create;
            return [failed.at(-1), show("> > *words*").querySelectorAll("blockquote blockquote em").length];
        }"""
    )

    assert quoted == ["before*words*after", 1]


async def test_a_message_that_cannot_be_drawn_hides_no_other(visitor: PageVisitor) -> None:
    await visitor.ask("/models imagine")
    await visitor.ask("/help")
    messages = await visitor.page.evaluate(
        """async () => {
            const { Log } = await import("/static/messages.js");
            const root = document.createElement("div");
            document.body.append(root);
            const log = new Log(root, "main", { gap() {}, edit() {}, story() {} });
            const parts = { job: "", pictures: [], progress: null, note: "", buttons: [], files: [] };
            const good = { ...parts, who: "bot", tone: "done" };
            const at = (n) => `2026-01-01T00:00:0${n}Z`;
            log.snapshot([
                { ...good, id: "m1", text: "first", created: at(1) },
                { ...good, id: "m2", text: null, pictures: [null], created: at(2) },
                { ...good, id: "m3", text: "third", created: at(3) },
            ]);
            log.change({ id: "m2", from: 1, append: "x" });
            log.message({ ...good, id: "m4", text: "fourth", created: at(4) });
            log.tick();
            const seen = [...root.children].map((node) => node.textContent);
            root.remove();
            return seen;
        }"""
    )

    assert [words for words in messages if words in ("first", "third", "fourth")] == ["first", "third", "fourth"]
    assert "This message cannot be shown here." in messages


LARGE = "9007199254740993"


async def test_a_large_seed_stays_the_same_number(visitor: PageVisitor) -> None:
    await visitor.ask(f"/imagine a red fox --seed {LARGE}")
    await expect(visitor.answer.locator(".note")).to_contain_text(f"seed {LARGE}")

    await visitor.button("What just happened").click()
    drawer = visitor.page.get_by_role("dialog", name="What just happened")
    await expect(drawer).to_contain_text(LARGE)
    await visitor.page.keyboard.press("Escape")

    await visitor.button("Edit prompt").click()
    await expect(visitor.page.get_by_label("Seed")).to_have_value(LARGE)
    await visitor.words.press("Enter")
    await expect(visitor.words).to_have_value("")
    await visitor.wait_for_answer(1)
    await expect(visitor.answer.locator(".note")).to_contain_text(f"seed {LARGE}")
