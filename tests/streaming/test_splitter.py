"""The promises of the splitter, first for any text, then for the texts people see."""

import re
from itertools import pairwise

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from bot.core.platform import MessageLimits
from bot.streaming.splitter import Splitter, TextPart, split_text
from tests.streaming.test_graphemes import find_boundaries

PIECES = [
    "word ", "sentence. ", "\n", "\n\n", "- item\n", "1. one\n", "# Title\n", "> quote\n", "```\n", "```python\n",
    "````md\n", "````\n", "~~~\n", "~~~sql\n", "   ```js\n", "      ```\n", "`", "```", "inline `code` ", "x = 1\n",
    "    indented\n", "\r\n", "```c\r\n", "é́", "👩‍👩‍👧", "🇩🇪🇫🇷", "❤️", "👍🏽", "각", "क्षि", "漢字。", "a" * 40, " ",
    "\t",
]  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=12)), max_size=60).map("".join)
FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})")
limits = st.builds(MessageLimits, st.integers(48, 160), st.booleans())


def size(text: str, limits: MessageLimits) -> int:
    return len(text.encode("utf-8", "surrogatepass")) if limits.is_length_in_bytes else len(text)


def open_fence(text: str) -> str:
    """Return the open fence at the end of a message, by a reading of CommonMark apart from the code under test."""
    run = ""
    for line in text.split("\n"):
        bare = line.rstrip(" \t\r").lstrip(" \t")
        head = re.match(r"`{3,}|~{3,}", bare)
        if run and bare and set(bare) == {run[0]} and len(bare) >= len(run):
            run = ""
        elif not run and head and not (head[0][0] == "`" and "`" in bare[len(head[0]) :]):
            run = head[0]
    return run


def has_long_run(text: str, limits: MessageLimits) -> bool:
    """A fence too long to be closed within a message of this size."""
    return any(len(run) > limits.max_length // 8 for run in re.findall(r"`{3,}|~{3,}", text))


@given(texts, limits)
def test_the_parts_joined_give_the_text_back(text: str, limits: MessageLimits) -> None:
    parts = split_text(text, limits)

    assert "".join(text[part.start : part.end] for part in parts) == text
    assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])]


@given(texts, limits, st.integers(0, 15))
def test_no_part_is_over_the_limit(text: str, limits: MessageLimits, reserve: int) -> None:
    parts = split_text(text, limits, reserve=reserve)

    assert all(size(part.render(text), limits) <= limits.max_length - reserve for part in parts)


@given(texts, limits)
def test_every_fence_is_closed_in_its_part(text: str, limits: MessageLimits) -> None:
    if has_long_run(text, limits):
        return

    parts = split_text(text, limits)

    assert [open_fence(part.render(text)) for part in parts] == [""] * len(parts)


@given(texts, limits)
@example("```    indented\nword word word word word ", MessageLimits(48))
def test_a_closed_fence_is_reopened_with_its_language(text: str, limits: MessageLimits) -> None:
    parts = split_text(text, limits)

    for part, following in pairwise(parts):
        is_code = bool(FENCE.match(part.closing))
        assert is_code == bool(FENCE.match(following.opening))
        if is_code:
            # Markdown ignores spaces between the fence and its language: the splitter leaves them out.
            opener = re.sub(r"(?<=[`~])[ \t]+", "", last_opener(part.render(text)).strip(), count=1)
            # An info string too long for a small message is shortened to the language, or dropped.
            shortened = (opener, (opener.split() or [""])[0], part.closing.strip())
            assert following.opening.strip() in shortened
            assert following.opening.strip() == opener or len(opener) > limits.max_length // 4 - 3


def last_opener(shown: str) -> str:
    """Return the line that opened the code block closed by a message's last line."""
    lines = shown.split("\n")
    return next(line for n, line in reversed(list(enumerate(lines))) if not open_fence("\n".join(lines[:n])))


@given(texts, limits)
def test_no_grapheme_is_cut(text: str, limits: MessageLimits) -> None:
    parts = split_text(text, limits)

    for part in parts[:-1]:
        room = limits.max_length // 2 // (4 if limits.is_length_in_bytes else 1)
        if longest_grapheme(text[part.start : part.end]) <= min(room, 8):
            assert part.end in find_boundaries(text)


def longest_grapheme(text: str) -> int:
    return max((length for length in map(len, regex.findall(r"\X", text))), default=0)


@given(texts, limits, st.data())
def test_closed_parts_stay_as_the_text_grows(text: str, limits: MessageLimits, data: st.DataObject) -> None:
    steps = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    splitter = Splitter(limits)
    closed: list[TextPart] = []

    for step in [*steps, len(text)]:
        parts = splitter.update(text[:step])
        assert parts[: len(closed)] == closed
        closed = parts[:-1]

    assert splitter.update(text) == split_text(text, limits)


