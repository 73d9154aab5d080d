"""Predictions with any content become snapshots."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.backends.predictions import make_snapshot, parse_prediction, parse_time
from bot.core.backend import PredictionState, RunMetrics, RunSnapshot
from bot.core.models import Metric, Model
from tests.backends.replicate.samples import CAPTIONER, PAINTER, WRITER, make_prediction


def read(model: Model, status: str = "succeeded", **changes: Any) -> RunSnapshot:
    return make_snapshot(parse_prediction(make_prediction(status, **changes)), model)


@pytest.mark.parametrize(
    ("status", "more", "state"),
    [
        ("starting", {}, PredictionState.STARTING),
        ("aborted", {}, PredictionState.ABORTED),
        ("successful", {}, PredictionState.SUCCEEDED),
        ("cancelled", {}, PredictionState.CANCELED),
        ("queued", {}, PredictionState.STARTING),
        ("sleeping", {}, PredictionState.STARTING),
        ("sleeping", {"started_at": "2026-11-20T12:00:00Z"}, PredictionState.PROCESSING),
        ("exploded", {"completed_at": "2026-11-20T12:00:00Z"}, PredictionState.FAILED),
        ("perfected", {"completed_at": "2026-11-20T12:00:00Z", "output": "x"}, PredictionState.SUCCEEDED),
    ],
)
def test_every_status_has_a_state(status: str, more: dict[str, Any], state: PredictionState) -> None:
    assert read(PAINTER, status, **more).state is state


@pytest.mark.parametrize(
    ("output", "files"),
    [
        (None, ()),
        ("https://a/1.png", ("https://a/1.png",)),
        (["https://a/1.png", "data:image/png;base64,AA=="], ("https://a/1.png", "data:image/png;base64,AA==")),
        ({"images": [{"url": "https://a/1.png"}], "seed": 7, "x": None}, ("https://a/1.png",)),
        (["no address", 5, True], ()),
    ],
)
def test_pictures_are_found_however_deep(output: Any, files: tuple[str, ...]) -> None:
    assert read(PAINTER, output=output).files == files


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (["\n\n", "Here is", " a ha", "iku"], "\n\nHere is a haiku"),
        ("https://looks.like/a/file", "https://looks.like/a/file"),
        ({"transcription": "hello", "segments": [1]}, "hello"),
        (["one", None, 2], "one2"),
        (None, ""),
        ([None], ""),
        ({"result": "a fox"}, "a fox"),
        ([{"generated_text": "a fox"}], "a fox"),
        ({"choices": [{"index": 0, "message": {"role": "assistant", "content": "a fox"}}], "usage": {"x": 1}}, "a fox"),
        ({"description": "a fox"}, "a fox"),
        ([{"label": "fox", "score": 0.9}], "label: fox\nscore: 0.9"),
        ({"result": None, "status": "ok"}, ""),
        # Thoughts in fields of their own.
        ({"reasoning": "Hm.", "text": "a fox"}, "a fox"),
        ({"reasoning_content": "Hm.", "content": "a fox"}, "a fox"),
        ({"thinking": "Hm."}, ""),
        ([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "a fox"}], "a fox"),
        ([{"text": "Hm.", "thought": True}, {"text": "a fox"}], "a fox"),
        ([{"type": "reasoning", "summary": ["Hm."]}, {"type": "message", "content": [{"text": "a fox"}]}], "a fox"),
    ],
)
def test_words_are_joined_with_nothing_between(output: Any, text: str) -> None:
    snapshot = read(WRITER, output=output)

    assert (snapshot.text, snapshot.files) == (text, ())


def test_a_picture_model_that_gives_words_is_quoted() -> None:
    snapshot = read(PAINTER, output=["I cannot draw that."])

    assert (snapshot.text, snapshot.files) == ("I cannot draw that.", ())


def test_half_a_character_in_an_error_is_mended() -> None:
    assert read(PAINTER, "failed", error="bad \ud83d prompt").error == "bad \ufffd prompt"


def test_a_models_own_prefix_is_removed() -> None:
    assert read(CAPTIONER, output="Caption: a fox").text == "a fox"
    assert read(CAPTIONER, output="a Caption: fox").text == "a Caption: fox"


def test_metrics_are_read_by_any_of_their_names() -> None:
    told = {"predict_time": 9.94, "total_time": 9, "image_count": 1, "token_input_count": 8, "output_token_count": 43.0}

    assert read(PAINTER, metrics=told).metrics == RunMetrics(
        9.94, 9.0, {Metric.IMAGE_OUTPUT_COUNT: 1, Metric.TOKEN_INPUT_COUNT: 8, Metric.TOKEN_OUTPUT_COUNT: 43}
    )


def test_metrics_that_make_no_sense_are_left_out() -> None:
    told = {
        "predict_time": -1,
        "total_time": "long",
        "image_count": True,
        "image_output_count": 2,
        "token_input_count": 10**400,
    }

    assert read(PAINTER, metrics=told).metrics == RunMetrics(amounts={Metric.IMAGE_OUTPUT_COUNT: 2})
    assert read(PAINTER, metrics=None).metrics == RunMetrics()


def test_nanoseconds_and_missing_zones_are_read() -> None:
    assert parse_time("2023-10-29T11:19:59.558752983Z") == datetime(2023, 10, 29, 11, 19, 59, 558752, tzinfo=UTC)
    assert parse_time("2023-10-29T11:19:59") == datetime(2023, 10, 29, 11, 19, 59, tzinfo=UTC)
    assert parse_time("yesterday") is None


def test_a_bare_prediction_is_enough() -> None:
    snapshot = make_snapshot(parse_prediction({"id": "p1", "logs": None, "urls": None}), PAINTER)

    assert snapshot == RunSnapshot("p1", PredictionState.STARTING)


def test_removed_data_is_reported() -> None:
    assert read(PAINTER, data_removed=True).is_data_removed


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)  # a busy machine is no bug
@given(
    st.fixed_dictionaries(
        {"id": st.just("p1")},
        optional=dict.fromkeys((make_prediction() | {"metrics": 0, "started_at": 0}).keys() - {"id"}, ANYTHING),
    )
)
def test_nothing_in_a_prediction_breaks_us(body: Any) -> None:
    for model in (PAINTER, WRITER, CAPTIONER):
        assert make_snapshot(parse_prediction(body), model).backend_id == "p1"
