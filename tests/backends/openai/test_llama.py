"""The bot on llama.cpp's own server with a tiny model of random words."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.conversations.tools import MAX_CALLS
from bot.core.jobs import JobState
from bot.sandbox.server import Sandbox, SandboxOptions
from tests.backends.conftest import LLAMA_KEY
from tests.backends.machines import REPLICATE_MODEL
from tests.backends.openai.catalogue import BY_TOKENS, make_backend, make_chat_model, make_picture_models
from tests.backends.own_bench import make_sandbox_changes, open_own_bench
from tests.fakes.samples import MODERATOR
from tests.servers.tiny_model import CALL_PROMPT, list_call_biases

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

        def shows_words() -> bool:
            is_over = bench.app.runner.running_count == 0
            return is_over or (bool(bench.platform.messages) and len(bench.last.text) > 20)

        while True:  # on a busy machine an answer may end, over several messages, before the bot reads the beginning
            bench.platform.messages.clear()
            await bench.ask("/chat Go on and on --max_tokens 3000 --temperature 1")
            await bench.wait_until(shows_words)
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


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(SandboxOptions(speed=0, docs=()))
    await sandbox.start()
    yield sandbox
    await sandbox.stop()


async def test_calls_by_the_servers_grammar_are_drawn_and_end_in_words(
    tmp_path: Path, catalogue: str, sandbox: Sandbox
) -> None:
    forced = f'tool_choice = "required", parallel_tool_calls = false, logit_bias = {list_call_biases()}'
    rule = f'tools = {{ to = "tools", also = {{ {forced} }} }}'
    # The server has no model for pictures, and refuses a request with one.
    talker = catalogue.replace('image = { to = "images", files = 4 }', rule)
    changes = make_sandbox_changes(sandbox.url, sandbox.token)
    async with open_own_bench(tmp_path, talker + REPLICATE_MODEL, changes=changes) as bench:
        await bench.run("/settings chat --tools on", MODERATOR)
        await bench.ask("/chat Draw a fox --max_tokens 80 --temperature 1")
        await bench.wait_until_done()

        *calls, answer = [message for message in bench.platform.messages.values() if not message.reply.pictures]
        assert [message.text for message in calls] == [f"Drawing: {CALL_PROMPT}"] * MAX_CALLS
        assert [run.input["prompt"] for run in sandbox.store.list_newest_first()] == [CALL_PROMPT] * MAX_CALLS
        assert sum(len(message.reply.pictures) for message in bench.platform.messages.values()) == MAX_CALLS
        assert answer is bench.last
        assert len(answer.text.split()) > 5
        assert not answer.text.startswith("⚠")
        inputs = (await bench.last_job()).inputs
        assert not {"tools", "tool_choice", "logit_bias"} & inputs.keys()
        assert json.dumps(inputs["messages"]).count("imagine made 1 file") == MAX_CALLS
        assert await bench.paid_micros() > MAX_CALLS * 25_000
