"""Marks of Markdown across a cut: each part is a document of its own with the marks of the whole text."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.core.platform import MessageLimits
from bot.streaming.splitter import Splitter, TextPart, split_text
from tests.streaming.markdown_reader import MarkedCharacter, read_marks

COMMON = MessageLimits(160)
APPENDING = replace(COMMON, is_append_only=True)
SPOILING = replace(COMMON, has_spoilers=True)
SMALL = [COMMON, APPENDING, SPOILING]

words = st.lists(st.sampled_from(["fox", "snow.", "a", "lighthouse,", "it's", "2", "(dusk)"]), min_size=1, max_size=25)
plain = words.map(" ".join)


def wrap(delimiter: str) -> st.SearchStrategy[str]:
    return plain.map(lambda text: f"{delimiter}{text.strip()}{delimiter}")


LINKS = ["[the words](https://a.example/b_c)", "[fox](https://a.example/(x))", "<https://a.example/x_y>"]
spans = st.one_of(plain, wrap("**"), wrap("*"), wrap("~~"), wrap("`"), wrap("***"), st.sampled_from(LINKS))
nested = st.tuples(plain, spans, plain).map(lambda parts: f"**{parts[0]} *{parts[2]}* {parts[0]}**")
sentences = st.lists(st.one_of(spans, nested), min_size=1, max_size=4).map(" ".join)


def lines_of(prefix: str) -> st.SearchStrategy[str]:
    return st.lists(sentences, min_size=1, max_size=4).map(lambda lines: "\n".join(f"{prefix}{line}" for line in lines))


def list_of(marker: str, step: int) -> st.SearchStrategy[str]:
    """Items at three depths; an item is at most one level deeper than the item before."""

    def build(items: list[tuple[int, str]]) -> str:
        lines: list[str] = []
        depth = 0
        for wanted, text in items:
            depth = min(wanted, depth + 1) if lines else 0
            lines.append(f"{' ' * step * depth}{marker} {text}")
        return "\n".join(lines)

    return st.lists(st.tuples(st.integers(0, 2), sentences), min_size=1, max_size=6).map(build)


tables = st.lists(st.tuples(st.sampled_from(["fox", "a b", "**x**"]), st.sampled_from(["1", "`2`"])), max_size=20).map(
    lambda rows: "\n".join(["| name | no |", "|---|---|", *(f"| {one} | {other} |" for one, other in rows)])
)
code = st.lists(plain, min_size=1, max_size=6).map(lambda lines: "\n".join(["```python", *lines, "```"]))
quoted_code = code.map(lambda text: "\n".join(f"> {line}" for line in text.split("\n")))
headings = st.tuples(st.sampled_from(["# ", "### "]), sentences).map("".join)
blocks = st.one_of(
    sentences, lines_of("> "), lines_of("> > "), list_of("-", 2), list_of("1.", 3), tables, code, quoted_code, headings
)
texts = st.lists(blocks, min_size=1, max_size=5).map("\n\n".join)


def read_parts(text: str, parts: list[TextPart], *, is_discord: bool = False) -> list[MarkedCharacter]:
    """Read each part by itself. A table's header that was opened again is read once."""
    found: list[MarkedCharacter] = []
    for part in parts:
        read = read_marks(part.render(text), is_discord=is_discord)
        repeated = "".join(line for line in part.opening.split("\n") if "|" in line and "||" not in line)
        if repeated:
            read = read[len(read_marks(part.opening)) :]
        found += read
    return found


WORDS_BEFORE_A_LINK = f"**{'fox ' * 7}*{'snow. ' * 3}{'lighthouse, ' * 2}lighthouse,* {'fox ' * 6}fox** "


@pytest.mark.untraced
@pytest.mark.parametrize("limits", SMALL)
@settings(max_examples=60)
@given(text=texts)
@example(text=WORDS_BEFORE_A_LINK + "[the words](https://a.example/b_c)")
def test_the_parts_have_the_words_and_marks_of_the_text(limits: MessageLimits, text: str) -> None:
    parts = split_text(text, limits)

    assert read_parts(text, parts) == read_marks(text)
    assert all(len(part.render(text)) <= limits.max_length for part in parts)


spoiler_texts = st.lists(
    st.one_of(blocks, words.map(" ".join).map(lambda text: f"||{text}||"), st.just("|| spaced ||")), max_size=5
).map("\n\n".join)


@pytest.mark.untraced
@settings(max_examples=60)
@given(text=spoiler_texts)
def test_a_spoiler_is_hidden_in_each_part(text: str) -> None:
    parts = split_text(text, SPOILING)

    assert [one.character for one in read_parts(text, parts, is_discord=True)] == [
        one.character for one in read_marks(text, is_discord=True)
    ]
    assert [one.marks for one in read_parts(text, parts, is_discord=True)] == [
        one.marks for one in read_marks(text, is_discord=True)
    ]


