"""Long answers on several messages of Slack: marks, tables and lists across a cut."""

import pytest

from tests.platforms.slack.office import Office
from tests.platforms.slack.test_streaming import ask_question, read_text, wait_for_answer
from tests.streaming.markdown_reader import read_marks


async def read_parts(office: Office, *words: str) -> list[str]:
    """Ask, and return the texts of the answer's messages."""
    office.backend.will(words=words)
    thread = await ask_question(office)
    await wait_for_answer(thread)
    return [read_text(message) for message in thread.bot_messages]


async def test_a_long_table_has_its_header_in_each_message(office: Office) -> None:
    rows = [f"| {n} | {'words ' * 6}|" for n in range(320)]
    table = "\n".join(["| no | what |", "|---|---|", *rows])
    assert len(table) > 14_000

    parts = await read_parts(office, *(f"{line}\n" for line in table.split("\n")))

    assert len(parts) > 1
    assert all(part.startswith("| no | what |\n|---|---|\n| ") for part in parts)
    assert [line for part in parts for line in part.split("\n") if line in rows] == rows


@pytest.mark.parametrize(
    ("before", "unit", "after"),
    [
        ("> ", "a quoted sentence. ", ""),
        ("**", "bold words ", "end**"),
        ("*", "slanted words ", "end*"),
        ("~~", "struck words ", "end~~"),
        ("`", "words of code ", "end`"),
        ("### ", "words of a heading ", ""),
        ("> **", "bold words of a quote ", "end**"),
        ("- item\n", "  - a nested item\n", "- end"),
        ("> ```py\n> ", "x = 1\n> ", "y\n> ```"),
    ],
)
async def test_marks_go_on_in_the_next_message(office: Office, before: str, unit: str, after: str) -> None:
    text = (before + unit * (10_000 // len(unit)) + after).strip()

    parts = await read_parts(office, *(text[n : n + 50] for n in range(0, len(text), 50)))

    assert len(parts) > 1
    assert [one for part in parts for one in read_marks(part)] == read_marks(text)
