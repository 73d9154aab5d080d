"""One reply, however long its text, as the messages that show it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bot.core.clock import Clock
from bot.core.jobs import MessageState, PostedMessage
from bot.core.platform import Destination, MessageFull, MessageLimits, MessageLost, Pacer, Platform
from bot.core.replies import MessageRef, Reply, Tone
from bot.streaming.splitter import Splitter, TextPart
from bot.telemetry import metrics

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


# MERGED One answer, over as many messages as it needs, kept in step with a growing text.
# MERGED One writer, one edit in flight, the latest text wins, no edit without a change. Whoever reads the model
# MERGED never waits.

log = logging.getLogger(__name__)

PartRecorder = Callable[[PostedMessage], Awaitable[None]]

_FINAL_ATTEMPTS = 5
_LONGEST_BACKOFF_SECONDS = 8.0
_LAST_EDIT_SECONDS = 5.0
"""How long a stop waits for the edit in flight."""
_REMOVED_TEXT = "…"
"""What a message shows whose text the final answer no longer has."""


@contextmanager
def counted(platform: str) -> Iterator[None]:
    """Count the post or edit inside by its outcome; a cancelled call has none and is not counted."""
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
    """The end of the text that it has shown."""


class MessageEditor:
    """Shows one job's reply in its messages.

    `parts` are the messages posted so far, as the database has them, perhaps none; text goes on in the last one. The
    `destination`'s nonce is `job:0`; further parts are posted after the one before, as `job:1` and so on, and each
    message is given to `record` when it is posted and when its text range is settled.
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
        self._first = max(0, len(self._messages) - 1)
        last = self._messages[-1].row if self._messages else None
        self._layout = MessageLayout(
            platform.limits, start=last.start if last else 0, opening=last.opening if last else ""
        )
        self._reply: Reply | None = None
        self._latest: Reply | Callable[[], Reply] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._is_waiting = False
        self._is_stopping = False
        self._lost: MessageLost | None = None

    def show(self, reply: Reply | Callable[[], Reply]) -> None:
        """Have this shown soon; its text is the whole text. Returns at once.

        A function is called when there is a turn to edit, and then gives the newest: most tokens of a fast model are
        never shown by themselves, so nothing should be made ready for each.
        """
        if self._is_stopping or self._lost is not None:
            return
        self._latest = reply
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def finish(self, reply: Reply) -> list[PostedMessage]:
        """Have this shown, and wait until it is. Gives every message, to be stored with the job's end.

        Raises `MessageLost`, now or if an earlier edit met it, and the platform's error when it fails again and again.
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
        """Stop without a last word. An edit in flight may end."""
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
        """Work until everything is shown. An error is not the end: the next edit tries again."""
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
        """Wait with nothing in flight, so that `finish` may break in."""
        self._is_waiting = True
        try:
            await wait
        finally:
            self._is_waiting = False

    def _take_latest(self) -> None:
        """Take up the newest reply."""
        if self._latest is None:
            return
        reply = self._latest() if callable(self._latest) else self._latest
        # After a restart the model's text comes again from its first word: what is on the screen already stays.
        if not self._messages or len(reply.text) >= self._messages[-1].row.start:
            self._reply = reply

    async def _step(self, *, is_final: bool) -> bool:
        """Bring the first message that differs in step; False when none does."""
        self._take_latest()
        if self._reply is None:
            return False
        for n, page in enumerate(self._pages(), self._first):
            if n == len(self._messages):
                await self._run_unless_full(self._post(page, is_final=is_final), n)
                return True
            message = self._messages[n]
            if message.shown != page.reply:
                await self._wait(message.pacer.wait_for_edit(is_final=is_final))
                await self._run_unless_full(self._edit(message, n), n)
                return True
            await self._settle(message, page, is_final=is_final)
        return False

    def _pages(self) -> list[MessagePage]:
        """What each message from `_first` on should show now."""
        reply = self._reply or Reply()
        pages = self._layout.lay_out(reply)
        surplus = self._messages[self._first + len(pages) :]
        taken_back = Reply(_REMOVED_TEXT, is_private=reply.is_private)
        end = replace(pages[-1].part, start=pages[-1].part.end, opening="", closing="")
        return [*pages, *(MessagePage(end, taken_back, False) for _ in surplus)]

    async def _run_unless_full(self, work: Awaitable[None], n: int) -> None:
        """Post or edit; where the message takes no more, the text is laid out anew from it on."""
        try:
            await work
        except MessageFull as full:
            part = self._pages()[n - self._first].part
            reached = self._messages[n].reached if n < len(self._messages) else part.start
            end_from = None if full.room is not None else max(reached, part.start)
            if not self._layout.narrow(part, room=full.room, end_from=end_from):
                raise

    async def _edit(self, message: _Message, n: int) -> None:
        """The newest text may differ from the one that asked for the turn."""
        self._take_latest()
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
        """Another message took its place: the database must know before anything else is done with it."""
        message.pacer.close()
        message.row, message.pacer = replace(message.row, ref=to), self._platform.pacer(to)
        message.is_recorded = False
        await self._record(message.row)
        message.is_recorded = True

    async def _post(self, page: MessagePage, *, is_final: bool) -> None:
        job, n = self._destination.nonce.rpartition(":")[0], len(self._messages)
        after = self._messages[-1].row.ref if self._messages else None
        destination = replace(self._destination, nonce=f"{job}:{n}", previous_part=after) if n else self._destination
        with counted(self._platform.name):
            ref = await self._platform.post(destination, page.reply)
        row = PostedMessage(job, n, ref, start=page.part.start, end=page.part.start, opening=page.part.opening)
        message = _Message(row, self._platform.pacer(ref), page.reply, is_recorded=False, reached=page.part.end)
        self._messages.append(message)
        await self._settle(message, page, is_final=is_final)

    async def _settle(self, message: _Message, page: MessagePage, *, is_final: bool) -> None:
        """Note the text range of a message that shows its page, and record what the database does not know yet.

        The final state of the last message is left to the caller, who stores it together with the job's.
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
