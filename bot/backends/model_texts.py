"""Finds the text in a model's output, which models on Replicate and on Cog's server write as text, list or object."""

from collections.abc import Mapping, Sequence

from bot.core.json import JSON

# The fields in which models put an answer, the likeliest first; lists of choices and messages lead to such fields.
_TEXT_KEYS = (
    *("text", "output", "answer", "caption", "transcription", "translation", "result", "results", "generated_text"),
    *("response", "content", "message", "completion", "output_text", "delta", "choices", "parts", "candidates", "data"),
)
_TEXT_KEYS_SET = frozenset(_TEXT_KEYS)
_THOUGHT_KEYS = frozenset(
    ["reasoning", "reasoning_content", "reasoning_details", "thinking", "thinking_blocks", "thought", "thoughts"]
)
_THOUGHT_TYPES = frozenset(["reasoning", "thinking", "redacted_thinking", "thought"])
# Fields about the answer, which are no answer.
_FACT_KEYS = frozenset(
    [
        *("id", "object", "created", "model", "usage", "index", "finish_reason", "stop_reason", "role", "type", "name"),
        *("logprobs", "system_fingerprint", "metrics", "status", "refusal", "annotations", "tool_calls", "signature"),
    ]
)


def extract_text(output: JSON) -> str:
    """Return the text of an output. Language models return a list of pieces, joined without a separator."""
    if isinstance(output, str):
        return output
    if isinstance(output, list):
        return "".join(extract_text(item) for item in output)
    if isinstance(output, dict):
        return _extract_text_of_object(output)
    return "" if output is None or isinstance(output, bool) else str(output)


def _extract_text_of_object(output: Mapping[str, JSON]) -> str:
    """Return the text in the field for an answer, else of every other field; thoughts are left out."""
    if output.get("type") in _THOUGHT_TYPES or output.get("thought") is True:
        return ""
    if not _TEXT_KEYS_SET.isdisjoint(output):
        return next((text for name in _TEXT_KEYS if (text := extract_text(output.get(name)))), "")
    others = {name: value for name, value in output.items() if name not in _THOUGHT_KEYS | _FACT_KEYS}
    texts = {name: text for name, value in others.items() if (text := extract_text(value))}
    return "\n".join([f"{name}: {text}" for name, text in texts.items()] if len(texts) > 1 else texts.values())


def strip_prefix(text: str, prefixes: Sequence[str]) -> str:
    """Return the text without the longest of its prefixes (BLIP begins a caption with "Caption: ")."""
    found = max((prefix for prefix in prefixes if text.startswith(prefix)), key=len, default="")
    return text[len(found) :]
