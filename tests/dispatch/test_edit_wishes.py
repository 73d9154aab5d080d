"""Words about a picture: a wish for a change becomes /edit, everything else stays talk."""

import pytest

from bot.dispatch.parsing import EditWish, find_edit_wish, is_undo
from bot.dispatch.plain_text import invocation_from_text
from tests.bench import Bench, make_attachment
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA, CHANNEL


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("make it winter", EditWish("make it winter")),
        ("Please add a red hat!", EditWish("Please add a red hat!")),
        ("Could you remove the car?", EditWish("Could you remove the car?")),
        ("the second one, but wide", EditWish("wide", 2, "16:9")),
        ("3rd: make it blue", EditWish("make it blue", 3)),
        ("now turn it into a square sticker", EditWish("now turn it into a square sticker", 1, "1:1")),
        ("zoom out", EditWish("zoom out")),
    ],
)
def test_a_wish_for_a_change_is_found(text: str, wish: EditWish) -> None:
    assert find_edit_wish(text) == wish


@pytest.mark.parametrize(
    "text",
    [
        "what is this?",
        "I like it",
        "make sense of that for me",
        "delete it",
        "is the second one better?",
        "second thoughts about it",
        "make it winter?",
        "change is hard",
        "add " * 600,
        "",
    ],
)
def test_everything_else_is_talk(text: str) -> None:
    assert find_edit_wish(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("undo", True),
        ("Undo that, please", True),
        ("please undo the last edit.", True),
        ("how do I undo a commit?", False),
        ("undo the cat", False),
        ("undo " * 40, False),
    ],
)
def test_undo_is_told_from_talk(text: str, expected: bool) -> None:
    assert is_undo(text) is expected


async def test_a_wish_in_reply_to_pictures_edits_the_picture_meant(bench: Bench) -> None:
    pictures = [make_attachment(make_png(colour=colour), f"{colour}.png") for colour in ("red", "blue")]
    services = bench.app.dispatcher.services

    call = await invocation_from_text(
        services, ANA, CHANNEL, "the second one, but square", "web:1", quoted_files=pictures
    )

    assert call.command == "edit"
    assert call.options == {"prompt": "square", "aspect": "1:1"}
    assert call.attachments == {"image": pictures[1]}


async def test_a_number_beyond_the_pictures_is_talk(bench: Bench) -> None:
    fox = make_attachment(make_png(), "fox.png")

    call = await invocation_from_text(
        bench.app.dispatcher.services, ANA, CHANNEL, "the third one, but wide", "web:1", quoted_files=[fox]
    )

    assert call.command == "chat"


async def test_a_wish_without_a_picture_is_talk(bench: Bench) -> None:
    call = await invocation_from_text(bench.app.dispatcher.services, ANA, CHANNEL, "make it winter", "web:1")

    assert call.command == "chat"
