"""No text of any shape costs more than time in proportion to its length: doubling a text at most doubles the work.

The work is counted, not timed: bytecodes and steps of regular expressions (`tests.work`).
"""

import re
import unicodedata
from collections.abc import Callable

import pytest

from bot.core.platform import MessageLimits
from bot.core.text import sanitize_text
from bot.moderation.words import find_refused_word, fold
from bot.platforms.discord.messages import unmask_links
from bot.platforms.slack import mrkdwn
from bot.streaming import boundaries
from bot.streaming.splitter import Splitter
from tests.work import count_steps, counting

SIGNS = 160
MAX_GROWTH = 2.5
"""Linear work doubles with the length, quadratic work grows by four. A split text has a last, cheaper part."""

UNITS = [
    *(
        "<@UA|",
        "<http:",
        "<http:|",
        "<mailto:|",
        "<!here|",
        "<!subteam^A|",
        "<#C1|",
        "<a:b",
        "&lt;",
        "<",
        "[",
        "]",
        "](",
    ),
    *(
        "[a](",
        "](http:",
        "](\n",
        "]( ",
        "]:",
        "`",
        "``",
        "```",
        "```\n",
        "~~~\n",
        "\\`",
        "\\",
        "*",
        "_",
        "> ",
        ">",
        "- ",
    ),
    *("1. ", "# ", "a", "a ", "a\n", " ", "\n", " \n", "\t", "\r", "\u2028", "\u0301", "\u0301\u0316", "\u0345\u0316"),
    *(
        "\u200d",
        "\ufe0f",
        "\U0001f1f8",
        "\U0001f3f4\U000e0067",
        "\u093f",
        "e\u0301",
        "|",
        "https://",
        "**a",
        "~~a",
        "__a",
    ),
]
WHOLE = ["<@UA|{}", "<http:{}", "[a](", "[a]({}", "]( {}<", "`{}", "```{}", "```\n{}\n    ```", "x {}", "{}>"]

WORDS = ["fox", "big fox", "c++", "a*b", "*a*b*c", "a* b*", "* *", "`"]
MODULES = [
    "bot.moderation.words",
    "bot.platforms.discord.messages",
    "bot.platforms.slack.mrkdwn",
    "bot.streaming.blocks",
    "bot.streaming.boundaries",
    "bot.streaming.marks",
    "bot.core.text",
]
FUNCTIONS: dict[str, Callable[[str], object]] = {
    "slack: shown": mrkdwn.neutralize_mentions,
    "slack: shown to one": mrkdwn.neutralize_broadcasts,
    "slack: end": mrkdwn.cut_unstable_end,
    "slack: typed": mrkdwn.unescape,
    "slack: mentions": mrkdwn.find_mentions,
    "slack: names": lambda text: mrkdwn.replace_mentions(text, {}),
    "slack: without the bot": lambda text: mrkdwn.remove_mention(text, "UA"),
    "slack: links": mrkdwn.restore_links,
    "discord: links": unmask_links,
    "sanitize": sanitize_text,
    "fold": fold,
    "words": lambda text: find_refused_word(text, WORDS),
    "split": lambda text: Splitter(MessageLimits(50)).update(text),
    "split in bytes": lambda text: Splitter(MessageLimits(50, is_length_in_bytes=True, is_append_only=True)).update(
        text
    ),
}


def make_texts(length: int) -> list[str]:
    """Return one text of each shape."""
    texts = [(unit * length)[:length] for unit in UNITS]
    # Refused words with stars: all their letters, and never in one word.
    texts.append(f"{('ab' * length)[:length]}x c")
    return [*texts, *(whole.format((unit * length)[:length]) for whole in WHOLE for unit in ("a", " ", "`", "<", "\n"))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_work_for_a_text_grows_with_its_length_alone(name: str) -> None:
    assert find_fast_growth(FUNCTIONS[name], make_texts(SIGNS), make_texts(SIGNS * 2)) == []


def find_fast_growth(function: Callable[[str], object], texts: list[str], long_texts: list[str]) -> list[str]:
    """List the texts for which the work more than doubles with the doubled length."""
    found = []
    with counting(*MODULES) as work, pytest.MonkeyPatch.context() as patch:
        # The bound of the code is longer than the texts here, so that their work would grow up to the bound.
        patch.setattr(boundaries, "_MAX_REGIONALS", 20)
        for text, long in zip(texts, long_texts, strict=True):
            count_steps(work, function, text)  # fills caches
            steps, more_steps = count_steps(work, function, text), count_steps(work, function, long)
            if more_steps > steps * MAX_GROWTH:
                found.append(f"{text[:12]!r}: {steps:,} and {more_steps:,} steps")
    return found


def count_bars_from_each_place(text: str) -> int:
    return sum(character == "|" for start in range(len(text)) for character in text[start:])


@pytest.mark.parametrize(
    ("function", "unit"),
    [
        (lambda text: re.sub(r"<(?:@|http)[^>]*>", "", text), "<http:"),
        (lambda text: re.search(r"(?:\s|[^|])*\|$", text), "a"),
        (lambda text: unicodedata.normalize("NFKD", text), "\u0301\u0316"),
        (count_bars_from_each_place, "a"),
    ],
    ids=["a link without an end", "a search from each place", "a run of marks", "a loop in a loop"],
)
def test_quadratic_work_is_found(function: Callable[[str], object], unit: str) -> None:
    texts = [(unit * length)[:length] for length in (SIGNS, SIGNS * 2)]

    assert find_fast_growth(function, texts[:1], texts[1:]) != []
