"""The answer in a model's text: no thoughts, no half characters, and no change of what is shown already."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.streaming.answers import extract_answer, is_blank


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>Hm.</think>\n\nRed.", "Red."),
        ("A fox <think>Hm.</think> is red.", "A fox is red."),
        ("One.\n\n<think>Hm.</think>\n\nTwo.", "One.\n\nTwo."),
        ("<think>a<think>b</think>c</think>Red.", "Red."),
        ("<think>They mention <think> tags.</think>Red.", "Red."),
        ("Red.<think>And then", "Red."),
        ("<think>And then", ""),
        ("<THINKING>Hm.</THINKING>Red.", "Red."),
        ("<thought>Hm.</thought>Red.", "Red."),
        ("◁think▷Hm.◁/think▷Red.", "Red."),
        ("[THINK]Hm.[/THINK]Red.", "Red."),
        # The template of the prompt ended with the opening tag.
        ("Hm.\n</think>\n\nRed.", "Red."),
        ("<think>Hm.</think>Red.</think> Really.", "Red. Really."),
        # An answer about thoughts.
        ("Write `<think>` first.", "Write `<think>` first."),
        ("```xml\n<think>a</think>\n```\nSo.", "```xml\n<think>a</think>\n```\nSo."),
        ("<think>\n```\n</think>Red.", "Red."),
        ("1 < 2 and [thin", "1 < 2 and [thin"),
        ("\ud83d\ude00!", "😀!"),
        ("\ud83d!", "\ufffd!"),
    ],
)
def test_thoughts_are_no_part_of_the_answer(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


PIECES = st.lists(
    st.sampled_from(
        ["<think>", "<", "</think>", "</thi", "nk>", "`", "```\n", "~~~\n", "a", " ", "\n", "\ud83d", "\ude00"]
    )
)


@given(PIECES)
def test_a_growing_answer_is_only_extended(pieces: list[str]) -> None:
    text = "".join(pieces)
    shown = [extract_answer(text[:end], is_whole=False) for end in range(len(text) + 1)]

    assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
    if "think>" not in text:
        assert extract_answer(text).startswith(shown[-1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\u200b\u200d\ufeff",
        "\u2800 \u3164\ufe0f",
        "```\n```",
        "~~~\n~~~\n",
        "` `",
        "```",
    ],
)
def test_a_text_without_ink_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["0", ".", "😀", "---", "`x`", "```\nx\n```", "```python\nprint()", "\u0bcd"])
def test_a_text_with_ink_is_not_blank(text: str) -> None:
    assert not is_blank(text)
