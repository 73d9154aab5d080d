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
