"""Text on its way to Slack and from it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.slack.mrkdwn import (
    cut_bytes,
    defused,
    escaped,
    mentioned,
    settled,
    typed,
    with_names,
    without_mention,
)

PINGS = re.compile(r"<(?:!(?:here|channel|everyone|subteam\^)|@[UWB][A-Z0-9]|#[CGD][A-Z0-9])", re.IGNORECASE)
texts = st.text(alphabet="<!@#UC1 herchanlvyosubtm^>|abé漢\n`", max_size=80)


@given(texts)
def test_nothing_that_is_shown_calls_anybody(text: str) -> None:
    assert not PINGS.search(defused(text))


@given(texts, st.integers(0, 80))
def test_what_was_shown_stays_when_the_text_grows(text: str, at: int) -> None:
    shown, more = settled(defused(text[:at])), settled(defused(text))

    assert more.startswith(shown) or shown.startswith(more)
    assert defused(text).startswith(shown)


@given(texts)
def test_what_follows_never_begins_with_a_space(text: str) -> None:
    whole = defused(text)
    rest = whole[len(settled(whole)) :]

    assert rest == "" or not rest[0].isspace() or not whole.strip()


@pytest.mark.parametrize("ping", ["<!channel>", "<!here|here>", "<@U12345>", "<!subteam^S1|team>", "<#C123|general>"])
def test_a_mention_in_two_halves_is_shown_in_neither(ping: str) -> None:
    for n in range(1, len(ping)):
        assert not PINGS.search(settled(defused(f"hello {ping[:n]}")))
        assert not PINGS.search(defused(f"hello {ping}"))


def test_code_and_comparisons_stay_as_they_are() -> None:
    code = "if a < b: print('<!DOCTYPE html>', x<y)"

    assert defused(code) == code


def test_three_signs_are_escaped() -> None:
    assert escaped("a & b <c> *d*") == "a &amp; b &lt;c&gt; *d*"


def test_what_was_typed_arrives_as_it_was_typed() -> None:
    assert typed("see <https://a.example/x?y=1&amp;z=2|this> &amp; &lt;b&gt; <!here>") == (
        "see https://a.example/x?y=1&z=2 & <b> @here"
    )


def test_people_and_channels_get_their_names() -> None:
    text = "<@U1> and <@U2|ben> in <#C1|general>, <!subteam^S1|@crew>"

    assert mentioned(text) == ["U1", "U2"]
    assert with_names(text, {"U1": "Ana"}) == "@Ana and @ben in #general, @crew"


def test_being_called_is_no_part_of_the_words() -> None:
    assert without_mention("<@UBOT>, draw <@U1>", "UBOT") == "draw <@U1>"


@given(st.text(), st.integers(10, 40))
def test_cutting_by_bytes_keeps_within_them(text: str, most: int) -> None:
    assert len(cut_bytes(text, most).encode("utf-8", "replace")) <= most
