"""Calls of tools in answers: found at the end, hidden while the answer grows, refused when they are wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversations.tools import (
    MAX_RESULT_CHARACTERS,
    TOOLS,
    ToolCall,
    cut_result,
    describe_tools,
    hide_call,
    split_call,
)

NAMES = ("imagine", "edit")
CALL = '{"tool": "imagine", "prompt": "a fox", "count": 2}'


@pytest.mark.parametrize(
    "answer",
    [
        f"Here it comes.\n{CALL}",
        f"Here it comes. {CALL}",
        f"Here it comes.\n```json\n{CALL}\n```\n",
        'Here it comes.\n{\n  "tool": "imagine",\n  "prompt": "a fox",\n  "count": 2\n}\n',
        'Here it comes. {"prompt": "a fox", "tool": "imagine", "count": 2}',
    ],
)
def test_a_call_ends_an_answer(answer: str) -> None:
    words, call = split_call(answer, NAMES)

    assert words == "Here it comes."
    assert call == ToolCall("imagine", {"prompt": "a fox", "count": 2})


def test_a_call_inside_prose_is_removed_and_does_not_run() -> None:
    assert split_call(f"Like this: {CALL} and no more.", NAMES) == ("Like this:  and no more.", None)


def test_of_two_calls_the_last_runs() -> None:
    words, call = split_call('{"tool": "edit", "prompt": "red"}\n' + CALL, NAMES)

    assert words == ""
    assert call is not None
    assert call.tool == "imagine"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ('{"tool": "shell", "command": "ls"}', "no such tool"),
        ('{"tool": "imagine", "prompt": "a "fox""}', "not one JSON object"),
        ('{"tool": "imagine", "model": "flux-2-max"}', "alone"),
        ('{"tool": "imagine", "prompt": ["a"]}', "one text or number"),
        ('{"tool": "imagine", "a":' + '{"a":' * 5_000, "not one JSON object"),
        ('{"tool": 7}', "no such tool"),
        ("{'tool': 'imagine', 'prompt': 'a fox'}", "not one JSON object"),
        ('{"prompt": "a fox", "tool": "imag', "not one JSON object"),
        ('{"tool": "imagine", "prompt": "' + 9_000 * "a" + '"}', "not one JSON object"),
    ],
)
def test_a_wrong_call_has_an_error_for_the_model(call: str, error: str) -> None:
    words, found = split_call(f"Well.\n{call}", NAMES)

    assert words == "Well."
    assert found is not None
    assert error in found.error
    assert found.describe() == ""
    # The history of the conversation leads to the same error, after a restart too.
    assert split_call(found.format(), NAMES)[1] == found


def test_code_about_tools_is_no_call() -> None:
    answer = 'A hammer:\n```json\n{"tool": "hammer", "price": 3}\n```\nIs that all?'

    assert split_call(answer, NAMES) == (answer, None)


@pytest.mark.parametrize("answer", [f"{CALL}.", f"[{CALL},{CALL}]", f"```json\n{CALL}\n```\n."])
def test_an_answer_of_calls_that_do_not_run_is_told_to_the_model(answer: str) -> None:
    words, call = split_call(answer, NAMES)

    assert words == ""
    assert call is not None
    assert call.error == "Write one call, at the end of the answer."


def test_a_call_in_code_before_words_leaves_no_fence() -> None:
    assert split_call(f"Look:\n```json\n{CALL}\n```\nDone.", NAMES) == ("Look:\nDone.", None)


def test_half_a_character_in_a_call_is_mended() -> None:
    _, call = split_call('{"tool": "imagine", "prompt": "\\ud83e\\udd8a \\ud83e"}', NAMES)

    assert call == ToolCall("imagine", {"prompt": "🦊 \ufffd"})


def test_a_long_result_is_cut_for_the_model_alone() -> None:
    assert cut_result("short") == "short"
    assert cut_result("a" * 10_000) == "a" * MAX_RESULT_CHARACTERS + "… (2,000 more characters)"


@given(st.text(max_size=60).filter(lambda words: "{" not in words and "`" not in words))
def test_no_part_of_a_call_shows_while_an_answer_grows(words: str) -> None:
    for call in (f"```json\n{CALL}\n```", '{"prompt": "a fox", "tool": "imagine"}'):
        answer = f"{words}\n{call}"
        for end in range(len(words), len(answer) + 1):
            assert hide_call(answer[:end]).rstrip() == words.rstrip()


def test_words_and_other_json_show_while_an_answer_grows() -> None:
    for answer in ("a {b", 'x\n{"name": "a', "```python\nprint(1)", "`code`", "{"):
        shown = hide_call(answer)
        assert answer.startswith(shown)
    assert hide_call('x\n{"name": "a') == 'x\n{"name": "a'
    assert hide_call("```python\nprint(1)") == "```python\nprint(1)"
    assert hide_call('x\n{"prompt": "a fox"} y') == 'x\n{"prompt": "a fox"} y'
    assert split_call('x\n{"prompt": "a fox"} y {"text": ', NAMES) == ('x\n{"prompt": "a fox"} y {"text":', None)


def test_offered_tools_are_described_with_json_that_can_be_called() -> None:
    text = describe_tools(NAMES)

    examples = [json.loads(line[2 : line.index("}") + 1]) for line in text.splitlines() if line.startswith("- ")]
    assert [example["tool"] for example in examples] == list(NAMES)
    assert set(examples[0]) - {"tool"} == set(TOOLS["imagine"].options)
    assert describe_tools(()) == ""
