"""The text of one watch, put together from a stream that may begin again and from whole texts."""

from collections.abc import Sequence

from bot.backends.replicate.snapshots import strip_prefix


class StreamedText:
    """Gives each word once, in order. What it gave can only be extended: nobody can unsay a word.

    Two sources feed it: tokens of a stream (`hear`) and the whole text so far, from a GET (`read`). Text that
    contradicts what was given is held back; the final snapshot then has the last word.
    """

    def __init__(self, prefixes: Sequence[str] = ()) -> None:
        self._prefixes = prefixes
        self._pieces: list[str] = []
        self._length = 0
        self._stream_position = 0
        self._is_stream_consistent = True
        self._may_be_prefix = bool(prefixes)

    def rewind(self) -> None:
        """The stream begins again at the first word."""
        self._stream_position, self._is_stream_consistent = 0, True

    def add_token(self, token: str) -> str:
        """What is new in the stream's next token."""
        start, self._stream_position = self._stream_position, self._stream_position + len(token)
        if not self._is_stream_consistent:
            return ""
        known = self._text()[start : self._stream_position] if start < self._length else ""
        if not token.startswith(known):
            self._is_stream_consistent = False
            return ""
        return self._add(token[len(known) :])

    def add_whole_text(self, whole: str, *, is_final: bool = False) -> str:
        """What is new in a whole text."""
        known = self._text()
        new = self._add(whole[len(known) :]) if whole.startswith(known) else ""
        return new + self._release_head() if is_final else new

    def _text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def _add(self, text: str) -> str:
        if text:
            self._pieces.append(text)
            self._length += len(text)
        if not self._may_be_prefix:
            return text
        # The beginning may still grow into a prefix that is to be left out.
        head = self._text()
        may_grow = any(prefix.startswith(head) and prefix != head for prefix in self._prefixes)
        return "" if may_grow else self._release_head()

    def _release_head(self) -> str:
        if not self._may_be_prefix:
            return ""
        self._may_be_prefix = False
        return strip_prefix(self._text(), self._prefixes)