@given(texts, limits, st.data())
def test_a_restart_goes_on_from_any_part(text: str, limits: MessageLimits, data: st.DataObject) -> None:
    parts = split_text(text, limits)
    n = data.draw(st.integers(0, len(parts) - 1))

    resumed = Splitter(limits, start=parts[n].start, opening=parts[n].opening)

    assert resumed.update(text) == parts[n:]


DISCORD = MessageLimits(2000)


def test_a_short_text_is_one_part() -> None:
    assert split_text("Hello.", DISCORD) == [TextPart(0, 6, "", "")]
    assert split_text("", DISCORD) == [TextPart(0, 0, "", "")]


def test_a_long_answer_is_cut_between_paragraphs() -> None:
    text = ("A sentence of the story. " * 20 + "\n\n") * 10

    parts = split_text(text, DISCORD)

    assert all(text[part.start : part.end].endswith("\n\n") for part in parts)


def test_a_code_block_of_eight_kilobytes_is_code_in_every_part() -> None:
    text = "Here it is:\n\n```python\n" + "".join(f"value_{n} = compute({n})\n" for n in range(300)) + "```\nDone."

    parts = split_text(text, DISCORD)

    assert len(parts) > 3
    assert all(part.render(text).count("```python\n") == 1 for part in parts)
    assert parts[1].render(text).startswith("```python\nvalue_")
    assert parts[1].render(text).endswith(")\n```")


def test_a_cut_goes_before_a_code_block_rather_than_after_its_first_line() -> None:
    text = "word " * 380 + "\n```python\n" + "x = 1\n" * 60 + "```\n"

    first, second = split_text(text, DISCORD)

    assert first.closing == ""
    assert second.render(text).startswith("```python\nx = 1")


def test_the_closing_fence_never_moves_to_a_part_of_its_own() -> None:
    for lines in range(150, 200):
        text = "```\n" + "0123456789\n" * lines + "```"
        parts = split_text(text, DISCORD)
        assert text[parts[-1].start : parts[-1].end].strip("`\n") != ""


def test_a_fence_inside_a_longer_fence_is_text() -> None:
    text = "````markdown\n" + "```python\nx = 1\n```\n" * 200 + "````\n"

    parts = split_text(text, DISCORD)

    assert all(part.render(text).startswith("````markdown\n") for part in parts)
    assert parts[0].closing == "````"


def test_a_long_info_string_is_reopened_with_the_language() -> None:
    text = "```python " + "title " * 200 + "\n" + "x = 1\n" * 400 + "```\n"

    assert split_text(text, DISCORD)[1].opening == "```python"


def test_a_run_too_long_to_close_is_taken_for_a_drawing() -> None:
    text = "~" * 300 + "\n" + "words " * 500

    assert {part.closing for part in split_text(text, DISCORD)} == {""}


def test_bytes_are_counted_where_the_platform_counts_bytes() -> None:
    text = "漢字かな交じり文。" * 200

    parts = split_text(text, MessageLimits(1000, is_length_in_bytes=True))

    assert all(len(part.render(text).encode()) <= 1000 for part in parts)
    assert all(text[part.start : part.end].endswith("。") for part in parts)


def test_later_text_does_not_move_a_cut() -> None:
    """A regression: backticks at the end of a line changed the reading of the line's beginning."""
    text = "```word word aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa```\n"
    limits = MessageLimits(53)
    splitter = Splitter(limits)
    closed = splitter.update(text[:50])[:-1]

    assert closed == split_text(text, limits)[: len(closed)] != []


def test_one_endless_word_is_cut_where_it_must_be() -> None:
    assert [part.end - part.start for part in split_text("a" * 5000, DISCORD)] == [2000, 2000, 1000]


def test_a_limit_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        Splitter(MessageLimits(40), reserve=30)


def test_a_changed_text_is_split_from_the_beginning() -> None:
    splitter = Splitter(DISCORD)
    splitter.update("one " * 1000)

    parts = splitter.update("two " * 10)

    assert parts == [TextPart(0, 40, "", "")]


def test_a_hundred_kilobytes_word_by_word_stay_cheap() -> None:
    """Each update reads the open part alone: the counted work is the text read again."""
    text = "word " * 20_000
    splitter = Splitter(DISCORD)
    reread = 0

    for length in range(0, len(text) + 1, 100):
        parts = splitter.update(text[:length])
        reread += length - parts[-1].start

    assert reread < 1100 * len(text) // 100
    assert splitter.update(text) == split_text(text, DISCORD)


@pytest.mark.untraced
@pytest.mark.parametrize("sign", ["🇩🇪", "`", "~", " ", "\n", "👩\u200d", "e\u0301", "[. "])
def test_no_text_makes_it_slow(sign: str) -> None:
    """A hundred kilobytes of one sign: quadratic work would take a minute, beyond the suite's timeout."""
    text = sign * 50_000

    assert (
        "".join(text[part.start : part.end] for part in split_text(text, MessageLimits(9000, is_length_in_bytes=True)))
        == text
    )
