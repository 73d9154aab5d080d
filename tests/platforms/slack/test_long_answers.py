"""Long answers on several messages of Slack: marks, tables and lists across a cut."""

import pytest

from tests.platforms.markdown_fragments import LONG_MARKS, LONG_TABLE, TABLE_HEAD, TABLE_ROWS
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
    assert len(LONG_TABLE) > 14_000

    parts = await read_parts(office, *(f"{line}\n" for line in LONG_TABLE.split("\n")))

    assert len(parts) > 1
    assert all(part.startswith(f"{TABLE_HEAD}| ") for part in parts)
    assert [line for part in parts for line in part.split("\n") if line in TABLE_ROWS] == TABLE_ROWS


@pytest.mark.parametrize(("before", "unit", "after"), [*LONG_MARKS, ("- item\n", "  - a nested item\n", "- end")])
async def test_marks_go_on_in_the_next_message(office: Office, before: str, unit: str, after: str) -> None:
    text = (before + unit * (10_000 // len(unit)) + after).strip()

    parts = await read_parts(office, *(text[n : n + 50] for n in range(0, len(text), 50)))

    assert len(parts) > 1
    assert [one for part in parts for one in read_marks(part)] == read_marks(text)
