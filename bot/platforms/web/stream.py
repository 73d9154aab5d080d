"""One reader of the page: which messages they have yet to be shown, and what they saw of each."""

import asyncio
import json
from dataclasses import dataclass
from typing import TypeAlias

from bot.core.json import JSON
from bot.core.replies import Tone
from bot.platforms.web.messages import Shown, as_json, difference
from bot.storage.web_page import PageMessage


@dataclass(frozen=True, slots=True)
class Gone:
    """A message that was taken away."""

    channel: str
    id: str


Change: TypeAlias = PageMessage | Gone


class Stream:
    """A queue that cannot overflow: each changed message stands in it once, and a slow reader gets its latest state."""

    def __init__(self) -> None:
        self._changed: dict[str, None] = {}
        self._shown: dict[str, Shown] = {}
        self._woken = asyncio.Event()
        self.is_closed = False

    def mark(self, message_id: str) -> None:
        """Note that a message changed."""
        self._changed[message_id] = None
        self._woken.set()

    def close(self) -> None:
        """Wake the reader for the last time."""
        self.is_closed = True
        self._woken.set()

    async def changes(self, patience: float) -> list[str]:
        """Ids of the messages that changed, in order; empty after `patience` seconds without any, or when closed."""
        if not self._changed and not self.is_closed:
            try:
                async with asyncio.timeout(patience):
                    await self._woken.wait()
            except TimeoutError:
                return []
        self._woken.clear()
        changed = list(self._changed)
        self._changed.clear()
        return changed

    def snapshot(self, messages: list[PageMessage]) -> list[Shown]:
        """Everything, as the reader is about to see it."""
        self._shown.clear()
        return [self._seen(message) for message in messages]

    def event(self, message: Change) -> bytes | None:
        """One SSE event: only the difference where the reader knows the message; None when there is none."""
        if isinstance(message, Gone):
            self._shown.pop(message.id, None)
            return sse("gone", {"id": message.id})
        before = self._shown.get(message.id)
        after = self._seen(message)
        if before is None:
            return sse("message", after)
        changed = difference(before, after)
        return sse("change", changed) if len(changed) > 1 else None

    def _seen(self, message: PageMessage) -> Shown:
        shown = as_json(message)
        # What is finished rarely changes again: keeping it would cost each reader the whole conversation.
        if message.reply.tone is Tone.WORKING:
            self._shown[message.id] = shown
        else:
            self._shown.pop(message.id, None)
        return shown


def sse(name: str, data: JSON | Shown | list[Shown], position: str = "") -> bytes:
    """One event in SSE's own form."""
    head = f"id: {position}\n" if position else ""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"{head}event: {name}\ndata: {body}\n\n".encode("utf-8", "replace")
