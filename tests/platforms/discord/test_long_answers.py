"""Long answers on several messages: marks, tables and lists across a cut, and nothing that vanishes."""

import pytest

from tests.emulators.discord.messages import DiscordMessageState
from tests.platforms.discord.town import Town, is_done
from tests.platforms.markdown_fragments import LONG_MARKS, LONG_TABLE, TABLE_HEAD, TABLE_ROWS
from tests.streaming.markdown_reader import read_marks


async def read_parts(town: Town, *words: str) -> list[str]:
    """Ask, and return the texts of the answer's messages without the note."""
    town.backend.will(words=words)
    return [message.content.partition("\n-# ")[0] for message in await ask(town)]


async def ask(town: Town) -> list[DiscordMessageState]:
    """Ask, and return the messages of the complete answer."""
    await town.ana.use_command("chat", {"message": "Tell me."})
    await town.wait_until(lambda: town.general.messages and is_done(town.general.messages[-1]), 15)
    await town.wait_until_idle()
    return [*town.general.messages]


async def test_a_long_table_has_its_header_in_each_message(town: Town) -> None:
    assert len(LONG_TABLE) > 14_000

    parts = await read_parts(town, *LONG_TABLE.splitlines(keepends=True))

    assert len(parts) > 7
    assert all(part.startswith(f"{TABLE_HEAD}| ") for part in parts)
    assert [line for part in parts for line in part.split("\n") if line in TABLE_ROWS] == TABLE_ROWS


@pytest.mark.parametrize(("before", "unit", "after"), [*LONG_MARKS, ("- item\n  - ", "words of a nested item ", "")])
async def test_marks_go_on_in_the_next_message(town: Town, before: str, unit: str, after: str) -> None:
    text = (before + unit * (3000 // len(unit)) + after).strip()

    parts = await read_parts(town, text)

    assert len(parts) > 1
    assert [one for part in parts for one in read_marks(part)] == read_marks(text)


async def test_a_spoiler_never_shows(town: Town) -> None:
    secret = "XYZZY " * 500
    town.backend.will(words=("The murderer: ||", *(f"{word} " for word in secret.split()), "|| The end."))

    messages = await ask(town)

    assert len(messages) > 1
    for version in (version for message in messages for version in message.versions):
        shown = [one for one in read_marks(version.text, is_discord=True) if one.character in "XYZ"]
        assert all("spoiler" in one.marks for one in shown)


@pytest.mark.parametrize("text", ["  - one\n  - two\n- three", "\n    1. one\n    2. two\n1. three"])
async def test_a_nested_list_at_the_head_of_a_message_keeps_its_indentation(town: Town, text: str) -> None:
    (shown,) = await read_parts(town, text)

    assert shown.split("\n")[-3:] == text.strip("\n").split("\n")


def find_vanished(messages: list[DiscordMessageState]) -> list[str]:
    """Return the words that some message showed and no message shows directly afterwards."""
    versions = sorted(
        ((version.at, n, version.text) for n, message in enumerate(messages) for version in message.versions),
        key=lambda one: one[0],
    )
    shown: dict[int, set[str]] = {}
    vanished: list[str] = []
    for _, n, text in versions:
        before = set[str]().union(*shown.values())
        shown[n] = {word for word in text.split() if word.startswith("word")}
        vanished += sorted(before - set[str]().union(*shown.values()))
    return vanished


@pytest.mark.parametrize("rest", [40, 400])
@pytest.mark.parametrize("way", ["chat", "mention"])
async def test_what_is_shown_never_vanishes(town: Town, way: str, rest: int) -> None:
    """The cut goes between the paragraphs, far above the last word that was shown."""
    words = [f"word{n:04}{'. ' if n % 130 else '.' + chr(10) * 2}" for n in range(1, 170 + rest)]
    town.backend.will(words=tuple(words), hangs_after=169)
    if way == "chat":
        interaction = await town.ana.use_command("chat", {"message": "Tell me."})
        first = await interaction.wait_for_message()
    else:
        said = await town.ana.say(f"{town.emulator.bot.mention} Tell me.")
        thread = await town.wait_until(lambda: said.thread)
        first = await town.wait_until(lambda: thread.messages and thread.messages[0])
    await first.wait_until(lambda one: "word0169" in one.content)
    town.backend.last_run.released.set()
    place = town.general if way == "chat" else thread
    messages = await town.wait_until(lambda: is_done(place.messages[-1]) and len(place.messages) > 1 and place.messages)
    await first.wait_until(lambda one: "word0169" not in one.content)

    assert find_vanished([*messages]) == []
    shown = [word for message in messages for word in message.content.split() if word.startswith("word")]
    assert shown == [word.strip() for word in words]
