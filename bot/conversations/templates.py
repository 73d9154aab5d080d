"""Turns into the one prompt a model reads, with control tokens in people's text made harmless."""

import re
from collections.abc import Callable, Mapping, Sequence

from bot.core.conversations import Turn, TurnRole

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
