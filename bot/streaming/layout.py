"""One reply, however long its text, as the messages that show it."""

from dataclasses import dataclass, replace

from bot.core.platform import MessageLimits
from bot.core.replies import Reply
from bot.streaming.splitter import Part, Splitter

_ROOM_FOR_NOTE = 200
"""Left free in each message for progress and the line of facts, which stand under the text."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one message shows, and the range of the whole text that is."""

    part: Part
    reply: Reply
    is_last: bool


class Layout:
    """Lays a growing reply out over messages, from the one that begins at `start` with `opening` on."""

    def __init__(self, limits: MessageLimits, *, start: int = 0, opening: str = "") -> None:
        reserve = min(_ROOM_FOR_NOTE, limits.text // 10)
        self._splitter = Splitter(limits, reserve=reserve, start=start, opening=opening)

    def pages(self, reply: Reply) -> list[Page]:
        """At least one page. Pictures, progress, note and buttons belong to the last."""
        parts = self._splitter.update(reply.text)
        # A message of white space alone is refused by platforms, so such a part gets none.
        *earlier, last = [part for part in parts if not part.is_blank(reply.text)] or parts[:1]
        pages = [Page(part, Reply(part.shown(reply.text), is_private=reply.is_private), False) for part in earlier]
        return [*pages, Page(last, replace(reply, text=last.shown(reply.text)), True)]
