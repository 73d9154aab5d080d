"""As much of a conversation as the model can read: the newest turns, whole, within its budget."""

from collections.abc import Sequence
from dataclasses import replace

from bot.core.conversations import Turn, TurnRole

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
