"""One reply, however long its text, as the messages that show it."""

from dataclasses import dataclass, replace

from bot.core.platform import MessageLimits
from bot.core.replies import Reply, Tone
from bot.streaming.splitter import Splitter, TextPart

_NOTE_RESERVE = 200
"""Left free in each message for progress and the line of facts, which stand under the text."""


@dataclass(frozen=True, slots=True)
class MessagePage:
    """What one message shows, and the range of the whole text that is."""

    part: TextPart
    reply: Reply
    is_last: bool


class MessageLayout:
    """Lays a growing reply out over messages, from the one that begins at `start` with `opening` on."""

    def __init__(self, limits: MessageLimits, *, start: int = 0, opening: str = "") -> None:
        reserve = min(_NOTE_RESERVE, limits.max_length // 10)
        self._splitter = Splitter(limits, reserve=reserve, start=start, opening=opening)
        self._appends = limits.is_append_only

    def narrow(self, part: TextPart, *, room: int | None = None, end_from: int | None = None) -> bool:
        """A message takes less than was thought; see `Splitter.narrow`."""
        return self._splitter.narrow(part.start, room=room, end_from=end_from)

    def lay_out(self, reply: Reply) -> list[MessagePage]:
        """At least one page. Pictures, progress, note and buttons belong to the last."""
        parts = self._splitter.update(reply.text)
        # A message of white space alone is refused by platforms, so such a part gets none.
        *earlier, last = [part for part in parts if not part.is_blank(reply.text)] or parts[:1]
        if self._appends and reply.tone is Tone.WORKING:
            last = replace(last, closing="")  # a fence that is closed could not be opened again
        pages = [
            MessagePage(part, Reply(part.render(reply.text), is_private=reply.is_private), False) for part in earlier
        ]
        return [*pages, MessagePage(last, replace(reply, text=last.render(reply.text)), True)]
