"""As much of a conversation as the model can read: the newest turns, whole, within its budget."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bot.core.invocations import Turn, TurnRole

BYTES_PER_TOKEN = 3
"""A careful guess: most text has four bytes a token, code and other scripts fewer."""


def trim_turns(turns: Sequence[Turn], budget_tokens: int) -> list[Turn]:
    """The newest turns that fit, oldest first, beginning with a person's; the last turn is always among them.

    A last turn that alone is too long is cut at its head: the question usually stands at its end.
    """
    budget_bytes = max(budget_tokens, 1) * BYTES_PER_TOKEN
    kept: list[Turn] = []
    for turn in reversed(turns):
        budget_bytes -= len(turn.text.encode())
        if budget_bytes < 0 and kept:
            break
        kept.append(turn)
    kept.reverse()
    if len(kept) == 1 and budget_bytes < 0:
        tail = kept[0].text.encode()[-max(budget_tokens, 1) * BYTES_PER_TOKEN :]
        kept = [replace(kept[0], text=tail.decode(errors="ignore"))]
    while len(kept) > 1 and kept[0].role is TurnRole.ASSISTANT:
        kept.pop(0)
    return kept


def chain_turns(turns: Sequence[Turn], until: str = "") -> list[Turn]:
    """The conversation as it is to be read: each question followed by its newest answer, up to the turn `until`.

    A regenerated answer hides the one before it, and of two people who ask at once both are heard.
    """
    answers = {turn.parent: turn for turn in turns if turn.role is TurnRole.ASSISTANT}
    questions = {turn.id for turn in turns if turn.role is TurnRole.USER}
    path: list[Turn] = []
    for turn in turns:
        if turn.role is TurnRole.ASSISTANT:
            path += [] if turn.parent in questions else [turn]  # its question is too long ago to be read
            continue
        path.append(turn)
        if turn.id == until:
            break
        path += [answers[turn.id]] if turn.id in answers else []
    return path


# MERGED Turns into the one prompt a model reads, with control tokens in people's text made harmless.

# Anything of the form <|…|> can switch roles in some chat template, and so can the tags of the older ones.
_CONTROL = re.compile(r"<\|[^|<>\s]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"


def neutralise_control_tokens(text: str) -> str:
    """Text in which no control token of a chat template is left whole: a zero-width space breaks each open."""
    return _CONTROL.sub(lambda match: match[0][0] + _ZERO_WIDTH_SPACE + match[0][1:], text)


def render_prompt(template: str, system: str, turns: Sequence[Turn]) -> str:
    """The prompt that asks for the next assistant turn."""
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
    names = {TurnRole.USER: "User", TurnRole.ASSISTANT: "Assistant"}
    lines = [
        *([system] if system else []),
        *(f"{names[turn.role]}: {neutralise_control_tokens(turn.text)}" for turn in turns),
    ]
    return "\n\n".join([*lines, "Assistant:"])


_TEMPLATES: Mapping[str, Callable[[str, Sequence[Turn]], str]] = {"llama3": _llama3, "": _plain}
