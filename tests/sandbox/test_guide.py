"""The guide quotes the right passage of the docs and says that no language model is at work."""

from pathlib import Path
from typing import Any

import pytest

from bot.sandbox import guide as guide_module
from bot.sandbox.guide import Guide, extract_passage, read_sections
from tests.sandbox.conftest import SandboxClient
from tests.sandbox.test_predictions import LLAMA

CODE = "```ini\nMONTHLY_BUDGET_USD=25\n\nDAILY_CREDITS=200\n```"


@pytest.fixture(params=["full-text index", "plain search"])
def guide(request: pytest.FixtureRequest, docs: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "plain search":
        monkeypatch.setattr(guide_module, "_build_index", lambda sections: None)
    guide = Guide(docs)
    yield guide
    guide.close()


def test_a_question_is_answered_with_the_passage_and_its_source(guide: Guide) -> None:
    said = guide.answer("How do I set the monthly budget?")

    assert said.startswith("The sandbox's guide (not a language model) found this in **running.md**, “Budgets”:")
    assert "is the ceiling for the whole bot" in said
    assert CODE in said


def test_the_best_section_wins(guide: Guide) -> None:
    assert "**slack.md**" in guide.answer("how do I connect Slack?")
    assert "“Backups”" in guide.answer("backup of the data folder")


@pytest.mark.parametrize(
    "question", ["", "   ", "hello", "Good morning!", "what is your purpose with me?", '"; DROP *']
)
def test_small_talk_gets_example_questions(guide: Guide, question: str) -> None:
    said = guide.answer(question)

    assert "not a language model" in said
    assert "Ask me about" in said


def test_an_off_topic_question_finds_no_passage(guide: Guide) -> None:
    assert "nothing that I could find" in guide.answer("Write a haiku about llamas in Peru")


def test_a_guide_without_docs_still_answers() -> None:
    guide = Guide((Path("nowhere.md"),))

    assert "not a language model" in guide.answer("budget")
    guide.close()


def test_code_blocks_stay_whole_and_hold_no_headings(tmp_path: Path) -> None:
    document = tmp_path / "x.md"
    document.write_text("# One\n\n```sh\n# not a heading\n\nls\n```\n\ntext\n## Two\nmore")

    sections = read_sections(document)

    assert [(section.heading, section.text.count("```")) for section in sections] == [("One", 2), ("Two", 0)]
    assert extract_passage(sections[0].text, limit=1) == "```sh\n# not a heading\n\nls\n```"


def test_wrapped_lines_are_joined_and_lists_tables_and_code_stay() -> None:
    text = "A paragraph\nof two lines.\n\n- an item\n  that goes on\n- another\n\n| a |\n|---|\n\n```\none\ntwo\n```"

    joined = "A paragraph of two lines.\n\n- an item that goes on\n- another\n\n| a |\n|---|\n\n```\none\ntwo\n```"
    assert extract_passage(text) == joined


async def test_the_last_turn_of_a_chat_template_is_answered_token_by_token(client: SandboxClient) -> None:
    prompt = (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nhow do I connect Slack?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nSo.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nAnd the monthly budget?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )

    finished = await client.run(LLAMA, {"prompt": prompt})

    assert CODE in "".join(finished["output"])
    assert finished["metrics"]["output_token_count"] == len(finished["output"])
    assert finished["metrics"]["input_token_count"] > 5
    assert finished["metrics"]["token_output_count"] == len(finished["output"])
    assert finished["metrics"]["token_input_count"] == finished["metrics"]["input_token_count"]


async def test_max_tokens_cuts_the_answer_but_not_its_origin(client: SandboxClient) -> None:
    finished = await client.run(LLAMA, {"prompt": "What is the monthly budget?", "max_tokens": 8})

    assert "".join(finished["output"]) == "The sandbox's guide (not a language model) found"
