"""Several prompts in the words of one request: lines, choices in braces, escapes, and words that only look so."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.dispatch.parsing import count_prompts, expand_prompts, split_lines


@pytest.mark.parametrize(
    ("words", "prompts"),
    [
        ("a fox", ["a fox"]),
        ("{red|blue} fox", ["red fox", "blue fox"]),
        (
            "{red|blue|green} fox, {dawn|dusk}",
            [f"{color} fox, {time}" for color in ("red", "blue", "green") for time in ("dawn", "dusk")],
        ),
        ("a fox\n\n  a hare \n", ["a fox", "a hare"]),
        ("- a fox\n- a hare", ["a fox", "a hare"]),
        ("1. a fox\n2) a hare", ["a fox", "a hare"]),
        ("- a fox\na hare", ["- a fox", "a hare"]),
        ("a {red|blue} fox\nan owl", ["a red fox", "a blue fox", "an owl"]),
        ("{ red | blue }  fox", ["red fox", "blue fox"]),
        (r"{a\|b|c} \{x\} \| y", ["a|b {x} | y", "c {x} | y"]),
        (r"\{red|blue\} fox", ["{red|blue} fox"]),
        (r"a \| b", [r"a \| b"]),
        ("a { fox", ["a { fox"]),
        ("a } fox {red|blue}", ["a } fox red", "a } fox blue"]),
        ("{fox}", ["{fox}"]),
        ("{|fox}", ["{|fox}"]),
        ("{a||b}", ["{a||b}"]),
        ("{a|{b|c}}", ["{a|{b|c}}"]),
        ('{"style": "ink|oil"}', ['{"style": "ink|oil"}']),
        ('{"a": {b|c}}', ['{"a": {b|c}}']),
    ],
)
def test_words_become_prompts(words: str, prompts: list[str]) -> None:
    lines = split_lines(words)

    assert expand_prompts(lines) == prompts
    assert count_prompts(lines) == len(prompts)


def test_prompts_are_counted_without_being_made() -> None:
    assert count_prompts(["{a|b|c|d|e|f|g|h|i|j}" * 12]) == 10**12


_WORDS = st.text(alphabet='ab|, :"')
_VALUES = st.recursive(_WORDS | st.integers(), lambda inner: st.dictionaries(_WORDS, inner, min_size=1), max_leaves=5)


@settings(max_examples=50)
@given(st.dictionaries(_WORDS, _VALUES, min_size=1).map(json.dumps))
def test_json_stays_one_prompt(words: str) -> None:
    assert count_prompts(split_lines(words)) == 1


@settings(max_examples=50)
@given(st.text(alphabet="{}|\\ab \n"))
def test_as_many_prompts_are_made_as_counted(words: str) -> None:
    lines = split_lines(words)

    if count_prompts(lines) < 1000:
        assert len(expand_prompts(lines)) == count_prompts(lines)
