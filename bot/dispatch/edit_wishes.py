"""Recognises words about a picture that ask for a change: "make it winter", "the second one, but wide", "undo".

Everything else said about a picture is talk: a wish is only what can hardly be anything else.
"""

import re
from dataclasses import dataclass

from bot.core.limits import MAX_PROMPT_CHARACTERS

MAX_UNDO_CHARACTERS = 80

_LEAD = r"(?:(?:now|please|and|then|ok|okay|but|nice|great|can you|could you|would you)[,!]? )*"
_OBJECT = r"(?:it|this|that|them|these|him|her|the|his|their|its|everything|everyone|all|my|a|an|some|more|less)\b"
_VERBS = (
    r"make|turn|paint|colou?r|recolou?r|convert|transform|put|give|move|zoom|crop|rotate|flip|mirror|blur|sharpen|"
    r"brighten|darken|restyle|redraw|add|remove|erase|replace|change|swap|blend|combine|merge"
)
_WISH = re.compile(rf"{_LEAD}(?:(?:{_VERBS}) {_OBJECT}|zoom (?:in|out)\b)", re.IGNORECASE)
_CHOICE = re.compile(
    r"(?:take |use )?(?:the )?(?P<nth>first|second|third|fourth|[1-4](?:st|nd|rd|th))(?: one| picture| image| photo)?"
    r"(?:,? but |,? and |[,:] )(?P<words>\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_UNDO = re.compile(
    rf"{_LEAD}undo(?:,? (?:it|that|this|please|(?:that|this|the last) (?:one|edit|change)))*[.!]?", re.IGNORECASE
)
_NUMBERS = {"first": 1, "second": 2, "third": 3, "fourth": 4}
_SHAPES = {"wide": "16:9", "wider": "16:9", "tall": "9:16", "taller": "9:16", "square": "1:1"}


@dataclass(frozen=True, slots=True)
class EditWish:
    """A change of a picture. `n` is the number of the picture among those shown, from 1; `aspect` a wished shape."""

    prompt: str
    n: int = 1
    aspect: str = ""


def find_edit_wish(text: str) -> EditWish | None:
    """Return the change that a text about a picture asks for, None for talk."""
    text, n = text.strip(), 1
    if len(text) > MAX_PROMPT_CHARACTERS:
        return None
    choice = _CHOICE.fullmatch(text)
    if choice is not None:
        nth = choice["nth"].lower()
        n, words = _NUMBERS.get(nth) or int(nth[0]), choice["words"]
        return EditWish(words, n, _find_shape(words))
    wish = _WISH.match(text)
    # "make it winter?" is a question, "can you make it winter?" a wish.
    is_question = text.endswith("?") and not re.match(r"(?:can|could|would) you\b", text, re.IGNORECASE)
    return None if wish is None or is_question else EditWish(text, n, _find_shape(text))


def is_undo(text: str) -> bool:
    """Return whether a text asks to go back to the picture before the last change."""
    return len(text) <= MAX_UNDO_CHARACTERS and _UNDO.fullmatch(text.strip()) is not None


def is_request(text: str) -> bool:
    """Return whether a text about a picture asks the bot for something, rather than talks about the picture."""
    return is_undo(text) or find_edit_wish(text) is not None


def _find_shape(words: str) -> str:
    found = [shape for word, shape in _SHAPES.items() if re.search(rf"\b{word}\b", words, re.IGNORECASE)]
    return found[0] if found else ""
