"""Conversion of text for Slack and from Slack."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.slack.mrkdwn import (
    cut_unstable_end,
    escape,
    find_labels,
    find_mentions,
    neutralize_mentions,
    remove_mention,
    replace_mentions,
    truncate_bytes,
    unescape,
)

PINGS = re.compile(r"<(?:!(?:here|channel|everyone|subteam\^)|@[UWB][A-Z0-9]|#[CGD][A-Z0-9])", re.IGNORECASE)
texts = st.text(alphabet="<!@#UC1 herchanlvyosubtm^>|abé漢\n`", max_size=80)


@given(texts)
def test_shown_text_notifies_no_user(text: str) -> None:
    assert not PINGS.search(neutralize_mentions(text))


@given(texts, st.integers(0, 80))
def test_a_growing_text_only_appends(text: str, at: int) -> None:
    shown, more = cut_unstable_end(neutralize_mentions(text[:at])), cut_unstable_end(neutralize_mentions(text))

    assert more.startswith(shown) or shown.startswith(more)
    assert neutralize_mentions(text).startswith(shown)


@given(texts)
def test_appended_text_never_begins_with_a_space(text: str) -> None:
    whole = neutralize_mentions(text)
    rest = whole[len(cut_unstable_end(whole)) :]

    assert rest == "" or not rest[0].isspace() or not whole.strip()


@pytest.mark.parametrize("ping", ["<!channel>", "<!here|here>", "<@U12345>", "<!subteam^S1|team>", "<#C123|general>"])
def test_a_mention_split_between_appends_is_broken(ping: str) -> None:
    for n in range(1, len(ping)):
        assert not PINGS.search(cut_unstable_end(neutralize_mentions(f"hello {ping[:n]}")))
        assert not PINGS.search(neutralize_mentions(f"hello {ping}"))


def test_code_and_comparisons_stay_as_they_are() -> None:
    code = "if a < b: print('<!DOCTYPE html>', x<y)"

    assert neutralize_mentions(code) == code


def test_three_characters_are_escaped() -> None:
    assert escape("a & b <c> *d*") == "a &amp; b &lt;c&gt; *d*"


def test_typed_text_arrives_as_typed() -> None:
    assert unescape("see <https://a.example/x?y=1&amp;z=2> &amp; &lt;b&gt; <!here>") == (
        "see https://a.example/x?y=1&z=2 & <b> @here"
    )


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        (
            "mail <mailto:a@b.com|a@b.com>, call <tel:5551234567|555-123-4567>, see <http://example.com|example.com>",
            "mail a@b.com, call 555-123-4567, see example.com",
        ),
        ("<tel:+15551234567|+1 (555) 123-4567>", "+1 (555) 123-4567"),
        ("<http://Example.com/a%20b|Example.com/a b>", "Example.com/a b"),
        ("<https://example.com/|https://example.com>", "https://example.com"),
        ("<http://localhost:8080/x|localhost:8080/x>", "localhost:8080/x"),
        ("<http://xn--mnchen-3ya.de|münchen.de>", "münchen.de"),
        ("<https://x.de/?a=1&amp;copy=2>", "https://x.de/?a=1&copy=2"),
        ("<https://x.de/?a=1&amp;b=2|x.de/?a=1&amp;b=2>", "x.de/?a=1&b=2"),
        (
            "&amp;lt; is an entity, AT&amp;T is none, &lt;https://x.de|x&gt; no link",
            "&lt; is an entity, AT&T is none, <https://x.de|x> no link",
        ),
        ("Read <https://example.com/doc|the document> now.", "Read the document (https://example.com/doc) now."),
        ("<!date^1392734382^{date_num}|18 February 2014>", "18 February 2014"),
        ("<!date^1392734382^Posted {date_num}^https://example.com>", "2014-02-18 14:39 UTC"),
    ],
)
def test_slacks_links_and_entities_become_what_was_typed(sent: str, typed: str) -> None:
    assert unescape(sent) == typed


def test_mentions_are_replaced_by_names() -> None:
    text = "<@U1> and <@U2|ben> in <#C1|general>, <!subteam^S1|@crew>"

    assert find_mentions(text) == ["U1", "U2"]
    assert find_labels(text) == {"U1": "", "U2": "ben", "C1": "general", "S1": "crew"}
    assert replace_mentions(text, {"U1": "Ana"}) == "@Ana and @ben in #general, @crew"
    assert replace_mentions("<@U9> and <#C9>", {"C9": "art"}) == "<@U9> and #art"


def test_the_bots_mention_is_removed_from_the_text() -> None:
    assert remove_mention("<@UBOT>, draw <@U1>", "UBOT") == "draw <@U1>"


@given(st.text(), st.integers(10, 40))
def test_cutting_by_bytes_keeps_within_them(text: str, most: int) -> None:
    assert len(truncate_bytes(text, most).encode("utf-8", "replace")) <= most
