"""The editor keeps messages equal to a growing answer."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.jobs import MessageState, PostedMessage
from bot.core.platform import MessageLimits, MessageLost
from bot.core.replies import Button, MessageRef, Progress, Reply, Stage
from bot.streaming import editor as editor_module
from bot.streaming.editor import MessageEditor
from bot.streaming.pacer import EditBucket
from tests.fakes.clock import ManualClock
from tests.fakes.event_loop import settle
from tests.streaming.timed_platform import DESTINATION, TimedPlatform

STOP = (Button("cancel", "Stop", "job1"),)
PLACEHOLDER = PostedMessage("job1", 0, MessageRef("fake", "team", "general", "", "m0"))


def working(text: str) -> Reply:
    return Reply(text, progress=Progress(Stage.RUNNING), note="llama", buttons=STOP)


@dataclass
class EditorBench:
    """An editor, its platform, and the recorded rows."""

    clock: ManualClock
    platform: TimedPlatform
    rows: dict[int, PostedMessage] = field(default_factory=lambda: {0: PLACEHOLDER})

    def editor(self) -> MessageEditor:
        return MessageEditor(self.platform, DESTINATION, list(self.rows.values()), record=self.record, clock=self.clock)

    async def record(self, message: PostedMessage) -> None:
        self.rows[message.part] = message


@pytest.fixture
def desk() -> EditorBench:
    clock = ManualClock()
    return EditorBench(clock, TimedPlatform(clock))


async def test_the_latest_text_wins_and_one_edit_is_in_flight(desk: EditorBench) -> None:
    desk.platform.seconds_there = 0.1
    editor = desk.editor()

    for words in ("one", "one two", "one two three"):
        editor.show(working(words))
        await settle()
    await desk.clock.advance(1)

    assert [reply.text for _, _, reply in desk.platform.events] == ["one", "one two three"]
    assert desk.platform.max_in_flight == 1
    await editor.aclose()


async def test_nothing_is_edited_without_a_change(desk: EditorBench) -> None:
    editor = desk.editor()

    for _ in range(5):
        editor.show(working("the same"))
        await desk.clock.advance(1)
    await editor.finish(working("the same"))

    assert len(desk.platform.events) == 1


async def test_the_final_edit_shows_everything(desk: EditorBench) -> None:
    editor = desk.editor()
    editor.show(working("Once upon"))
    await desk.clock.advance(1)

    rows = await editor.finish(Reply("Once upon a time.", note="done"))

    assert desk.platform.replies["m0"] == Reply("Once upon a time.", note="done")
    assert [(row.part, row.state, row.start, row.end) for row in rows] == [(0, MessageState.FINAL, 0, 17)]


async def test_the_final_edit_overtakes_a_waiting_edit(desk: EditorBench) -> None:
    desk.platform.bucket = EditBucket(desk.clock, limit=5, window_seconds=5, spacing_factor=1.1)
    editor = desk.editor()
    editor.show(working("first"))
    await desk.clock.advance(0.1)
    editor.show(working("first second"))
    await desk.clock.advance(0.1)

    await editor.finish(Reply("first second third"))

    assert [(round(at, 2), reply.text) for at, _, reply in desk.platform.events] == [
        (0, "first"),
        (0.2, "first second third"),
    ]


async def test_the_final_edit_lets_an_edit_in_flight_arrive_first(desk: EditorBench) -> None:
    desk.platform.seconds_there = 0.5
    editor = desk.editor()
    editor.show(working("first"))
    await desk.clock.advance(0.1)

    finish = asyncio.create_task(editor.finish(Reply("first and last")))
    await desk.clock.advance(2)

    assert [reply.text for _, _, reply in desk.platform.events] == ["first", "first and last"]
    assert desk.platform.max_in_flight == 1
    await finish


LONG = "A sentence that fills the page. " * 20


async def test_a_long_text_rolls_over_and_buttons_stay_with_the_last_message(desk: EditorBench) -> None:
    editor = desk.editor()
    for end in range(0, len(LONG), 40):
        editor.show(working(LONG[:end]))
        await desk.clock.advance(0.1)

    rows = await editor.finish(Reply(LONG, note="the end", buttons=STOP))

    shown = desk.platform.replies
    assert desk.platform.text == LONG
    assert [reply.buttons for reply in shown.values()] == [()] * (len(shown) - 1) + [STOP]
    assert [reply.note for reply in shown.values()] == [""] * (len(shown) - 1) + ["the end"]
    assert all(len(reply.text) <= 200 for reply in shown.values())
    assert [row.state for row in rows] == [MessageState.CLOSED] * (len(rows) - 1) + [MessageState.FINAL]
    assert "".join(LONG[row.start : row.end] for row in rows) == LONG


async def test_each_part_is_posted_after_the_one_before_it_with_a_nonce_of_its_own(desk: EditorBench) -> None:
    editor = desk.editor()

    await editor.finish(Reply(LONG))

    posted = desk.platform.destinations
    assert [destination.nonce for destination in posted] == [f"job1:{n}" for n in range(1, len(posted) + 1)]
    assert [destination.previous_part.id if destination.previous_part else "" for destination in posted] == [
        f"m{n}" for n in range(len(posted))
    ]


async def test_a_part_is_closed_and_recorded_before_the_next_is_posted(desk: EditorBench) -> None:
    seen: list[tuple[int, MessageState, int]] = []

    async def record(row: PostedMessage) -> None:
        seen.append((row.part, row.state, len(desk.platform.destinations)))

    editor = MessageEditor(desk.platform, DESTINATION, [PLACEHOLDER], record=record, clock=desk.clock)

    editor.show(working(LONG[:300]))
    await desk.clock.advance(1)

    assert seen == [(0, MessageState.CLOSED, 0), (1, MessageState.POSTED, 1)]
    await editor.aclose()


async def test_a_code_block_goes_on_in_the_next_message(desk: EditorBench) -> None:
    text = "```python\n" + "value = compute()\n" * 20 + "```"
    editor = desk.editor()

    await editor.finish(Reply(text))

    assert all(reply.text.startswith("```python\n") for reply in desk.platform.replies.values())
    assert all(reply.text.count("```") == 2 for reply in desk.platform.replies.values())


async def test_after_a_restart_the_text_continues_in_the_last_message(desk: EditorBench) -> None:
    first = desk.editor()
    first.show(working(LONG[:400]))
    await desk.clock.advance(1)
    await first.aclose()
    before = dict(desk.platform.replies)
    desk.platform.events.clear()

    second = desk.editor()
    for end in range(0, 500, 50):
        second.show(working(LONG[:end]))
        await desk.clock.advance(0.1)
    await second.finish(Reply(LONG))

    assert "".join(reply.text for reply in {**before, **desk.platform.replies}.values()) == LONG
    assert list(before) == ["m0", "m1", "m2"]
    assert not {"m0", "m1"} & set(desk.platform.replies)
    assert all(len(reply.text) > 0 for _, _, reply in desk.platform.events)


async def test_shown_words_stay_until_the_next_message_shows_them(desk: EditorBench) -> None:
    text = f"{'One paragraph. ' * 8}\n\n{'Another one. ' * 20}"
    editor = desk.editor()
    editor.show(working(text[:170]))
    await desk.clock.advance(1)
    assert [message for _, message, _ in desk.platform.events] == ["m0"]

    editor.show(working(text[:260]))
    await desk.clock.advance(1)

    _, (_, second, posted), (_, first, shortened) = desk.platform.events
    assert (second, first) == ("m1", "m0")
    assert posted.text.startswith("Another one.")
    assert shortened.text == text[:122]
    await editor.finish(Reply(text))
    assert desk.platform.text == text


async def test_a_crash_before_the_old_message_is_shortened_is_mended(desk: EditorBench) -> None:
    text = f"{'One paragraph. ' * 8}\n\n{'Another one. ' * 6}"
    first = desk.editor()
    first.show(working(text[:170]))
    await desk.clock.advance(1)
    desk.platform.seconds_there = 0.5
    first.show(working(text))
    await desk.clock.advance(0.8)  # the new message is recorded, the edit of the old one is under way
    assert [row.state for row in desk.rows.values()] == [MessageState.POSTED, MessageState.POSTED]
    closing = asyncio.create_task(first.aclose())
    await desk.clock.advance(0)
    desk.platform.seconds_there = 0.0

    second = desk.editor()
    second.show(working(text[:50]))
    second.show(working(text))
    await second.finish(Reply(text))

    assert desk.platform.replies["m0"].text == text[:122]
    assert desk.platform.replies["m1"].text == text[122:]
    await desk.clock.advance(5)
    await closing


async def test_a_failed_edit_is_tried_again_with_the_newest_text(
    desk: EditorBench, caplog: pytest.LogCaptureFixture
) -> None:
    desk.platform.failures.append(ConnectionError("reset"))
    editor = desk.editor()
    editor.show(working("one"))
    await settle()
    editor.show(working("one two"))

    await desk.clock.advance(5)

    assert [reply.text for _, _, reply in desk.platform.events] == ["one two"]
    assert "editor.edit_failed" in caplog.text
    await editor.aclose()


async def test_a_final_edit_is_tried_a_few_times_and_then_fails(desk: EditorBench) -> None:
    desk.platform.failures.extend(ConnectionError("reset") for _ in range(9))
    finish = asyncio.create_task(desk.editor().finish(Reply("the end")))

    await desk.clock.advance(60)

    with pytest.raises(ConnectionError):
        await finish
    assert len(desk.platform.failures) == 4


async def test_a_final_edit_survives_two_failures(desk: EditorBench) -> None:
    desk.platform.failures.extend(ConnectionError("reset") for _ in range(2))
    finish = asyncio.create_task(desk.editor().finish(Reply("the end")))

    await desk.clock.advance(60)

    assert (await finish)[0].state is MessageState.FINAL
    assert desk.platform.text == "the end"


async def test_a_lost_message_is_raised_at_the_end(desk: EditorBench) -> None:
    desk.platform.failures.append(MessageLost("the channel is gone"))
    editor = desk.editor()
    editor.show(working("one"))
    await desk.clock.advance(1)
    editor.show(working("one two"))
    await desk.clock.advance(1)

    with pytest.raises(MessageLost, match="the channel is gone"):
        await editor.finish(Reply("one two three"))

    assert desk.platform.events == []


async def test_without_a_placeholder_the_first_message_is_posted(desk: EditorBench) -> None:
    desk.rows.clear()
    editor = desk.editor()

    rows = await editor.finish(Reply("Sorry."))

    assert desk.platform.destinations == [DESTINATION]
    assert [(row.job, row.part, row.ref.id) for row in rows] == [("job1", 0, "m1")]


async def test_white_space_alone_is_not_posted(desk: EditorBench) -> None:
    await desk.editor().finish(Reply("word " * 30 + "\n" * 700, buttons=STOP))

    assert list(desk.platform.replies) == ["m0"]
    assert desk.platform.replies["m0"].buttons == STOP


async def test_a_final_text_that_differs_is_shown_whole(desk: EditorBench) -> None:
    editor = desk.editor()
    editor.show(working(LONG))
    await desk.clock.advance(5)

    await editor.finish(Reply("Something else altogether.", note="edited"))

    shown = list(desk.platform.replies.values())
    assert shown[0] == Reply("Something else altogether.", note="edited")
    assert {reply.text for reply in shown[1:]} == {"…"}


async def test_a_stop_waits_for_the_edit_in_flight_alone(desk: EditorBench) -> None:
    desk.platform.bucket = EditBucket(desk.clock, limit=1, window_seconds=1000, spacing_factor=1.1)
    editor = desk.editor()
    editor.show(working("one"))
    await desk.clock.advance(1)
    editor.show(working("one two"))
    await desk.clock.advance(1)

    await asyncio.wait_for(editor.aclose(), 1)
    editor.show(working("one two three"))
    await desk.clock.advance(2000)

    assert [reply.text for _, _, reply in desk.platform.events] == ["one"]


async def test_a_row_that_could_not_be_recorded_is_recorded_later(desk: EditorBench) -> None:
    failures = [ConnectionError("database is away")]

    async def record(row: PostedMessage) -> None:
        if failures:
            raise failures.pop()
        await desk.record(row)

    editor = MessageEditor(desk.platform, DESTINATION, [PLACEHOLDER], record=record, clock=desk.clock)
    finish = asyncio.create_task(editor.finish(Reply(LONG[:300])))
    await desk.clock.advance(10)

    await finish
    assert desk.rows[0].state is MessageState.CLOSED
    assert desk.platform.text == LONG[:300]


async def test_a_stop_gives_up_an_edit_that_never_ends(desk: EditorBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editor_module, "_LAST_EDIT_SECONDS", 0.01)
    desk.platform.seconds_there = 1e9
    editor = desk.editor()
    editor.show(working("one"))
    await settle()

    await asyncio.wait_for(editor.aclose(), 5)

    assert desk.platform.in_flight == 0


words = st.lists(
    st.sampled_from(["word ", "A sentence. ", "\n\n", "```py\n", "```\n", "x = 1\n", "- item\n"]), max_size=80
)


@given(words, st.integers(1, 9), st.integers(0, 3), st.lists(st.booleans(), max_size=10))
def test_every_word_is_shown_once_after_any_failures(
    words: list[str], burst: int, restarts: int, breaks: list[bool]
) -> None:
    asyncio.run(check_every_word(words, burst, restarts, breaks))


async def check_every_word(words: list[str], burst: int, restarts: int, breaks: list[bool]) -> None:
    clock = ManualClock()
    desk = EditorBench(clock, TimedPlatform(clock, limits=MessageLimits(80), seconds_there=0.02, seconds_back=0.02))
    text = "".join(words)
    for restart in range(restarts + 1):
        editor = desk.editor()
        for end in range(0, len(words) * (restart + 1) // (restarts + 1), burst):
            if breaks and breaks.pop():
                desk.platform.failures.append(ConnectionError("reset"))
            editor.show(working("".join(words[:end])))
            await clock.advance(0.05)
        await clock.advance(30)
        await editor.aclose()
    desk.platform.failures.clear()

    finish = asyncio.create_task(desk.editor().finish(Reply(text)))
    await clock.advance(60)

    rows = await finish
    assert "".join(text[row.start : row.end] for row in rows).split() == text.split()
    assert all(len(reply.text) <= 80 for _, _, reply in desk.platform.events)
    assert desk.platform.max_in_flight <= 2  # the last edit of a message, and the post of the next
    assert replace(rows[-1], state=MessageState.FINAL) == rows[-1]
