"""Parses server-sent events from bytes: html.spec.whatwg.org/multipage/server-sent-events.html

Lines end at \\n, \\r\\n and \\r alone. httpx's `aiter_lines` also splits at U+2028, U+0085 and form
feeds, and loses text.
"""

import re
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. `id` is the event's own id, empty without an `id` line."""

    event: str
    data: str
    id: str = ""


class EventReader:
    """Turns the chunks of a stream, split at any byte, into events."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._is_first_line = True
        self._ended_on_return = False
        self._event = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that a chunk completes. An event without the closing empty line is dropped."""
        if not chunk:
            return []
        # A line ends at \r already; a \n at the head of the next chunk belongs to the same line end.
        if self._ended_on_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._ended_on_return = False
        if chunk:
            self._ended_on_return = chunk.endswith(b"\r")
        *ends, rest = _LINE_END.split(chunk)
        events = [event for end in ends if (event := self._read_line(self._complete_line(end))) is not None]
        # Join the pieces once, at the end of the line: a picture of 4 MB is one line in a thousand chunks.
        if rest:
            self._pieces.append(rest)
        return events

    def _complete_line(self, end: bytes) -> str:
        line = b"".join((*self._pieces, end))
        self._pieces.clear()
        if self._is_first_line:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._is_first_line = False
        try:
            # Some servers write half a character into each of two events: the halves stay, to be joined.
            return line.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return line.decode("utf-8", "replace")

    def _read_line(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event, data, own_id = self._event, self._data, self._id
        self._event, self._data, self._id = "", [], ""
        # Without a data line there is no event. An empty data line counts: a newline token arrives as two of them.
        return ServerSentEvent(event or "message", "\n".join(data), own_id) if data else None
