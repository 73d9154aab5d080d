"""Reading how far a model is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.backends.http import ServerSentEvent
from bot.backends.model_texts import strip_prefix
from bot.backends.predictions import RunEvents, StreamedText, parse_percent, parse_prediction
from bot.core.backend import RunEnded, RunPreviewFile
from bot.core.json import JSON
from bot.core.models import OutputKind
from tests.backends.replicate.samples import make_model


@pytest.mark.parametrize(
    ("logs", "percent"),
    [
        ("", None),
        ("Using seed: 7\nloading 50% of it", None),
        ("Using seed: 7\n\r 25%|##        | 1/4 [00:01]\r 50%|#####     | 2/4 [00:02]", 50),
        ("  0%|          | 0/28 [00:00<?, ?it/s]", 0),
        (" 100%|##########| 4/4\n  0%|   | 0/9\nsaving", 0),
        ("250%|####| 5/2", 100),
        ("100%|####| 4/4" + " " * 8179, None),  # cut in the middle: neither 100 nor 0 can be trusted
        ("x\n" * 9000 + "\r 30%|###  | 3/10", 30),
    ],
)
def test_the_newest_bar_counts(logs: str, percent: int | None) -> None:
    assert parse_percent(logs) == percent


PREFIXES = ("ab", "abba")
TOKENS = st.lists(st.text("ab \n", max_size=3), max_size=8)


@settings(deadline=None)  # a busy machine is no bug
@given(TOKENS, st.data())
def test_broken_streams_repeats_and_polls_add_up_to_the_text(tokens: list[str], data: st.DataObject) -> None:
    whole = "".join(tokens)
    prefixes = data.draw(st.sampled_from([(), PREFIXES]))
    transcript = StreamedText(prefixes)
    given_out = ""
    for stop in data.draw(st.lists(st.integers(0, len(tokens)), max_size=3)):
        transcript.rewind()
        given_out += "".join(transcript.add_token(token) for token in tokens[:stop])
        given_out += transcript.add_whole_text(whole[: data.draw(st.integers(0, len(whole)))])
    given_out += transcript.add_whole_text(whole, is_final=True)

    assert given_out == strip_prefix(whole, prefixes)


def test_a_stream_that_contradicts_returned_text_is_held_back() -> None:
    transcript = StreamedText()
    transcript.add_whole_text("one two")

    assert [transcript.add_token(token) for token in ("one", " three", " four")] == ["", "", ""]
    assert transcript.add_whole_text("one two three") == " three"


def test_a_stream_joined_late_is_held_back_until_a_poll_agrees() -> None:
    transcript = StreamedText()
    transcript.add_whole_text("one two")

    assert transcript.add_token(" three") == ""
    assert transcript.add_whole_text("something else") == ""


def test_the_newest_picture_before_a_video_is_shown_once() -> None:
    events = RunEvents(make_model(OutputKind.VIDEO))
    running: dict[str, JSON] = {
        "id": "1",
        "status": "processing",
        "output": ["https://a.test/1.png", "https://a.test/2.PNG?x=1"],
    }
    streamed = ("https://a.test/2.PNG?x=1", "https://a.test/3.webm", "data:image/png;base64,", "https://a.test/4.jpg")
    whole = [*events.read_prediction(parse_prediction(running))]
    for url in streamed:
        whole += events.read_stream_event(ServerSentEvent("output", url, ""))
    whole += events.read_prediction(parse_prediction({**running, "status": "succeeded"}))

    assert [event.url for event in whole if isinstance(event, RunPreviewFile)] == [
        *("https://a.test/2.PNG?x=1", "https://a.test/4.jpg")
    ]
    assert isinstance(whole[-1], RunEnded)
    pictures = RunEvents(make_model(OutputKind.PICTURES))
    assert not any(isinstance(event, RunPreviewFile) for event in pictures.read_prediction(parse_prediction(running)))
