"""Grapheme boundaries: clusters of UAX #29 that people write, and a comparison with `regex`'s implementation."""

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from bot.streaming.boundaries import is_boundary

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
    "conjunct across a mark": "\u0917\u094d\u0302\u0926",
    "sharada sign before a letter": "\U000111c2\u0915",
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


# Signs that the rules of UAX #29 treat specially, and any other sign that Python's tables know.
SPECIAL_SIGNS = [
    *"\r\n\u200c\u200d\ufe0f\u20e3 a1",
    *(chr(code) for code in (*range(0x1F1E6, 0x1F200), *range(0x1F3FB, 0x1F410), *range(0x1100, 0x1200))),
    *(chr(code) for code in range(0xAC00, 0xAC40)),
    *(sign for sign in map(chr, range(0x0900, 0x0E00)) if unicodedata.category(sign) != "Cn"),
    *(sign for sign in map(chr, range(0x110000)) if unicodedata.category(sign) in ("Mn", "Mc", "Me", "Cf", "Lm")),
]
ANY_SIGN = st.characters(exclude_categories=("Cs", "Co", "Cn"))
unusual_texts = st.lists(st.one_of(st.sampled_from(SPECIAL_SIGNS), ANY_SIGN), min_size=2, max_size=8).map("".join)
ordinary_texts = st.lists(st.one_of(st.sampled_from([*CLUSTERS.values()]), st.text("aé ñ漢字.!\n", max_size=3))).map(
    "".join
)


@given(unusual_texts)
def test_no_boundary_is_inside_a_cluster(text: str) -> None:
    boundaries = find_boundaries(text)

    assert {position for position in range(len(text) + 1) if is_boundary(text, position)} <= boundaries


@given(ordinary_texts)
def test_every_boundary_between_ordinary_clusters_is_found(text: str) -> None:
    boundaries = find_boundaries(text)

    assert {position for position in range(len(text) + 1) if is_boundary(text, position)} == boundaries


def find_boundaries(text: str) -> set[int]:
    """Return the boundaries of extended grapheme clusters as the library `regex` finds them."""
    return {0, *(cluster.end() for cluster in regex.finditer(r"\X", text))}
