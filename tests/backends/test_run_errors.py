"""The sentences for failed runs."""

import pytest

from bot.backends.run_errors import explain_failure
from bot.core.backend import PredictionState, RunSnapshot
from bot.core.errors import BackendError, ModelFailed, ModelFlagged


def failed(error: str) -> RunSnapshot:
    return RunSnapshot("p1", PredictionState.FAILED, error=error)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        ("NSFW content detected. Try running it again, or try a different prompt.", ModelFlagged, "sensitive"),
        ("All generated images contained NSFW content. Try running it again …", ModelFlagged, "sensitive"),
        (
            "Prediction failed: Async prediction failed: ModelError: The input or output was flagged as sensitive. "
            "Please try again with different inputs. (E005) (uIJ6l3ruRD)",
            ModelFlagged,
            "The model refused this as sensitive. Try other words or another picture.",
        ),
        ("Out of credits (E001) (x)", ModelFailed, "Choose another model"),
        ("Service is currently unavailable due to high demand. (E003) (x)", ModelFailed, "in high demand"),
        ("Service is temporarily unavailable. (E004)", ModelFailed, "not available right now"),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", ModelFailed, "The model failed: out of memory."),
        ("TimeoutError: Prediction timed out", ModelFailed, "took too long"),
        ("Prediction failed: Prediction failed: ValueError: deliberate", ModelFailed, "The model failed: deliberate."),
        ("Something new (E999)", ModelFailed, "The model failed: Something new (E999)."),
        ("Traceback (most recent call last):\n  File …\nKeyError: 'x'", ModelFailed, "The model failed: 'x'."),
        ("Prediction failed: ", ModelFailed, "without saying why"),
        ("", ModelFailed, "without saying why"),
    ],
)
def test_a_failure_has_a_plain_sentence(error: str, kind: type[BackendError], text: str) -> None:
    told = explain_failure(failed(error))

    assert type(told) is kind
    assert text in str(told)
    assert "uIJ6l3ruRD" not in str(told)


def test_a_long_reason_is_cut() -> None:
    assert len(str(explain_failure(failed("x" * 5000)))) < 330


@pytest.mark.parametrize(
    ("snapshot", "kind", "text"),
    [
        (RunSnapshot("p1", PredictionState.CANCELED), ModelFailed, "stopped before it was finished"),
        (RunSnapshot("p1", PredictionState.ABORTED), ModelFailed, "did not start in time"),
        (RunSnapshot("p1", PredictionState.SUCCEEDED), ModelFailed, "gave nothing back"),
        (
            RunSnapshot("p1", PredictionState.SUCCEEDED, logs="NSFW content detected in image 0"),
            ModelFlagged,
            "sensitive",
        ),
        (RunSnapshot("p1", PredictionState.SUCCEEDED, is_data_removed=True), ModelFailed, "has deleted this run"),
    ],
    ids=["canceled", "aborted", "empty", "all flagged", "removed"],
)
def test_an_end_without_an_error_has_a_plain_sentence(
    snapshot: RunSnapshot, kind: type[BackendError], text: str
) -> None:
    told = explain_failure(snapshot)

    assert type(told) is kind
    assert text in str(told)
