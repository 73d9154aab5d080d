"""meta/meta-llama-3-…-instruct: performed by the guide, streamed token by token."""

import re

from bot.sandbox.chat_template import last_user_turn
from bot.sandbox.faults import without_fault_words
from bot.sandbox.fields import Field
from bot.sandbox.guide import Guide
from bot.sandbox.ids import version_id
from bot.sandbox.model import OutputKind, Performance, SandboxModel
from bot.sandbox.run import Run

_TOKENS_PER_SECOND = 40
_THINKING_SECONDS = 0.25
_TOKEN = re.compile(r"\s*\S+|\s+")

_FIELDS = (
    Field("prompt", "string", "Prompt", default=""),
    Field("min_tokens", "integer", "The least number of tokens to generate", default=0),
    Field("max_tokens", "integer", "The most tokens to generate", default=512),
    Field("temperature", "number", "How random the words are", default=0.6),
    Field("top_p", "number", "Sample from the top p of probability", default=0.9),
    Field("top_k", "integer", "Sample from the top k tokens", default=50),
    Field("presence_penalty", "number", "Presence penalty", default=1.15),
    Field("frequency_penalty", "number", "Frequency penalty", default=0.2),
    Field("prompt_template", "string", "What the prompt is put into", default="{prompt}"),
)


def llamas(guide: Guide) -> list[SandboxModel]:
    async def perform(run: Run) -> None:
        await _answer(run, guide)

    return [_llama("meta-llama-3-8b-instruct", perform), _llama("meta-llama-3-70b-instruct", perform)]


def _llama(name: str, perform: Performance) -> SandboxModel:
    return SandboxModel(
        owner="meta",
        name=name,
        version=version_id(f"meta/{name}"),
        description="Sandbox: a guide that quotes this bot's docs, in the place of a language model.",
        fields=_FIELDS,
        output=OutputKind.TEXT_STREAM,
        perform=perform,
        is_official=True,
    )


async def _answer(run: Run, guide: Guide) -> None:
    prompt = run.input.get("prompt", "")
    text = await run.think(guide.answer, without_fault_words(last_user_turn(prompt)))
    await run.pause(_THINKING_SECONDS)
    # Every "token" is a word with the space before it, so the pieces joined give the text back.
    tokens = _TOKEN.findall(text)[: max(0, run.input.get("max_tokens", 512))]
    run.metric("input_token_count", len(_TOKEN.findall(prompt)))
    for count, token in enumerate(tokens, start=1):
        run.metric("output_token_count", count)
        run.say(token)
        await run.pause(1 / _TOKENS_PER_SECOND)