@settings(max_examples=60)
@given(before=plain, secret=st.lists(st.sampled_from(["SECRET ", "SECRET\n\n", "SECRET. "]), min_size=1, max_size=60))
def test_a_spoiler_is_hidden_while_it_grows(before: str, secret: list[str]) -> None:
    text = f"{before} ||{''.join(secret).strip()}|| the end"
    splitter = Splitter(SPOILING)

    for length in range(1, len(text) + 1, 7):
        for part in splitter.update(text[:length]):
            shown = read_marks(part.render(text[:length]), is_discord=True)
            assert all("spoiler" in one.marks for one in shown if one.character in "SECRT")


@pytest.mark.parametrize("limits", SMALL)
@settings(max_examples=60)
@given(text=texts, data=st.data())
def test_a_growing_text_and_a_restart_cut_at_the_same_places(
    limits: MessageLimits, text: str, data: st.DataObject
) -> None:
    parts = split_text(text, limits)
    n = data.draw(st.integers(0, len(parts) - 1))
    assert Splitter(limits, start=parts[n].start, opening=parts[n].opening).update(text) == parts[n:]

    splitter = Splitter(limits)
    for step in sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8))):
        closed = splitter.update(text[:step])[:-1]
        assert limits.is_append_only or closed == parts[: len(closed)]
    assert limits.is_append_only or splitter.update(text) == parts


def render(text: str, limits: MessageLimits) -> list[str]:
    return [part.render(text) for part in split_text(text, limits)]


DISCORD = MessageLimits(2000, has_spoilers=True)
SLACK = MessageLimits(9000, is_length_in_bytes=True, is_append_only=True)


@pytest.mark.parametrize("limits", [DISCORD, SLACK])
def test_a_long_table_has_its_header_in_each_part(limits: MessageLimits) -> None:
    rows = [f"| {n} | {'words ' * 5}|" for n in range(360)]
    text = "\n".join(["Prices:", "", "| no | what |", "|---:|------|", *rows])
    assert len(text) > 14_000

    first, *others = render(text, limits)

    assert first.startswith("Prices:\n\n| no | what |\n|---:|------|\n| 0 |")
    assert others
    assert all(other.startswith("| no | what |\n|---:|------|\n| ") for other in others)
    shown = "\n".join([first, *others]).split("\n")
    assert [line for line in shown if line in rows] == rows


def test_a_long_quoted_line_goes_on_quoted() -> None:
    shown = render(f"> {'words of the quote ' * 200}".strip(), DISCORD)

    assert len(shown) > 1
    assert all(part.startswith(("> words", "> of", "> the")) for part in shown)


def test_a_quote_of_the_rest_of_the_message_goes_on_quoted() -> None:
    shown = render("Before.\n>>> " + "\n".join(["A line of the quote."] * 300), DISCORD)

    assert len(shown) > 2
    assert all(part.startswith(">>> A line") for part in shown[1:])


@pytest.mark.parametrize("delimiter", ["**", "*", "~~", "||", "`", "__", "***"])
def test_long_marked_words_are_marked_in_each_part(delimiter: str) -> None:
    shown = render(f"Before. {delimiter}{'many words ' * 400}end{delimiter} After.", DISCORD)

    assert len(shown) > 2
    assert all(part.rstrip().endswith(delimiter) for part in shown[:-1])
    assert all(part.startswith(delimiter) for part in shown[1:])
    assert shown[-1].endswith(f"end{delimiter} After.")


def test_a_nested_list_keeps_its_indentation_at_the_head_of_a_message() -> None:
    items = [f"  - nested item {n} {'with words ' * 4}".rstrip() for n in range(60)]
    shown = render("\n".join(["- The list:", *items, "- The end"]), DISCORD)

    assert len(shown) > 1
    assert all(part.startswith("- \u200b\n  - nested item") for part in shown[1:])
    assert [line for part in shown for line in part.split("\n") if line in items] == items


def test_an_operator_hides_no_text_behind() -> None:
    text = "Use a || b in the shell.\n\n" + "And now for something else. " * 100

    assert all("||" not in part for part in render(text, DISCORD)[1:])


@pytest.mark.untraced
@pytest.mark.parametrize(
    "sign", ["*a ", "a_ *b", "[a [b] ", "[a](", "||", "> ", "- ", "`a ``", "<a:", "| - |\n", "](((("]
)
@pytest.mark.parametrize("limits", [DISCORD, SLACK])
def test_long_runs_of_one_sign_are_split_to_the_end(sign: str, limits: MessageLimits) -> None:
    """A hundred kilobytes of one sign: `tests.test_growth` counts the work, and no shape of text may lose its end."""
    text = sign * (100_000 // len(sign))
    splitter = Splitter(limits)
    for length in range(0, 20_000, 250):
        splitter.update(text[:length])

    assert splitter.update(text)[-1].end == len(text)
