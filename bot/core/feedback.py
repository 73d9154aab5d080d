"""Votes on chat answers."""

from enum import StrEnum


class Vote(StrEnum):
    """The verdict of a person on a chat answer."""

    UP = "up"
    DOWN = "down"


VOTE_LABELS = {Vote.UP: "👍", Vote.DOWN: "👎"}
"""The signs on buttons and in lists."""

VOTE_ACTIONS = {"vote_up": Vote.UP, "vote_down": Vote.DOWN}
"""The votes by the actions of the buttons."""
