"""Shows a growing reply in as many messages as its text needs, by paced posts and edits.

One writer task per reply, one post or edit in flight (two at the end of a long text), the latest text wins, no edit
without a change. The reader of the model's tokens never waits for the platform.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bot.core.clock import Clock
from bot.core.jobs import MessageState, PostedMessage
from bot.core.limits import MAX_SPLIT_ON_LOOP_CHARACTERS
from bot.core.platform import (
    Destination,
    MessageFull,
    MessageLimits,
    MessageLost,
    Pacer,
    Platform,
    format_nonce,
    parse_job,
)
from bot.core.replies import MessageRef, Reply, Tone
from bot.streaming.splitter import Splitter, TextPart
from bot.telemetry import metrics

log = logging.getLogger(__name__)

PartRecorder = Callable[[PostedMessage], Awaitable[None]]

# Room in each message for the progress or the note below the text.
_NOTE_RESERVE = 200

_FINAL_ATTEMPTS = 5
_LONGEST_BACKOFF_SECONDS = 8.0

# A stop waits this long for the edit in flight.
_LAST_EDIT_SECONDS = 5.0

# Shown by a message whose text the final answer no longer contains.
_REMOVED_TEXT = "…"


@dataclass(frozen=True, slots=True)
class MessagePage:
    """One message's reply, and its range of the whole text."""

    part: TextPart
    reply: Reply
    is_last: bool


