"""As much of a conversation as the model can read: the newest turns, whole, within its budget."""

from collections.abc import Sequence

from bot.core.conversations import Role, Turn

BYTES_PER_TOKEN = 3
"""A careful guess: most text has four bytes a token, code and other scripts fewer."""


def trimmed(turns: Sequence[Turn], budget_tokens: int) -> list[Turn]:
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
    while len(kept) > 1 and kept[0].role is Role.ASSISTANT:
        kept.pop(0)
    return kept


def chain(turns: Sequence[Turn], leaf: str = "") -> list[Turn]:
    """The turns that lead to `leaf` (the newest when empty), oldest first: a regenerated answer hides its siblings."""
    by_id = {turn.id: turn for turn in turns}
    turn = by_id.get(leaf) if leaf else (turns[-1] if turns else None)
    path: list[Turn] = []
    while turn is not None:
        path.append(turn)
        turn = by_id.get(turn.parent)
    path.reverse()
    return path
