"""Builds prompts from turns: the newest turns within the model's budget, in the model's template, made harmless."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil

from bot.core.invocations import Turn, TurnRole
from bot.core.json import JSON
from bot.core.models import Model
from bot.core.text import neutralise_control_tokens

# A careful estimate of tokens, by the bytes that a character has in UTF-8: English has four characters per token, code
# three, Cyrillic more than two; Chinese has less than a token per character, an emoji up to three.
_TOKENS_PER_CHARACTER = (1 / 3, 1 / 2, 1.0, 3.0)


def count_tokens(text: str) -> int:
    """Return about how many tokens a text has, rather more than fewer."""
    if text.isascii():
        return ceil(len(text) * _TOKENS_PER_CHARACTER[0])
    size_bytes, ascii_count = len(text.encode()), len(text.encode("ascii", "ignore"))
    long_count = len(text.encode("utf-16-le")) // 2 - len(text)
    between = len(text) - ascii_count - long_count
    three_count = size_bytes - ascii_count - 4 * long_count - 2 * between
    counts = (ascii_count, between - three_count, three_count, long_count)
    return ceil(sum(count * tokens for count, tokens in zip(counts, _TOKENS_PER_CHARACTER, strict=True)))


def trim_turns(turns: Sequence[Turn], budget_tokens: int) -> list[Turn]:
    """Return the newest whole turns that fit, oldest first, beginning with a user's turn; the last turn stays."""
    left_tokens = budget_tokens
    kept: list[Turn] = []
    for turn in reversed(turns):
        left_tokens -= count_tokens(turn.text)
        if left_tokens < 0 and kept:
            break
        kept.append(turn)
    kept.reverse()
    while len(kept) > 1 and kept[0].role is TurnRole.ASSISTANT:
        kept.pop(0)
    return kept


def chain_turns(turns: Sequence[Turn], until: str = "") -> list[Turn]:
    """Return the turns in reading order: each question followed by the newest answer, up to the turn `until`.

    A regenerated answer hides the earlier answer. If two users ask at once, both questions stay.
    """
    answers = {turn.parent: turn for turn in turns if turn.role is TurnRole.ASSISTANT}
    questions = {turn.id for turn in turns if turn.role is TurnRole.USER}
    path: list[Turn] = []
    for turn in turns:
        if turn.role is TurnRole.ASSISTANT:
            path += [] if turn.parent in questions else [turn]  # the question of this answer is too old to be read
            continue
        path.append(turn)
        if turn.id == until:
            break
        path += [answers[turn.id]] if turn.id in answers else []
    return path


def render_turns(model: Model, system: str, turns: Sequence[Turn]) -> dict[str, JSON]:
    """Return the options of a model that carry the turns: `messages`, or `prompt`, and `system` for a field of its own.

    A model without a system field reads the system words at the head of the messages or of the prompt.
    """
    apart: dict[str, JSON] = {"system": system} if system and "system" in model.inputs else {}
    head = "" if apart else system
    if "messages" not in model.inputs:
        return {**apart, "prompt": render_prompt(model.template, head, turns)}
    messages: list[JSON] = [{"role": "system", "content": head}] if head else []
    messages += [{"role": turn.role.value, "content": turn.text} for turn in turns]
    return {**apart, "messages": messages}


def render_prompt(template: str, system: str, turns: Sequence[Turn]) -> str:
    """Return the prompt for the next assistant turn, in the catalogue's template `llama3` or as plain text."""
    return _TEMPLATES[template](system, turns)


def _llama3(system: str, turns: Sequence[Turn]) -> str:
    # Source: Meta's Llama 3 prompt format (llama.com/docs). Replicate's own template there is the bare prompt.
    parts = ["<|begin_of_text|>"]
    if system:
        parts.append(_llama3_message("system", system))
    parts += [_llama3_message(turn.role, turn.text) for turn in turns]
    parts.append("<|start_header_id|>assistant<|end_header_id|>\n\n")
    return "".join(parts)


def _llama3_message(role: str, text: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n{neutralise_control_tokens(text).strip()}<|eot_id|>"


def _plain(system: str, turns: Sequence[Turn]) -> str:
    if not system and len(turns) == 1:
        return neutralise_control_tokens(turns[0].text)
    names = {TurnRole.USER: "User", TurnRole.ASSISTANT: "Assistant"}
    lines = [
        *([system] if system else []),
        *(f"{names[turn.role]}: {neutralise_control_tokens(turn.text)}" for turn in turns),
    ]
    return "\n\n".join([*lines, "Assistant:"])


_TEMPLATES: Mapping[str, Callable[[str, Sequence[Turn]], str]] = {"llama3": _llama3, "": _plain}