class MessageLayout:
    """Lays a growing reply out over messages. After a restart `start` and `opening` continue the last message."""

    def __init__(self, limits: MessageLimits, *, start: int = 0, opening: str = "") -> None:
        reserve = min(_NOTE_RESERVE, limits.max_length // 10)
        self._splitter = Splitter(limits, reserve=reserve, start=start, opening=opening)
        self._appends = limits.is_append_only

    def narrow(self, part: TextPart, *, room: int | None = None, end_from: int | None = None) -> bool:
        """Limit a message that takes less than expected; see `Splitter.narrow`."""
        return self._splitter.narrow(part.start, room=room, end_from=end_from)

    async def split(self, text: str) -> None:
        """Split a long text in a thread, so that `lay_out` of the text finds the parts."""
        if self._splitter.count_unsplit(text) > MAX_SPLIT_ON_LOOP_CHARACTERS:
            await asyncio.to_thread(self._splitter.update, text)

    def lay_out(self, reply: Reply) -> list[MessagePage]:
        """Return one page or more. Pictures, progress, note and buttons belong to the last page."""
        parts = self._splitter.update(reply.text)
        # Platforms refuse a message of white space alone, so a blank part has no page.
        *earlier, last = [part for part in parts if not part.is_blank(reply.text)] or parts[:1]
        is_growing = reply.tone is Tone.WORKING
        if (is_growing and self._appends) or (not is_growing and last.closing.startswith(" ")):
            # Appended text cannot reopen a closed fence. An operator `||` that no other follows hides nothing.
            last = replace(last, closing="")
        pages = [
            MessagePage(part, Reply(part.render(reply.text), is_private=reply.is_private), False) for part in earlier
        ]
        text = last.render(reply.text)
        return [*pages, MessagePage(last, reply if text == reply.text else replace(reply, text=text), True)]


async def lay_out_whole(reply: Reply, limits: MessageLimits) -> list[Reply]:
    """Return the messages of a reply that grows no more; a long text is split beside the event loop."""
    layout = MessageLayout(limits)
    await layout.split(reply.text)
    return [page.reply for page in layout.lay_out(reply)]


@contextmanager
def counted(platform: str) -> Iterator[None]:
    """Count the post or edit inside the block by outcome. A cancelled call is not counted."""
    try:
        yield
    except Exception as error:
        outcome = "lost" if isinstance(error, MessageLost) else "full" if isinstance(error, MessageFull) else "failed"
        metrics.edits.labels(platform=platform, outcome=outcome).inc()
        raise
    metrics.edits.labels(platform=platform, outcome="shown").inc()


@dataclass(slots=True)
class _Message:
    row: PostedMessage
    pacer: Pacer
    shown: Reply | None = None
    is_recorded: bool = True
    reached: int = 0
    """End of the shown range of the whole text."""


class MessageEditor:
    """Shows one job's reply in its messages.

    `parts` are the posted messages in the database, perhaps none; the text continues in the last message. The
    `destination`'s nonce is `job:0`; each further part is posted after the part before, as `job:1` and so on. `record`
    stores each message after the post and when the message's text range is final.
    """

    def __init__(
        self,
        platform: Platform,
        destination: Destination,
        parts: Sequence[PostedMessage] = (),
        *,
        record: PartRecorder,
        clock: Clock,
    ) -> None:
        self._platform = platform
        self._destination = destination
        self._record = record
        self._clock = clock
        self._messages = [_Message(row, platform.pacer(row.ref)) for row in sorted(parts, key=lambda row: row.part)]
        # A crash may have come between a new message and the last edit of the message before.
        unfinished = [n for n, message in enumerate(self._messages) if message.row.state is not MessageState.CLOSED]
        self._first = min(unfinished, default=max(0, len(self._messages) - 1))
        first = self._messages[self._first].row if self._messages else None
        self._layout = MessageLayout(
            platform.limits, start=first.start if first else 0, opening=first.opening if first else ""
        )
        self._reply: Reply | None = None
        self._latest: Reply | Callable[[], Reply] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._is_waiting = False
        self._is_stopping = False
        self._lost: MessageLost | None = None

    @property
    def shows_previews(self) -> bool:
        """Whether the platform shows unfinished pictures."""
        return self._platform.limits.shows_previews

    def show(self, reply: Reply | Callable[[], Reply]) -> None:
        """Show a reply with the whole text soon. Returns at once.

        A function is called only when an edit may be sent: most tokens of a fast model are never shown alone, so a
        reply for each token would be wasted work.
        """
        if self._is_stopping or self._lost is not None:
            return
        self._latest = reply
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def finish(self, reply: Reply) -> list[PostedMessage]:
        """Show the final reply, and return all messages, for the caller to store with the job's end.

        Raise `MessageLost` if a message is lost now or was lost earlier, and the platform's error after five failures.
        """
        await self._stop()
        if self._lost is not None:
            raise self._lost
        self._reply, self._latest = reply, None
        failures = 0
        while failures < _FINAL_ATTEMPTS:
            try:
                if not await self._step(is_final=True):
                    break
                failures = 0
            except MessageLost:
                raise
            except Exception as error:  # an SDK may raise anything
                failures += 1
                if failures == _FINAL_ATTEMPTS:
                    raise
                await self._back_off(error, failures)
        self._close_pacers()
        return [message.row for message in self._messages]

    async def aclose(self) -> None:
        """Stop without a final edit. An edit in flight has five seconds to end."""
        await self._stop(timeout=_LAST_EDIT_SECONDS)
        self._close_pacers()

    async def _stop(self, timeout: float | None = None) -> None:
        self._is_stopping = True
        if self._writer is None or self._writer.done():
            return
        if self._is_waiting:
            self._writer.cancel()
        _, pending = await asyncio.wait([self._writer], timeout=timeout)
        for writer in pending:
            writer.cancel()
            await asyncio.wait([writer])

    def _close_pacers(self) -> None:
        for message in self._messages:
            message.pacer.close()

    async def _write(self) -> None:
        """Post and edit until the messages show the latest reply. After an error the next edit tries again."""
        failures = 0
        while not self._is_stopping:
            try:
                if not await self._step(is_final=False):
                    return
                failures = 0
            except MessageLost as error:
                log.info("editor.message_lost", extra={"nonce": self._destination.nonce, "reason": str(error)})
                self._lost = error
                return
            except Exception as error:  # an SDK may raise anything
                failures += 1
                await self._back_off(error, failures)

    async def _back_off(self, error: Exception, failures: int) -> None:
        log.warning("editor.edit_failed", extra={"nonce": self._destination.nonce, "reason": repr(error)})
        await self._wait(self._clock.sleep(min(0.25 * 2**failures, _LONGEST_BACKOFF_SECONDS)))

    async def _wait(self, wait: Awaitable[None]) -> None:
        """Wait without an edit in flight, so that `finish` may cancel the writer."""
        self._is_waiting = True
        try:
            await wait
        finally:
            self._is_waiting = False

    def _take_latest(self) -> None:
        if self._latest is None:
            return
        reply = self._latest() if callable(self._latest) else self._latest
        # After a restart the model's text arrives again from the first word: keep the text that is shown already.
        if not self._messages or len(reply.text) >= self._messages[-1].row.start:
            self._reply = reply

    async def _step(self, *, is_final: bool) -> bool:
        """Post or edit the first message that differs from its page; return False if all messages agree."""
        self._take_latest()
        if self._reply is None:
            return False
        await self._layout.split(self._reply.text)
        for n, page in enumerate(self._pages(), self._first):
            if n == len(self._messages):
                await self._run_unless_full(self._post(page, is_final=is_final), n)
                return True
            message = self._messages[n]
            if message.shown != page.reply:
                if is_final and self._is_shortened(n) and await self._post_next(n, is_final=True):
                    return True  # the last words do not wait for the edit of the message before
                await self._wait(message.pacer.wait_for_edit(is_final=is_final))
                if is_final and (following := self._find_next_page(n)) is not None:
                    await self._edit_and_post(message, n, following)
                    return True
                if self._is_shortened(n):
                    await self._post_next(n, is_final=is_final)
                await self._run_unless_full(self._edit(message, n), n)
                return True
            await self._settle(message, page, is_final=is_final)
        return False

    def _is_shortened(self, n: int) -> bool:
        """Return whether the next edit of a message takes away words that the message shows."""
        self._take_latest()
        return self._messages[n].reached > self._pages()[n - self._first].part.end

    def _find_next_page(self, n: int) -> MessagePage | None:
        """Return the page of the message to post after the last message, if any.

        An append-only message loses no text, and may turn out to be full: the next message has to wait.
        """
        pages, following = self._pages(), n + 1 - self._first
        if n != len(self._messages) - 1 or self._platform.limits.is_append_only or following >= len(pages):
            return None
        return pages[following]

    async def _post_next(self, n: int, *, is_final: bool) -> bool:
        """Post the next message before the last one is shortened: what was shown must not vanish.

        Return whether a message was posted.
        """
        if (page := self._find_next_page(n)) is None:
            return False
        await self._post(page, is_final=is_final)
        return True

    async def _edit_and_post(self, message: _Message, n: int, following: MessagePage) -> None:
        """Send the last edit of a message and the next message at once: neither waits for the other's round trip."""
        results = await asyncio.gather(
            self._edit(message, n), self._post(following, is_final=True), return_exceptions=True
        )
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors:
            raise next((error for error in errors if isinstance(error, MessageLost)), errors[0])

    def _pages(self) -> list[MessagePage]:
        """Return the pages of the messages from `_first` on."""
        reply = self._reply or Reply()
        pages = self._layout.lay_out(reply)
        surplus = self._messages[self._first + len(pages) :]
        if not surplus:
            return pages
        removed = Reply(_REMOVED_TEXT, is_private=reply.is_private)
        end = replace(pages[-1].part, start=pages[-1].part.end, opening="", closing="")
        return [*pages, *(MessagePage(end, removed, False) for _ in surplus)]

    async def _run_unless_full(self, work: Awaitable[None], n: int) -> None:
        """Run a post or an edit. If the message is full, lay the text out again from that message on."""
        try:
            await work
        except MessageFull as full:
            part = self._pages()[n - self._first].part
            reached = self._messages[n].reached if n < len(self._messages) else part.start
            end_from = None if full.room is not None else max(reached, part.start)
            if not self._layout.narrow(part, room=full.room, end_from=end_from):
                raise

    async def _edit(self, message: _Message, n: int) -> None:
        # The latest text may be newer than the text for which the edit was scheduled.
        self._take_latest()
        await self._layout.split(self._reply.text if self._reply else "")
        page = self._pages()[n - self._first]
        if message.shown == page.reply:
            return
        message.shown = None  # a broken edit may have arrived
        with counted(self._platform.name):
            moved = await self._platform.edit(message.row.ref, page.reply)
        message.shown, message.reached = page.reply, page.part.end
        if moved is not None and moved != message.row.ref:
            await self._move(message, moved)

    async def _move(self, message: _Message, to: MessageRef) -> None:
        """Replace a message by another message of the platform."""
        # Store the new reference before any further edit: after a crash the old reference leads nowhere.
        message.pacer.close()
        message.row, message.pacer = replace(message.row, ref=to), self._platform.pacer(to)
        message.is_recorded = False
        await self._record(message.row)
        message.is_recorded = True

    async def _post(self, page: MessagePage, *, is_final: bool) -> None:
        job, n = parse_job(self._destination.nonce), len(self._messages)
        after = self._messages[-1].row.ref if self._messages else None
        destination = (
            replace(self._destination, nonce=format_nonce(job, n), previous_part=after) if n else self._destination
        )
        with counted(self._platform.name):
            ref = await self._platform.post(destination, page.reply)
        row = PostedMessage(job, n, ref, start=page.part.start, end=page.part.start, opening=page.part.opening)
        message = _Message(row, self._platform.pacer(ref), page.reply, is_recorded=False, reached=page.part.end)
        self._messages.append(message)
        await self._settle(message, page, is_final=is_final)

    async def _settle(self, message: _Message, page: MessagePage, *, is_final: bool) -> None:
        """Set the text range of a message that shows its page, and record a change.

        The caller of `finish` stores the final state of the last message, in one transaction with the job's end.
        """
        row = replace(message.row, start=page.part.start, opening=page.part.opening)
        if not page.is_last:
            row = replace(row, end=page.part.end, state=MessageState.CLOSED)
        elif is_final:
            row = replace(row, end=page.part.end, state=MessageState.FINAL)
        is_news = row != message.row and row.state is not MessageState.FINAL
        message.row, message.is_recorded = row, message.is_recorded and not is_news
        if not message.is_recorded:
            await self._record(row)
            message.is_recorded = True


class SilentEditor:
    """Shows nothing: the editor of a job whose result another job's message shows."""

    shows_previews = False

    def show(self, reply: Reply | Callable[[], Reply]) -> None:
        """Show nothing."""

    async def finish(self, reply: Reply) -> list[PostedMessage]:
        """Return no message."""
        return []
