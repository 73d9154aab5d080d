"""Reading how far a model is."""

import pytest

from bot.backends.replicate.progress import parse_percent


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
