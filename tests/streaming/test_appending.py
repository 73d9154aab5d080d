"""Append-only messages: shown text stays, and each message ends before it is full."""

from dataclasses import dataclass, field, replace

from hypothesis import example, given
from hypothesis import strategies as st

from bot.core.jobs import PostedMessage
from bot.core.platform import MessageFull, MessageLimits
from bot.core.replies import MessageRef, Reply, Tone
from bot.streaming.editor import MessageEditor, MessageLayout
from bot.streaming.splitter import Splitter
from tests.fakes.clock import ManualClock
from tests.fakes.event_loop import settle
from tests.streaming.test_splitter import limits, open_fence, size, texts
from tests.streaming.timed_platform import DESTINATION, TimedPlatform

APPENDS = MessageLimits(200, is_append_only=True)
PLACEHOLDER = PostedMessage("job1", 0, MessageRef("fake", "team", "general", "", "m0"))


def appending(wanted: MessageLimits) -> MessageLimits:
    return replace(wanted, is_append_only=True)


@given(texts, limits)
def test_parts_join_to_the_text_and_fit(text: str, wanted: MessageLimits) -> None:
    parts = Splitter(appending(wanted)).update(text)

    assert "".join(text[part.start : part.end] for part in parts) == text
    assert all(size(part.render(text), wanted) <= wanted.max_length for part in parts)


@given(texts, st.integers(1, 9))
@example("word " * 12 + "   ```js\n" + "a" * 200, 1)  # three marks inside a line may begin code that ends later
@example("word " * 12 + "\n```" + "a" * 160, 1)  # the first line of code is longer than the rest of the message
def test_a_text_that_arrives_in_pieces_is_cut_where_nothing_was_shown_beyond(text: str, step: int) -> None:
    splitter = Splitter(APPENDS)
    shown: dict[int, int] = {}

    for end in range(step, len(text) + step, step):
        for part in splitter.update(text[:end]):
            shown.setdefault(part.start, 0)
            # Signs may be shown beyond a cut that would have split a cluster, a mark or a fence's line.
            assert part.end >= shown[part.start] - APPENDS.max_length // 2
            shown[part.start] = part.end


def test_a_part_ends_at_the_first_block_once_it_is_nearly_full() -> None:
    paragraph = "Twenty letters long.\n\n"

    first, *_ = Splitter(APPENDS).update(paragraph * 20)

    assert first.end % len(paragraph) == 0
    assert 160 <= first.end < 200


def test_a_part_without_any_good_place_is_cut_before_it_overflows() -> None:
    parts = Splitter(APPENDS).update("x" * 500)

    assert [part.end for part in parts] == [200, 400, 500]


def test_code_is_closed_and_opened_again() -> None:
    text = "```python\n" + "print(1)\n" * 60 + "```\n"

    parts = Splitter(APPENDS).update(text)

    assert len(parts) > 1
    assert all(open_fence(part.render(text)) == "" for part in parts)
    assert all(part.opening == "```python" for part in parts[1:])


def test_an_open_fence_of_a_growing_message_stays_open() -> None:
    layout = MessageLayout(APPENDS)
    text = "```python\nprint(1)\n"

    growing = layout.lay_out(Reply(text, tone=Tone.WORKING))[-1].reply.text
    final = layout.lay_out(Reply(text, tone=Tone.DONE))[-1].reply.text

    assert growing == text
    assert final == f"{text}```"


def test_a_message_that_must_end_ends_at_the_next_good_place() -> None:
    splitter = Splitter(APPENDS)
    splitter.update("A line.\nAnother one.\n")

    assert splitter.narrow(0, end_from=14)
    assert not splitter.narrow(0, end_from=14)
    parts = splitter.update("A line.\nAnother one.\nA third.\n")

    assert [part.end for part in parts] == [21, 30]


def test_a_part_with_less_room_is_split_again() -> None:
    splitter = Splitter(MessageLimits(200))
    text = "Some words. " * 30
    assert splitter.update(text)[0].end > 100

    splitter.narrow(0, room=60)
    parts = splitter.update(text)

    assert parts[0].end <= 60
    assert parts[1].end - parts[1].start > 100
    assert "".join(text[part.start : part.end] for part in parts) == text


@dataclass
class MovingPlatform(TimedPlatform):
    """A platform whose first message is replaced at the first text; a message in `full` takes no more text."""

    full: dict[str, int | None] = field(default_factory=dict)

    async def edit(self, message: MessageRef, reply: Reply) -> MessageRef | None:  # type: ignore[override] # the message may be replaced
        if message.id in self.full:
            raise MessageFull(self.full.pop(message.id))
        if message.id == "m0":
            moved = replace(message, id="m0-moved")
            await self._travel(moved, reply)
            return moved
        await self._travel(message, reply)
        return None


@dataclass
class AppendingBench:
    """An editor on a platform that replaces messages, and the recorded rows."""

    clock: ManualClock
    platform: MovingPlatform
    rows: list[PostedMessage] = field(default_factory=list)

    def editor(self) -> MessageEditor:
        return MessageEditor(self.platform, DESTINATION, [PLACEHOLDER], record=self.record, clock=self.clock)

    async def record(self, message: PostedMessage) -> None:
        self.rows.append(message)


def desk() -> AppendingBench:
    clock = ManualClock()
    return AppendingBench(clock, MovingPlatform(clock, APPENDS))


def working(text: str) -> Reply:
    return Reply(text, tone=Tone.WORKING)


async def test_a_message_that_moved_is_recorded_before_it_is_edited_again() -> None:
    at = desk()
    editor = at.editor()

    editor.show(working("Once"))
    await settle()
    assert at.rows[-1].ref.id == "m0-moved"
    rows = await editor.finish(Reply("Once upon a time."))

    assert [row.ref.id for row in rows] == ["m0-moved"]
    assert at.platform.replies["m0-moved"].text == "Once upon a time."


async def test_a_full_message_ends_and_the_rest_goes_on_in_another() -> None:
    at = desk()
    editor = at.editor()
    editor.show(working("The first line.\n"))
    await settle()
    at.platform.full["m0-moved"] = None

    editor.show(working("The first line.\nThe second line.\nThe third line.\n"))
    await at.clock.advance(1)
    rows = await editor.finish(Reply("The first line.\nThe second line.\nThe third line.\nThe end."))

    shown = list(at.platform.replies.values())
    assert "".join(reply.text for reply in shown) == "The first line.\nThe second line.\nThe third line.\nThe end."
    assert len(rows) == 2


async def test_a_message_with_less_room_than_expected_is_laid_out_again() -> None:
    at = desk()
    editor = at.editor()
    editor.show(working("Once"))
    await settle()
    at.platform.full["m0-moved"] = 60
    text = "Once upon a time. " * 8

    rows = await editor.finish(Reply(text))

    shown = [reply.text for reply in at.platform.replies.values()]
    assert "".join(shown) == text
    assert len(shown[0]) <= 60
    assert len(rows) > 1
