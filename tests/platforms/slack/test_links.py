"""A link in a message on Slack shows where the link goes. CommonMark judges, with and without its disputed rules."""

import itertools
import re

import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt

from bot.platforms.slack.mrkdwn import cut_unstable_end, neutralize_mentions
from tests.platforms.markdown_fragments import LINK, markdown_texts
from tests.platforms.slack.office import Office
from tests.platforms.slack.test_streaming import ask_question, join_answer, wait_for_answer

# Slack documents no rule for HTML, for code by indentation and for fences of tildes: all readings count.
READERS = [
    MarkdownIt("commonmark"),
    MarkdownIt("js-default", {"html": False, "linkify": False}),
    MarkdownIt("commonmark", {"html": False}).disable("code"),
]
# docs.slack.dev/messaging/formatting-message-text: an address with a label.
_LABELLED = re.compile(r"<(?:https?|mailto|ftp):[^<>|\s]*\|[^<>]*>")

HIDDEN = [
    LINK,
    f"`{LINK}",
    f"\\`{LINK}`",
    f"`{LINK}`",
    f"~~~\n{LINK}\n~~~",
    f"    {LINK}",
    f"    ```\n{LINK}\n",
    f"```\n    ```\n```\n{LINK}\n",
    f"- a\n  ```\n{LINK}\n",
    f"> ```\n{LINK}\n",
    f"~~~\n```\n~~~\n{LINK}\n",
    f"```\n```\u00a0\n```\n{LINK}\n",
    "[a](\nhttps://evil.example)",
    "[a](&#104;ttps://evil.example)",
    "[a](https\\://evil.example)",
    "[a][b]\n\n[b]: https://evil.example",
    "[a]\n\n[a]:\n  https://evil.example",
    "[a](//evil.example)",
    "[a](evil.example)",
    "![a](https://evil.example)",
    "<https://evil.example|bank.example>",
    "```\n<https://evil.example|bank.example>\n```",
]


def find_masked_links(text: str) -> list[str]:
    """Return the targets of links whose label is not the target, in any reading."""
    found: list[str] = _LABELLED.findall(text)
    # The second text is read without fences of tildes.
    for reader, read in itertools.product(READERS, (text, text.replace("~~~", "~ ~ ~"))):
        tokens = [token for block in reader.parse(read) for token in block.children or ()]
        for token, label in zip(tokens, [*tokens[1:], None], strict=False):
            href = str(token.attrGet("href") or token.attrGet("src") or "")
            is_own_address = label is not None and label.content.strip() == href
            if token.markup != "autolink" and re.match(r"[a-z]+:|//|[^/]*\.", href) and not is_own_address:
                found.append(href)
    return found


def test_the_reader_finds_links_and_knows_code() -> None:
    assert all(find_masked_links(text) for text in HIDDEN if text not in (f"`{LINK}`", f"    {LINK}"))
    assert not find_masked_links("<https://a.example> and f[0](x, y)")


@pytest.mark.parametrize("text", HIDDEN)
async def test_an_answer_shows_where_a_link_goes(office: Office, text: str) -> None:
    office.backend.will(words=[text])

    thread = await ask_question(office)
    await wait_for_answer(thread)

    assert find_masked_links(join_answer(thread)) == []
    assert "evil.example" in join_answer(thread)


@pytest.mark.parametrize(
    ("said", "shown", "address"),
    [
        (
            "Read <https://example.com/doc|the document> now.",
            "Read <https://example.com/doc> (the document) now.",
            "https://example.com/doc",
        ),
        ("<mailto:a@b.example|write to us>", "<mailto:a@b.example> (write to us)", "mailto:a@b.example"),
        ("- <https://example.com/a_b|a | b>!", "- <https://example.com/a_b> (a | b)!", "https://example.com/a_b"),
        ("See <https://example.com|>.", "See <https://example.com>.", "https://example.com"),
        ("See <https://example.com|the\nend", "See <https://example.com> (the\nend", "https://example.com"),
    ],
)
async def test_a_link_with_words_leads_to_its_address(office: Office, said: str, shown: str, address: str) -> None:
    office.backend.will(words=[*said])

    thread = await ask_question(office)
    await wait_for_answer(thread)

    assert join_answer(thread) == shown
    tokens = [token for block in READERS[0].parse(shown) for token in block.children or ()]
    assert [token.attrGet("href") for token in tokens if token.type == "link_open"] == [address]


@settings(max_examples=400)
@given(markdown_texts)
def test_no_text_around_a_link_hides_its_target(text: str) -> None:
    assert find_masked_links(neutralize_mentions(text)) == []


@settings(max_examples=400)
@given(markdown_texts)
def test_a_growing_text_with_links_only_appends(text: str) -> None:
    whole = neutralize_mentions(text)
    for end in range(len(text)):
        assert whole.startswith(cut_unstable_end(neutralize_mentions(text[:end])))


async def test_code_with_a_link_stays_as_it_is(office: Office) -> None:
    text = f"Write\n```md\n{LINK}\n```\nThat is all."
    office.backend.will(words=[text])

    thread = await ask_question(office)
    await wait_for_answer(thread)

    assert join_answer(thread) == text
