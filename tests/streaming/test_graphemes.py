"""Where a text may be cut: clusters of UAX #29 as people meet them."""

import pytest

from bot.streaming.graphemes import is_boundary

CLUSTERS = {
    "accent": "e\u0301",
    "family": "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "skin tone": "\U0001f44d\U0001f3fd",
    "astronaut": "\U0001f469\U0001f3fd\u200d\U0001f680",
    "red heart": "\u2764\ufe0f",
    "keycap": "1\ufe0f\u20e3",
    "flag": "\U0001f1e9\U0001f1ea",
    "flag of England": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "line end": "\r\n",
    "hangul in letters": "\u1112\u1161\u11ab",
    "hangul and a tail": "\uac00\u11a8",
    "devanagari conjunct": "\u0915\u094d\u0937\u093f",
    "thai am": "\u0e01\u0e33",
    "tamil vowel sign": "\u0b95\u0bbe",
    "arabic number sign": "\u06001",
    "piled accents": "a" + "\u0301" * 20,
}


@pytest.mark.parametrize("cluster", CLUSTERS.values(), ids=CLUSTERS.keys())
def test_a_cluster_is_whole(cluster: str) -> None:
    text = f"x{cluster}y"

    assert [n for n in range(len(text) + 1) if is_boundary(text, n)] == [0, 1, len(text) - 1, len(text)]


def test_flags_in_a_row_are_cut_between_pairs() -> None:
    flags = "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7\U0001f1ee\U0001f1f9"

    assert [n for n in range(7) if is_boundary(flags, n)] == [0, 2, 4, 6]


def test_plain_text_may_be_cut_anywhere() -> None:
    assert all(is_boundary("漢字 and words", n) for n in range(12))
