"""Chat models, performed by the guide and streamed token by token. Pictures are measured, not recognised."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.sandbox.faults import SandboxModelFailed, find_question, strip_fault_words
from bot.sandbox.guide import Guide
from bot.sandbox.model import (
    BillingTier,
    InputField,
    Performance,
    SandboxModel,
    SandboxOutputKind,
    SandboxRun,
    create_model,
)
from bot.sandbox.models.blip import UnreadablePicture, answer_question

_TOKENS_PER_SECOND = 40
_THINKING_SECONDS = 0.25
_TOKEN = re.compile(r"\s*\S+|\s+")
_LIMIT_FIELDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_DEFAULT_MAX_TOKENS = 4096
_RESULT = "[Result of the tool]"
# Verbs, the tool, and the field for the words; an empty field takes a number in the words instead.
_CALLS = (
    ("draw|paint|sketch", "imagine", "prompt"),
    ("repaint it|change it into|(?=(?:make|turn) it)", "edit", "prompt"),
    ("enlarge|upscale", "upscale", ""),
    ("look (?:at it|closely)", "caption", "question"),
    ("say|read aloud", "speak", "text"),
)
_EFFORTS = ("minimal", "low", "medium", "high")

_PROMPT = InputField("prompt", "string", "Prompt", default="")
_TEMPERATURE = InputField("temperature", "number", "How random the words are", default=0.6)
_MAX_TOKENS = InputField("max_tokens", "integer", "The most tokens to generate", default=512)

_LLAMA_FIELDS = (
    _PROMPT,
    InputField("min_tokens", "integer", "The least number of tokens to generate", default=0),
    _MAX_TOKENS,
    _TEMPERATURE,
    InputField("top_p", "number", "Sample from the top p of probability", default=0.9),
    InputField("top_k", "integer", "Sample from the top k tokens", default=50),
    InputField("presence_penalty", "number", "Presence penalty", default=1.15),
    InputField("frequency_penalty", "number", "Frequency penalty", default=0.2),
    InputField("prompt_template", "string", "What the prompt is put into", default="{prompt}"),
)
_LLAMA_3_1_FIELDS = (
    *_LLAMA_FIELDS[:6],
    InputField("system_prompt", "string", "System prompt", default="You are a helpful assistant."),
    InputField("prompt_template", "string", "What the prompt is put into", default=""),
)
_GPT_FIELDS = (
    _PROMPT,
    InputField("system_prompt", "string", "Sets the assistant's behaviour"),
    InputField("messages", "messages", "Messages as JSON; prompt and system_prompt are ignored beside them"),
    InputField("image_input", "files", "Images to send to the model", default=[]),
    InputField("reasoning_effort", "string", "How long to think", default="minimal", choices=_EFFORTS),
    InputField("verbosity", "string", "Length of answers", default="medium", choices=("low", "medium", "high")),
    InputField("max_completion_tokens", "integer", "The most tokens to generate"),
)
_CLAUDE_FIELDS = (
    InputField("prompt", "string", "Input prompt", required=True),
    InputField("system_prompt", "string", "System prompt", default=""),
    InputField("image", "file", "Optional input image"),
    InputField("max_tokens", "integer", "Maximum tokens", default=8192, minimum=1024, maximum=64000),
    InputField("max_image_resolution", "number", "Maximum image resolution in megapixels", default=0.5),
)
_GEMINI_FIELDS = (
    InputField("prompt", "string", "The text prompt", required=True),
    InputField("system_instruction", "string", "System instruction"),
    InputField("images", "files", "Input images", default=[]),
    InputField("temperature", "number", "How random the words are", default=1, minimum=0, maximum=2),
    InputField("max_output_tokens", "integer", "Maximum tokens", default=65535, minimum=1, maximum=65535),
)
_GPT_5_1_FIELDS = (
    *_GPT_FIELDS[:4],
    InputField("reasoning_effort", "string", "How long to think", default="none", choices=("none", *_EFFORTS[1:])),
    *_GPT_FIELDS[5:],
)
_GPT_4_FIELDS = (*_GPT_FIELDS[:4], _TEMPERATURE, _GPT_FIELDS[-1])
_PLAIN_FIELDS = (_PROMPT, _MAX_TOKENS, _TEMPERATURE)

# Owner and name, fields, dollars per million tokens in and out.
_MODELS: Sequence[tuple[str, tuple[InputField, ...], str, str]] = (
    ("meta/meta-llama-3-8b-instruct", _LLAMA_FIELDS, "0.05", "0.25"),
    ("meta/meta-llama-3-70b-instruct", _LLAMA_FIELDS, "0.65", "2.75"),
    ("meta/meta-llama-3.1-405b-instruct", _LLAMA_3_1_FIELDS, "9.50", "9.50"),
    ("openai/gpt-5-nano", _GPT_FIELDS, "0.05", "0.40"),
    ("openai/gpt-5-mini", _GPT_FIELDS, "0.25", "2"),
    ("openai/gpt-5", _GPT_FIELDS, "1.25", "10"),
    ("anthropic/claude-4.5-haiku", _CLAUDE_FIELDS, "1", "5"),
    ("anthropic/claude-4.5-sonnet", _CLAUDE_FIELDS, "3", "15"),
    ("google/gemini-2.5-flash", _GEMINI_FIELDS, "0.30", "2.50"),
    ("google/gemini-3-pro", _GEMINI_FIELDS, "2", "12"),
    ("deepseek-ai/deepseek-v3.1", _PLAIN_FIELDS, "0.672", "2.016"),
    ("qwen/qwen3-235b-a22b-instruct-2507", _PLAIN_FIELDS, "0.264", "1.06"),
    ("meta/llama-4-scout-instruct", _PLAIN_FIELDS, "0.17", "0.65"),
    ("openai/gpt-oss-20b", _PLAIN_FIELDS, "0.09", "0.36"),
    ("openai/gpt-oss-120b", _PLAIN_FIELDS, "0.18", "0.72"),
    ("anthropic/claude-4-sonnet", _CLAUDE_FIELDS, "3", "15"),
    ("anthropic/claude-opus-4.6", _CLAUDE_FIELDS, "5", "25"),
    ("anthropic/claude-opus-4.7", _CLAUDE_FIELDS, "5", "25"),
    ("openai/gpt-5.1", _GPT_5_1_FIELDS, "1.25", "10"),
    ("openai/gpt-5.2", _GPT_5_1_FIELDS, "1.75", "14"),
    ("openai/gpt-5.6-luna", _GPT_5_1_FIELDS, "1", "6"),
    ("openai/gpt-5.6-terra", _GPT_5_1_FIELDS, "2.5", "15"),
    ("openai/gpt-5.6-sol", _GPT_5_1_FIELDS, "5", "30"),
    ("openai/gpt-4.1-nano", _GPT_4_FIELDS, "0.1", "0.4"),
    ("openai/gpt-4.1-mini", _GPT_4_FIELDS, "0.4", "1.6"),
    ("openai/gpt-4.1", _GPT_4_FIELDS, "2", "8"),
    ("google/gemini-3.1-pro", _GEMINI_FIELDS, "2", "12"),
    ("deepseek-ai/deepseek-r1", _PLAIN_FIELDS, "3.75", "10"),
    ("moonshotai/kimi-k2.5", _PLAIN_FIELDS, "0.72", "3.60"),
    ("xai/grok-4", _PLAIN_FIELDS, "7.2", "36"),
)


def create_chat_models(guide: Guide) -> list[SandboxModel]:
    async def perform(run: SandboxRun) -> None:
        await _answer(run, guide)

    return [_create(*model, perform) for model in _MODELS]


def _create(
    full_name: str, fields: tuple[InputField, ...], usd_in: str, usd_out: str, perform: Performance
) -> SandboxModel:
    return create_model(
        full_name,
        "a guide that quotes this bot's docs, in the place of a language model.",
        fields,
        perform,
        output=SandboxOutputKind.TEXT_STREAM,
        billing=(BillingTier({"token_input_count": usd_in, "token_output_count": usd_out}),),
    )


async def _answer(run: SandboxRun, guide: Guide) -> None:
    question = strip_fault_words(find_question(run.input))
    pictures = [*await run.read_files("images"), *await run.read_files("image_input")]
    if (picture := await run.read_file("image")) is not None:
        pictures.append(picture)
    try:
        if (call := call_tool(question, str(run.input))) is not None:
            text = call
        elif pictures:
            text = await run.run_in_worker(_describe_pictures, pictures, question)
        else:
            text = await run.run_in_worker(guide.answer, question)
    except UnreadablePicture as error:
        raise SandboxModelFailed(str(error)) from error
    await run.pause(_THINKING_SECONDS)
    # Every "token" is a word with the space before: the joined pieces are the text.
    tokens = _TOKEN.findall(text)[: max(0, _get_limit(run.input))]
    for name in ("input_token_count", "token_input_count"):
        run.set_metric(name, _count_tokens(run.input))
    for count, token in enumerate(tokens, start=1):
        run.set_metric("output_token_count", count)
        run.set_metric("token_output_count", count)
        run.stream_text(token)
        await run.pause(1 / _TOKENS_PER_SECOND)


def call_tool(question: str, inputs: str) -> str | None:
    """Return an answer with a call, or after a call, by rules; None if none of the offered tools is wanted."""
    if question.startswith(_RESULT):
        return f"There it is. The tool said: {question.removeprefix(_RESULT).strip()}"
    if '"tool"' not in inputs and '\\"tool\\"' not in inputs:
        return None
    for verbs, tool, name in _CALLS:
        if wanted := re.match(
            rf"(?:please |can you |could you )*(?:{verbs})\b(.*)", question, re.IGNORECASE | re.DOTALL
        ):
            # The bot's remarks about pictures follow in paragraphs of their own.
            words = wanted[1].partition("\n\n")[0].strip(" .!?:")
            fields = {name: words or "a fox"} if name else {"scale": 2}
            return f"With pleasure.\n{json.dumps({'tool': tool, **fields}, ensure_ascii=False)}"
    return None


def _describe_pictures(pictures: Sequence[bytes], question: str) -> str:
    found = [answer_question(content, question) for content in pictures]
    return "\n\n".join(f"Picture {n}: {text}" if len(found) > 1 else text for n, text in enumerate(found, 1))


def _get_limit(inputs: Mapping[str, Any]) -> int:
    limits = (inputs.get(name) for name in _LIMIT_FIELDS)
    return next((int(limit) for limit in limits if limit is not None), _DEFAULT_MAX_TOKENS)


def _count_tokens(inputs: Mapping[str, Any]) -> int:
    messages = inputs.get("messages") or []
    texts = (
        [str(message.get("content", "")) for message in messages]
        if messages
        else [str(inputs.get(name) or "") for name in ("prompt", "system_prompt", "system_instruction")]
    )
    return sum(len(_TOKEN.findall(text)) for text in texts)
