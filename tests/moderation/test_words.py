"""Refused words, however they are written."""

import pytest

from bot.moderation.words import first_refused


@pytest.mark.parametrize(
    "text", ["a badger", "A BADGER!", "a b\u00e1dger", "ａ ｂａｄｇｅｒ", "a bad\u200bger", "badger-like"]
)
def test_a_word_is_found_however_it_is_written(text: str) -> None:
    assert first_refused(text, ["badger"]) == "badger"


@pytest.mark.parametrize("text", ["badgers", "abadger", "bad ger", ""])
def test_other_words_are_let_through(text: str) -> None:
    assert first_refused(text, ["badger"]) is None


def test_a_glob_stands_for_any_letters() -> None:
    assert first_refused("two badgers", ["weasel", "badg*"]) == "badg*"
    assert first_refused("two b*dgers [x]", ["(x"]) is None


def test_a_glob_of_many_stars_on_a_long_word_is_quick() -> None:
    assert first_refused("a" * 100_000, ["*a*a*a*a*a*b"]) is None
    assert first_refused("a" * 100_000 + "b", ["*a*a*a*a*a*b"]) == "*a*a*a*a*a*b"


def test_a_glob_of_two_words_wants_both_side_by_side() -> None:
    assert first_refused("two big badgers", ["big badg*"]) == "big badg*"
    assert first_refused("big two badgers", ["big badg*"]) is None
