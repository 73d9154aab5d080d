"""meta/meta-llama-3-…-instruct: performed by the guide, streamed token by token."""

import re

from bot.sandbox.faults import find_last_user_turn, strip_fault_words
from bot.sandbox.guide import Guide
from bot.sandbox.ids import derive_version_id
from bot.sandbox.model import BillingTier, InputField, Performance, SandboxModel, SandboxOutputKind, SandboxRun

_TOKENS_PER_SECOND = 40
_THINKING_SECONDS = 0.25
_TOKEN = re.compile(r"\s*\S+|\s+")

_FIELDS = (
    InputField("prompt", "string", "Prompt", default=""),
    InputField("min_tokens", "integer", "The least number of tokens to generate", default=0),
    InputField("max_tokens", "integer", "The most tokens to generate", default=512),
    InputField("temperature", "number", "How random the words are", default=0.6),
    InputField("top_p", "number", "Sample from the top p of probability", default=0.9),
    InputField("top_k", "integer", "Sample from the top k tokens", default=50),
    InputField("presence_penalty", "number", "Presence penalty", default=1.15),
    InputField("frequency_penalty", "number", "Frequency penalty", default=0.2),
    InputField("prompt_template", "string", "What the prompt is put into", default="{prompt}"),
)


def create_llamas(guide: Guide) -> list[SandboxModel]:
    async def perform(run: SandboxRun) -> None:
        await _answer(run, guide)

    return [
        _create_llama("meta-llama-3-8b-instruct", perform, ("0.05", "0.25")),
        _create_llama("meta-llama-3-70b-instruct", perform, ("0.65", "2.75")),
    ]


def _create_llama(name: str, perform: Performance, usd: tuple[str, str]) -> SandboxModel:
    return SandboxModel(
        owner="meta",
        name=name,
        version=derive_version_id(f"meta/{name}"),
        description="Sandbox: a guide that quotes this bot's docs, in the place of a language model.",
        fields=_FIELDS,
        output=SandboxOutputKind.TEXT_STREAM,
        perform=perform,
        is_official=True,
        billing=(BillingTier(dict(zip(("token_input_count", "token_output_count"), usd, strict=True))),),
    )


async def _answer(run: SandboxRun, guide: Guide) -> None:
    prompt = run.input.get("prompt", "")
    text = await run.run_in_worker(guide.answer, strip_fault_words(find_last_user_turn(prompt)))
    await run.pause(_THINKING_SECONDS)
    # Every "token" is a word with the space before: the joined pieces are the text.
    tokens = _TOKEN.findall(text)[: max(0, run.input.get("max_tokens", 512))]
    for name in ("input_token_count", "token_input_count"):
        run.set_metric(name, len(_TOKEN.findall(prompt)))
    for count, token in enumerate(tokens, start=1):
        run.set_metric("output_token_count", count)
        run.set_metric("token_output_count", count)
        run.stream_text(token)
        await run.pause(1 / _TOKENS_PER_SECOND)
