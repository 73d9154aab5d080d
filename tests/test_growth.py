"""No text of any shape costs more than time in proportion to its length: doubling a text at most doubles the time."""

import time
from collections.abc import Callable

import pytest

from bot.core.platform import MessageLimits
from bot.moderation.words import find_refused_word, fold
from bot.platforms.discord.messages import unmask_links
from bot.platforms.slack import mrkdwn
from bot.streaming.safety import sanitize_text
from bot.streaming.splitter import Splitter

SIGNS = 5_000
FACTOR = 4
"""A quadratic function takes 16 times as long for a text of four times the length, a linear one 4 times."""
MAX_GROWTH = 9.0
NEGLIGIBLE_SECONDS = 0.008

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
    "split": lambda text: Splitter(MessageLimits(1_000)).update(text),
    "split in bytes": lambda text: Splitter(MessageLimits(1_000, is_length_in_bytes=True, is_append_only=True)).update(
        text
    ),
}


def make_texts(length: int) -> list[str]:
    """Return one text of each shape."""
    texts = [(unit * length)[:length] for unit in UNITS]
    return [*texts, *(whole.format((unit * length)[:length]) for whole in WHOLE for unit in ("a", " ", "`", "<", "\n"))]


def measure_seconds(function: Callable[[str], object], text: str, *, repetitions: int, enough: float = 0.0) -> float:
    """Return the shortest time of some calls: other work on the machine makes a call longer, never shorter."""
    shortest = float("inf")
    for _ in range(repetitions):
        started = time.thread_time()
        function(text)
        shortest = min(shortest, time.thread_time() - started)
        if shortest <= enough:
            break
    return shortest


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_time_for_a_text_grows_with_its_length_alone(name: str) -> None:
    function = FUNCTIONS[name]
    too_long = []
    for short, long in zip(make_texts(SIGNS), make_texts(SIGNS * FACTOR), strict=True):
        seconds = measure_seconds(function, short, repetitions=2)
        allowed = max(seconds * MAX_GROWTH, NEGLIGIBLE_SECONDS)
        if measure_seconds(function, long, repetitions=7, enough=allowed) > allowed:
            too_long.append(short[:12])

    assert too_long == []
