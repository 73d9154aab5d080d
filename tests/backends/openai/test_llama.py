"""The bot on llama.cpp's own server with a tiny model of random words."""

import itertools
import json
from pathlib import Path

import pytest

from bot.core.jobs import JobState
from tests.backends.conftest import LLAMA_KEY
from tests.backends.openai.catalogue import BY_TOKENS, make_backend, make_chat_model, make_picture_models
from tests.backends.own_bench import open_own_bench
from tests.fakes.samples import MODERATOR

pytestmark = pytest.mark.servers


@pytest.fixture
def catalogue(llama_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LLAMA_KEY", LLAMA_KEY)
    return make_backend(llama_url, key_env="LLAMA_KEY", at_once=2) + make_chat_model(BY_TOKENS, ref="tiny")


async def test_an_answer_is_streamed_and_charged_by_the_usage(tmp_path: Path, catalogue: str) -> None:
    async with open_own_bench(tmp_path, catalogue) as bench:
        text = await bench.run("/chat Tell me about the fox --max_tokens 40 --temperature 1")

        assert len(text.split()) > 5
        # 40 tokens written at $2 a million, and the question's tokens at $1, one for each letter of most words.
        assert 80 + 20 < await bench.paid_micros() < 80 + 300


async def test_stop_ends_the_answer(tmp_path: Path, catalogue: str) -> None:
    async with open_own_bench(tmp_path, catalogue) as bench:
        for asked in itertools.count(1):  # on a busy machine an answer may end before the bot reads the beginning
            await bench.ask("/chat Go on and on --max_tokens 3000 --temperature 1")
            await bench.wait_until(lambda n=asked: len(bench.platform.messages) == n and len(bench.last.text) > 20)  # type: ignore[misc] # n is bound
            if any(button.action == "cancel" for button in bench.last.reply.buttons):
                await bench.press("cancel")
            await bench.wait_until_done()
            if (await bench.last_job()).state is JobState.CANCELLED:
                break

        assert (await bench.last_job()).state is JobState.CANCELLED
        assert len(bench.last.text) > 20


async def test_too_long_a_question_and_a_wrong_key_are_refused_in_a_sentence(
    tmp_path: Path, catalogue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = catalogue.replace("context_tokens = 4096", "context_tokens = 100000")
    async with open_own_bench(tmp_path, wide) as bench:
        overflow = await bench.run(f"/chat {'fox in the snow ' * 900} --max_tokens 10")
        assert await bench.paid_micros() == 0
    monkeypatch.setenv("LLAMA_KEY", "sk-wrong-key-9999")
    async with open_own_bench(tmp_path, catalogue) as bench:
        refused = await bench.run("/chat Hello")
        assert await bench.paid_micros() == 0

    assert "exceeds the available context size" in overflow
    assert refused.startswith("⚠ The model server home does not accept the bot's key.")


async def test_the_owner_hears_what_the_server_offers(tmp_path: Path, catalogue: str) -> None:
    async with open_own_bench(tmp_path, catalogue) as bench:
        assert await bench.app.backends["home"].probe() == "The model server home answers, with 1 model."


async def test_tools_are_offered_natively_and_no_call_is_shown(tmp_path: Path, catalogue: str) -> None:
    native = catalogue.replace('messages = "messages"', 'messages = "messages"\ntools = "tools"')
    async with open_own_bench(tmp_path, native + make_picture_models()) as bench:
        await bench.run("/settings chat --tools on", MODERATOR)
        text = await bench.run("/chat Draw a fox --max_tokens 20 --temperature 1")

        assert '"name": "imagine"' in json.dumps((await bench.last_job()).inputs["tools"])
        assert not text.startswith("⚠")
        assert '"tool"' not in text
        assert await bench.paid_micros() > 0
