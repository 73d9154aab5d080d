"""The event reader returns the same events for any chunks of a stream."""

import time
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.backends.http import EventReader, ServerSentEvent
from bot.core.text import mend_text

BREAKS_OF_OTHERS = "\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e"
TEXTS = st.text(st.sampled_from("ab :é☃😀" + BREAKS_OF_OTHERS + "\ufeff"), max_size=8)
EVENTS = st.builds(
    ServerSentEvent,
    event=st.sampled_from(["output", "logs", "done", "error"]),
    data=st.lists(TEXTS, min_size=1, max_size=3).map("\n".join),
    id=st.sampled_from(["", "1690212292:0", "1690212293:17"]),
)


def written(event: ServerSentEvent, line_end: str) -> str:
    lines = [f"event: {event.event}", *([f"id: {event.id}"] if event.id else [])]
    lines += [f"data: {line}" for line in event.data.split("\n")]
    return "".join(line + line_end for line in [": comment", *lines, ""])


def read(*chunks: bytes) -> list[ServerSentEvent]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)]


@settings(deadline=None)  # a busy machine is no bug
@given(
    st.lists(EVENTS, max_size=5), st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 2000)), st.booleans()
)
def test_any_chunks_give_the_written_events(
    events: list[ServerSentEvent], line_end: str, cuts: list[int], has_mark: bool
) -> None:
    stream = b"\xef\xbb\xbf" * has_mark + "".join(written(event, line_end) for event in events).encode()
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    assert read(*(stream[start:end] for start, end in pairwise(places))) == events


@settings(deadline=None)  # a busy machine is no bug
@given(st.binary(max_size=200).map(lambda noise: noise.replace(b"a", b"data:").replace(b"b", b"\r\n\r\n")))
def test_one_byte_at_a_time_reads_like_one_piece(noise: bytes) -> None:
    assert read(*(noise[n : n + 1] for n in range(len(noise)))) == read(noise)


def test_an_event_is_returned_at_its_empty_line_and_not_a_byte_later() -> None:
    reader = EventReader()

    assert reader.feed(b"data: hi\r") == []
    assert reader.feed(b"\n\r") == [ServerSentEvent("message", "hi")]
    assert reader.feed(b"\ndata: there\n\n") == [ServerSentEvent("message", "there")]


def test_a_token_of_one_newline_is_two_empty_lines() -> None:
    assert read(b"event: output\ndata:\ndata:\n\n") == [ServerSentEvent("output", "\n")]
    assert read(b"event: output\ndata: \ndata: \n\n") == [ServerSentEvent("output", "\n")]


def test_an_empty_token_is_returned_and_an_event_without_data_is_not() -> None:
    assert read(b"event: output\ndata\n\nevent: output\n\n") == [ServerSentEvent("output", "")]


def test_exactly_one_space_is_removed() -> None:
    assert read(b"data:  two\n\ndata:none\n\n") == [
        ServerSentEvent("message", " two"),
        ServerSentEvent("message", "none"),
    ]


def test_comments_unknown_fields_and_ids_with_nul_are_left_alone() -> None:
    assert read(b": hi\nretry: 5\nfoo: bar\nid: 1\0\ndata: x\n\n") == [ServerSentEvent("message", "x")]


def test_an_event_cut_off_by_the_end_is_dropped() -> None:
    assert read(b"data: whole\n\ndata: half\n") == [ServerSentEvent("message", "whole")]


def test_a_line_of_four_megabytes_in_a_thousand_pieces_takes_no_time_to_speak_of() -> None:
    line = b"data: " + b"x" * 4_000_000 + b"\n\n"
    began = time.process_time()

    (event,) = read(*(line[n : n + 4096] for n in range(0, len(line), 4096)))

    assert len(event.data) == 4_000_000
    assert time.process_time() - began < 0.5  # joining anew at each piece would take over a second


def test_halves_of_a_character_in_two_events_can_be_joined() -> None:
    first, second = read(b"data: \xed\xa0\xbd\n\n", b"data: \xed\xb8\x80\n\n")

    assert mend_text(first.data + second.data) == "😀"
