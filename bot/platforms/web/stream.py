"""One reader of the page: which messages they have yet to be shown, and what they saw of each."""

import asyncio
import json
from dataclasses import dataclass
from typing import TypeAlias

from bot.core.json import JSON
from bot.core.replies import Tone
from bot.platforms.web.messages import MessageJson, compute_difference, message_to_json
from bot.storage.web_page import PageMessage


@dataclass(frozen=True, slots=True)
class DeletedMessage:
    """A message that was taken away."""

    channel: str
    id: str


FeedChange: TypeAlias = PageMessage | DeletedMessage


class FeedReader:
    """A queue that cannot overflow: each changed message stands in it once, and a slow reader gets its latest state."""

    def __init__(self) -> None:
        self._changed: dict[str, None] = {}
        self._shown: dict[str, MessageJson] = {}
        self._woken = asyncio.Event()
        self.is_closed = False

    def mark_changed(self, message_id: str) -> None:
        """Note that a message changed."""
        self._changed[message_id] = None
        self._woken.set()

    def close(self) -> None:
        """Wake the reader for the last time."""
        self.is_closed = True
        self._woken.set()

    async def wait_for_changes(self, timeout_seconds: float) -> list[str]:
        """Ids of the messages that changed, in order; empty after `patience` seconds without any, or when closed."""
        if not self._changed and not self.is_closed:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._woken.wait()
            except TimeoutError:
                return []
        self._woken.clear()
        changed = list(self._changed)
        self._changed.clear()
        return changed

    def take_snapshot(self, messages: list[PageMessage]) -> list[MessageJson]:
        """Everything, as the reader is about to see it."""
        self._shown.clear()
        return [self._remember_shown(message) for message in messages]

    def build_event(self, message: FeedChange) -> bytes | None:
        """One SSE event: only the difference where the reader knows the message; None when there is none."""
        if isinstance(message, DeletedMessage):
            self._shown.pop(message.id, None)
            return format_sse_event("gone", {"id": message.id})
        before = self._shown.get(message.id)
        after = self._remember_shown(message)
        if before is None:
            return format_sse_event("message", after)
        changed = compute_difference(before, after)
        return format_sse_event("change", changed) if len(changed) > 1 else None

    def _remember_shown(self, message: PageMessage) -> MessageJson:
        shown = message_to_json(message)
        # What is finished rarely changes again: keeping it would cost each reader the whole conversation.
        if message.reply.tone is Tone.WORKING:
            self._shown[message.id] = shown
        else:
            self._shown.pop(message.id, None)
        return shown


def format_sse_event(name: str, data: JSON | MessageJson | list[MessageJson], position: str = "") -> bytes:
    """One event in SSE's own form."""
    head = f"id: {position}\n" if position else ""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"{head}event: {name}\ndata: {body}\n\n".encode("utf-8", "replace")
