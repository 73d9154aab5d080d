"""Typed commands and their options."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands import MENU
from bot.commands.imagine import Imagine
from bot.core.errors import BadOption, UnknownName
from bot.dispatch.parsing import parse_command


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ("/imagine a red fox", {"prompt": "a red fox"}),
        ("/imagine a red fox --count 2 --seed=7", {"prompt": "a red fox", "count": "2", "seed": "7"}),
        ("/imagine --count 2 a red fox", {"prompt": "a red fox", "count": "2"}),
        ("/imagine a fox --count 2 in the snow", {"prompt": "a fox in the snow", "count": "2"}),
        ("/imagine a well-known fox - at night", {"prompt": "a well-known fox - at night"}),
        ("/imagine a fox — at night", {"prompt": "a fox — at night"}),
        ("/imagine a castle —ruined— at night", {"prompt": "a castle —ruined— at night"}),
        ("/imagine a fox —count 2", {"prompt": "a fox", "count": "2"}),
        ("/imagine a fox ——seed 4", {"prompt": "a fox", "seed": "4"}),
        ("/imagine a fox –seed 4", {"prompt": "a fox", "seed": "4"}),
        ("/imagine a fox −−seed 4", {"prompt": "a fox", "seed": "4"}),
        ("/imagine a fox −seed=4", {"prompt": "a fox", "seed": "4"}),
        ("/imagine a fox —-seed 4", {"prompt": "a fox", "seed": "4"}),
        ("/imagine a fox ‑‑seed 4", {"prompt": "a fox", "seed": "4"}),
        ("/imagine a fox －－seed 4", {"prompt": "a fox", "seed": "4"}),
        ("/imagine a fox ――count 2 ——seed=4", {"prompt": "a fox", "count": "2", "seed": "4"}),
        ("/upscale a.png ——face-enhance", {"image": "a.png", "face_enhance": True}),
        ("/imagine a castle ——ruined—— at night", {"prompt": "a castle ——ruined—— at night"}),
        ("/imagine a castle ——ruined at night", {"prompt": "a castle ——ruined at night"}),
        ("/imagine a -seed of doubt", {"prompt": "a -seed of doubt"}),
        ('/imagine "a fox --count 9"', {"prompt": "a fox --count 9"}),
        ("/imagine “a fox” --negative “blue sky”", {"prompt": "a fox", "negative": "blue sky"}),
        ('/imagine a fox --negative="blue sky"', {"prompt": "a fox", "negative": "blue sky"}),
        ('/imagine a sign that says "open" today', {"prompt": 'a sign that says "open" today'}),
        ("/imagine the fox's tail", {"prompt": "the fox's tail"}),
        ('/imagine 5" screen', {"prompt": '5" screen'}),
        ("/imagine -- --count is a word here", {"prompt": "--count is a word here"}),
        ("/imagine a fox\nin two lines", {"prompt": "a fox\nin two lines"}),
        ("/imagine\na fox", {"prompt": "a fox"}),
        ("/IMAGINE a fox", {"prompt": "a fox"}),
        ("imagine a fox", {"prompt": "a fox"}),
        ("/imagine", {}),
        (
            "/upscale https://example.org/a.png --face-enhance",
            {"image": "https://example.org/a.png", "face_enhance": True},
        ),
        ("/upscale --face_enhance no a.png", {"image": "a.png", "face_enhance": "no"}),
        ("/quota grant ana 50", {"user": "ana", "credits": "50"}),
        ('/quota grant "Ana Lima" 50', {"user": "Ana Lima", "credits": "50"}),
    ],
)
def test_a_typed_command_is_split_into_options(typed: str, options: dict[str, object]) -> None:
    assert dict(parse_command(typed, MENU).options) == options


def test_an_unknown_command_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no command called “imagin”. Did you mean imagine?"):
        parse_command("/imagin a fox", MENU)


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no option of /imagine called “cuont”. Did you mean count?"):
        parse_command("/imagine a fox --cuont 2", MENU)


def test_an_unfamiliar_option_lists_all_options() -> None:
    with pytest.raises(UnknownName, match="/upscale takes image, scale, face_enhance, model."):
        parse_command("/upscale a.png --zzzzzz 2", MENU)


def test_an_option_without_a_value_is_refused() -> None:
    with pytest.raises(BadOption, match="--count needs a value: How many pictures?"):
        parse_command("/imagine a fox --count", MENU)


def test_an_option_before_another_option_has_no_value() -> None:
    with pytest.raises(BadOption, match="--count needs a value"):
        parse_command("/imagine a fox --count --seed 7", MENU)


def test_surplus_words_are_refused() -> None:
    with pytest.raises(BadOption, match="I do not know what to do with “today” in /quota grant."):
        parse_command("/quota grant ana 50 today", MENU)


PLAIN = st.text(
    alphabet=st.characters(blacklist_categories=("Cs", "Cc", "Z"), blacklist_characters='-—–"“”„«»'), min_size=1
)


@given(st.lists(PLAIN, min_size=1, max_size=8))
def test_words_without_options_stay_as_typed(words: list[str]) -> None:
    typed = " ".join(words)

    assert parse_command(f"/imagine {typed}", MENU).options == {"prompt": typed}


@given(st.text())
def test_nonsense_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(BadOption, UnknownName):
        assert set(parse_command(f"/imagine {text}", MENU).options) <= {
            option.name for option in Imagine.declaration.options
        }


@pytest.mark.timeout(30)  # looking for each quote's end anew takes minutes
def test_many_open_quotes_are_read_once() -> None:
    sixty_kilobytes = '"a ' * 20_000  # the page takes as much

    call = parse_command(f"/chat {sixty_kilobytes}", MENU)

    assert call.options == {"message": sixty_kilobytes.strip()}


def test_a_value_given_twice_is_refused() -> None:
    with pytest.raises(BadOption, match="You gave prompt twice"):
        parse_command("/imagine a fox --prompt 'cat'", MENU)
