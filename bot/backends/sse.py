"""Server-sent events from bytes, exactly: html.spec.whatwg.org/multipage/server-sent-events.html

Lines end on \\n, \\r\\n and \\r and nothing else. httpx's `aiter_lines` also cuts at U+2028, U+0085 and form feeds, and
loses text there.
"""

import re
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. `id` is this event's own, empty when it has none."""

    event: str
    data: str
    id: str = ""


class EventReader:
    """Turns pieces of a stream, cut anywhere, into events."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._is_first_line = True
        self._ended_on_return = False
        self._event = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that this piece completes. An event without its closing empty line is never told."""
        if not chunk:
            return []
        # A line is over at \r already; a \n that comes in the next piece belongs to it.
        if self._ended_on_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._ended_on_return = False
        if chunk:
            self._ended_on_return = chunk.endswith(b"\r")
        *ends, rest = _LINE_END.split(chunk)
        events = [event for end in ends if (event := self._read_line(self._complete_line(end))) is not None]
        # Pieces are joined once, when their line ends: a picture of 4 MB comes as one line in a thousand pieces.
        if rest:
            self._pieces.append(rest)
        return events

    def _complete_line(self, end: bytes) -> str:
        line = b"".join((*self._pieces, end))
        self._pieces.clear()
        if self._is_first_line:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._is_first_line = False
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
        # An event without any data line is none; one with an empty data line is a token of nothing, or half a newline.
        return ServerSentEvent(event or "message", "\n".join(data), own_id) if data else None
