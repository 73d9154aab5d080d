"""A link on the page shows where the link goes: Chromium says where, CommonMark's own parser says what is a link."""

import html
import itertools
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.platforms.markdown_fragments import FRAGMENTS, LINK

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

READERS = [MarkdownIt("commonmark"), MarkdownIt("js-default", {"html": False, "linkify": False})]

# The positions of the host's letters say in which order a reader sees the letters.
READ_LINKS = """async (texts) => {
    const { Markdown } = await import("/static/markdown.js");
    const isInOrder = (node) => {
        const lefts = [...node.data].map((_, at) => {
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + 1);
            return range.getBoundingClientRect().left;
        });
        return lefts.every((left, at) => !at || left >= lefts[at - 1]);
    };
    return texts.map((text) => {
        const root = document.createElement("div");
        root.style.whiteSpace = "nowrap";
        document.body.append(root);
        new Markdown(root).show(text);
        const links = [...root.querySelectorAll('a:not([href^="#show/"])')].map((link) => {
            const beside = link.nextElementSibling?.className === "host" ? link.nextElementSibling : null;
            return {
                address: link.getAttribute("href"),
                scheme: link.protocol,
                host: link.host,
                label: link.textContent,
                beside: beside?.textContent ?? "",
                isInOrder: !beside || isInOrder(beside.firstChild),
            };
        });
        const words = root.innerText;
        root.remove();
        return { links, words };
    });
}"""

HOSTILE = [
    "[evil.example/ https://bank.example](https://evil.example)",
    "[evil.example\nbank.example](https://evil.example)",
    "[evil.example/\u202ebank](https://evil.example)",
    "[\u202ebank](https://evil.example)",
    "[\u2067bank](https://evil.example)",
    "[evil.example\u2028bank.example](https://evil.example)",
    "https://evil.example/\u202ebank",
    "[https://bank.example](https://evil.example)",
    "[evil.example](HTTPS://evil.example)",
    "[bank.example](https://bank.example@evil.example)",
    "https://bank.example@evil.example",
    "https://bank.example\\@evil.example",
    "https://evil.example\\@bank.example",
    "https://evil.example/https://bank.example",
    "https://evil.example[a](https://bank.example)",
    '[a](https://evil.example "https://bank.example")',
    "[a](https://evil.example/(x))",
    "[[a]](https://evil.example)",
    "[a\nb](https://evil.example)",
    "[b\u0430nk.example](https://b\u0430nk.example)",
    "https://b\u0430nk.example",
    "https://bank.example\u3002evil.example",
    "[a](https://bank.example&#46;evil.example)",
    "[a](javascript:alert(1))",
    "\\[a](https://evil.example)",
    f"`{LINK}",
    f"\\`{LINK}`",
    f"`{LINK}`",
    f"~~~\n{LINK}\n~~~",
    f"    {LINK}",
    f"    ```\n{LINK}\n",
    f"- a\n  ```\n{LINK}\n",
    f"> ```\n{LINK}\n",
    "[a](\nhttps://evil.example)",
    "[a](&#104;ttps://evil.example)",
    "[a](https\\://evil.example)",
    "[a][b]\n\n[b]: https://evil.example",
    "[a]\n\n[a]:\n  https://evil.example",
    "![a](https://evil.example)",
    "\n| a | b |\n|---|---|\n| [a|b](https://evil.example) |",
]
texts = st.lists(st.sampled_from([*FRAGMENTS, *HOSTILE]), min_size=1, max_size=8).map("".join)


def is_honest(link: dict[str, Any]) -> bool:
    """Return whether a reader sees the host: beside the label, or as the beginning of a label that is one address."""
    if link["scheme"] not in ("http:", "https:"):
        return False
    if link["beside"]:
        return bool(link["beside"] == f" ({link['host']})" and link["isInOrder"])
    label = re.sub(r"^https?://", "", link["label"], flags=re.IGNORECASE)
    return label.isprintable() and " " not in label and re.split(r"[/?#]", label)[0] == link["host"]


def list_parsed_targets(text: str) -> list[str]:
    """Return the web addresses to which links and pictures lead, as CommonMark's parser reads the text."""
    tokens = [token for reader in READERS for block in reader.parse(text) for token in block.children or ()]
    targets = [str(token.attrGet("href") or token.attrGet("src") or "") for token in tokens]
    return [target for target in targets if re.match(r"https?://[^/]", target, re.IGNORECASE)]


def is_seen(target: str, words: str) -> bool:
    """Return whether the words of a page name the host of an address, or spell the address out."""
    host = urlsplit(target).netloc.rpartition("@")[2].lower()
    # The parser escapes what an address may not hold; the page shows the signs.
    return re.split(r"%|xn--", host)[0] in html.unescape(words).lower()


async def find_dishonest(page: "Page", batch: list[str]) -> list[tuple[str, Any]]:
    """Return the links that hide where they go, and the targets of the parser whose host nobody sees."""
    drawn = await page.evaluate(READ_LINKS, batch)
    masked = [(text, link) for text, seen in zip(batch, drawn, strict=True) for link in seen["links"]]
    parsed = [
        (text, target, seen["words"])
        for text, seen in zip(batch, drawn, strict=True)
        for target in list_parsed_targets(text)
    ]
    return [
        *((text, link) for text, link in masked if not is_honest(link)),
        *((text, target) for text, target, words in parsed if not is_seen(target, words)),
    ]


async def test_a_link_shows_where_it_goes_in_every_shape(module_page: "Page") -> None:
    pairs = ["".join(pair) for pair in itertools.product(("", "`", "\\`", "\n~~~\n", "\n    ", "- "), HOSTILE)]

    assert await find_dishonest(module_page, pairs) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(texts, min_size=1, max_size=50))
async def test_a_link_shows_where_it_goes_whatever_stands_around_it(module_page: "Page", batch: list[str]) -> None:
    assert await find_dishonest(module_page, batch) == []


async def test_the_reader_knows_dishonest_links() -> None:
    link = {"scheme": "https:", "host": "evil.example", "label": "bank.example", "beside": "", "isInOrder": True}

    assert not is_honest(link)
    assert not is_honest({**link, "label": "evil.example and bank.example"})
    assert not is_honest({**link, "scheme": "javascript:"})
    assert is_honest({**link, "beside": " (evil.example)"})
    assert is_honest({**link, "label": "https://evil.example/a"})
