"""A link in a message on Discord shows where the link goes."""

import pytest
from hypothesis import given, settings

from bot.platforms.discord.messages import unmask_links
from tests.platforms.discord.dialogue import draw_picture
from tests.platforms.discord.markdown_reader import MaskedLink, find_masked_links
from tests.platforms.discord.town import Town, finish
from tests.platforms.markdown_fragments import LINK, markdown_texts

HIDDEN = [
    LINK,
    f"`{LINK}",
    f"\\`{LINK}`",
    f"**`** {LINK} `",
    f"_ `a_ {LINK} `",
    f"[`]({LINK}`)",
    f"> `\n{LINK}`",
    f"> ```\n{LINK}\n```",
    f"~~~\n{LINK}\n~~~",
    f"    {LINK}",
    f"https://x` {LINK} `",
    f"``` a ```b``` {LINK} ```",
    f"```\n```\n```{LINK}```",
    f"```js\n```\n```\n{LINK}```",
    "[a](\nhttps://evil.example)",
    "[a](https\\://evil.example)",
]


def test_the_reader_knows_links_code_and_quotes() -> None:
    hidden = [MaskedLink("bank.example", "https://evil.example")]

    assert find_masked_links(f"see {LINK}") == hidden
    assert find_masked_links(f"**`** {LINK} `") == hidden
    assert find_masked_links(f"> ```\n{LINK}\n```") == hidden
    assert find_masked_links(f"`{LINK}` ```\n{LINK}\n```") == []
    assert find_masked_links("[https://a.example](https://a.example)") == []


@pytest.mark.parametrize("text", HIDDEN)
async def test_an_answer_shows_where_a_link_goes(town: Town, text: str) -> None:
    town.backend.will(words=[text])

    message = await finish(await town.ana.use_command("chat", {"message": "hello"}))

    assert find_masked_links(message.content) == []
    assert "evil.example" in message.content


@settings(max_examples=400)
@given(markdown_texts)
def test_no_text_around_a_link_hides_its_target(text: str) -> None:
    assert find_masked_links(unmask_links(text)) == []


@given(markdown_texts)
def test_only_spaces_are_added_to_a_text_with_links(text: str) -> None:
    assert unmask_links(text).replace("] (", "](") == text.replace("] (", "](")


async def test_code_with_a_link_stays_as_it_is(town: Town) -> None:
    text = f"Write `{LINK}` or\n```md\n{LINK}\n```\nThat is all, `really`."
    town.backend.will(words=[text])

    message = await finish(await town.ana.use_command("chat", {"message": "hello"}))

    assert text in message.content


async def test_the_summary_of_a_request_shows_where_a_link_goes(town: Town) -> None:
    message = await draw_picture(town.ana, prompt=f"`{LINK}")

    assert find_masked_links(message.text) == []
