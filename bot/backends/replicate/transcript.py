"""The text of one watch, put together from a stream that may begin again and from whole texts."""

from collections.abc import Sequence

from bot.backends.replicate.snapshots import without_prefix


class Transcript:
    """Gives each word once, in order. What it gave can only be extended: nobody can unsay a word.

    Two sources feed it: tokens of a stream (`hear`) and the whole text so far, from a GET (`read`). Text that
    contradicts what was given is held back; the final snapshot then has the last word.
    """

    def __init__(self, prefixes: Sequence[str] = ()) -> None:
        self._prefixes = prefixes
        self._pieces: list[str] = []
        self._length = 0
        self._heard = 0
        self._is_in_step = True
        self._is_head_open = bool(prefixes)

    def rewind(self) -> None:
        """The stream begins again at the first word."""
        self._heard, self._is_in_step = 0, True

    def hear(self, token: str) -> str:
        """What is new in the stream's next token."""
        start, self._heard = self._heard, self._heard + len(token)
        if not self._is_in_step:
            return ""
        known = self._text()[start : self._heard] if start < self._length else ""
        if not token.startswith(known):
            self._is_in_step = False
            return ""
        return self._add(token[len(known) :])

    def read(self, whole: str, *, is_final: bool = False) -> str:
        """What is new in a whole text."""
        known = self._text()
        new = self._add(whole[len(known) :]) if whole.startswith(known) else ""
        return new + self._close_head() if is_final else new

    def _text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def _add(self, text: str) -> str:
        if text:
            self._pieces.append(text)
            self._length += len(text)
        if not self._is_head_open:
            return text
        # The beginning may still grow into a prefix that is to be left out.
        head = self._text()
        may_grow = any(prefix.startswith(head) and prefix != head for prefix in self._prefixes)
        return "" if may_grow else self._close_head()

    def _close_head(self) -> str:
        if not self._is_head_open:
            return ""
        self._is_head_open = False
        return without_prefix(self._text(), self._prefixes)
