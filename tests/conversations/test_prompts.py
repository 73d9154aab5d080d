"""Turns become prompts: trimmed, chained, and with control tokens neutralised."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalogue.loading import parse_model
from bot.conversations.conversations import chain_turns, count_tokens, render_prompt, render_turns, trim_turns
from bot.core.invocations import Turn, TurnRole
from bot.core.models import Model
from bot.core.text import neutralise_control_tokens
from tests.catalogue.samples import PRICE

NOW = datetime(2026, 11, 20, tzinfo=UTC)
TOKENS = ("<|eot_id|>", "<|start_header_id|>", "<|im_start|>", "[INST]", "[/INST]", "<<SYS>>", "</s>", "<s>")


def turn(n: int, text: str, role: TurnRole = TurnRole.USER, parent: int | None = None) -> Turn:
    return Turn(f"t{n}", "c", role, text, NOW, "" if parent is None else f"t{parent}")


def test_the_llama_template_equals_metas() -> None:
    turns = [turn(1, "Hi"), turn(2, "Hello!", TurnRole.ASSISTANT), turn(3, " How are you? ")]

    assert render_prompt("llama3", "Be brief.", turns) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHow are you?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_models_without_a_template_get_plain_text() -> None:
    assert render_prompt("", "", [turn(1, "Hi")]) == "Hi"
    assert render_prompt("", "Be brief.", [turn(1, "Hi")]) == "Be brief.\n\nUser: Hi\n\nAssistant:"


@given(st.lists(st.sampled_from(TOKENS) | st.text(max_size=8)).map("".join))
def test_no_control_token_survives_in_users_text(text: str) -> None:
    clean = neutralise_control_tokens(text)

    assert not any(token.lower() in clean.lower() for token in TOKENS)
    assert clean.replace("\u200b", "") == text.replace("\u200b", "")


@given(st.lists(st.text(max_size=30), min_size=1, max_size=20), st.integers(-5, 100))
def test_the_newest_turns_that_fit_are_kept(texts: list[str], budget: int) -> None:
    turns = [turn(n, text, TurnRole.ASSISTANT if n % 2 else TurnRole.USER) for n, text in enumerate(texts)]

    kept = trim_turns(turns, budget)

    assert [t.id for t in kept] == [t.id for t in turns[-len(kept) :]]
    assert all(turns[int(t.id[1:])].text == t.text for t in kept)
    assert len(kept) == 1 or kept[0].role is TurnRole.USER
    assert len(kept) == 1 or sum(count_tokens(t.text) for t in kept) <= budget


def test_a_regenerated_answer_hides_the_earlier_answer() -> None:
    turns = [
        turn(1, "Hi"),
        turn(2, "first answer", TurnRole.ASSISTANT, parent=1),
        turn(3, "second answer", TurnRole.ASSISTANT, parent=1),
        turn(4, "and then?", parent=3),
    ]

    assert [t.text for t in chain_turns(turns)] == ["Hi", "second answer", "and then?"]
    assert [t.text for t in chain_turns(turns, "t1")] == ["Hi"]
    assert chain_turns([]) == []


def test_questions_of_two_users_at_once_are_both_kept() -> None:
    turns = [
        turn(1, "Ana asks"),
        turn(2, "Ben asks"),
        turn(3, "to Ben", TurnRole.ASSISTANT, parent=2),
        turn(4, "to Ana", TurnRole.ASSISTANT, parent=1),
        turn(5, "and now?"),
    ]

    assert [t.text for t in chain_turns(turns)] == ["Ana asks", "to Ana", "Ben asks", "to Ben", "and now?"]


def test_an_answer_without_its_question_stays() -> None:
    turns = [turn(2, "an old answer", TurnRole.ASSISTANT, parent=1), turn(3, "and then?")]

    assert [t.text for t in chain_turns(turns)] == ["an old answer", "and then?"]


def test_a_question_longer_than_the_budget_stays_whole() -> None:
    long_question = turn(1, "x" * 100_000 + " Is that right?")

    assert trim_turns([turn(0, "before"), long_question], 1_000) == [long_question]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("x" * 300, 100), ("д" * 100, 50), ("狐" * 100, 100), ("🦊" * 100, 300), ("aд狐🦊", 5)],
)
def test_tokens_are_counted_by_script(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


def make_chat_model(**inputs: str) -> Model:
    table = {"title": "T", "task": "chat", "ref": "a/b", "output": "text_stream", "usual_seconds": 1, "max_seconds": 9}
    return parse_model("t", {**table, "price": PRICE, "inputs": inputs})


TALK = [turn(1, "Hi"), turn(2, "Hello!", TurnRole.ASSISTANT, parent=1), turn(3, "How are you?")]


def test_a_model_with_messages_gets_turns_with_roles() -> None:
    model = make_chat_model(messages="messages")

    assert render_turns(model, "Be brief.", TALK) == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": "How are you?"},
        ]
    }


def test_system_words_go_into_a_field_of_their_own() -> None:
    model = make_chat_model(prompt="prompt", system="system_instruction")

    assert render_turns(model, "Be brief.", TALK[:1]) == {"system": "Be brief.", "prompt": "Hi"}
    assert render_turns(model, "Be brief.", TALK) == {
        "system": "Be brief.",
        "prompt": "User: Hi\n\nAssistant: Hello!\n\nUser: How are you?\n\nAssistant:",
    }
    assert "system" not in render_turns(model, "", TALK)
