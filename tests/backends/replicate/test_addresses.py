"""Remembering where predictions stream."""

from bot.backends.replicate.addresses import StreamAddresses
from bot.backends.replicate.origins import Origins
from bot.backends.replicate.schema import ReplicatePrediction
from bot.core.predictions import PredictionState


def prediction(name: str, stream: str = "") -> ReplicatePrediction:
    return ReplicatePrediction(name, PredictionState.STARTING, stream_url=stream)


def test_the_oldest_is_forgotten() -> None:
    addresses = StreamAddresses(Origins("https://api.replicate.com"), max_entries=2)

    for name in ("a", "b", "c"):
        addresses.remember(prediction(name, f"https://stream.replicate.com/{name}"))

    assert [addresses.get(name) for name in ("a", "b", "c")] == [
        None,
        "https://stream.replicate.com/b",
        "https://stream.replicate.com/c",
    ]


def test_a_reply_without_an_address_does_not_unlearn_it() -> None:
    addresses = StreamAddresses(Origins("https://api.replicate.com"))

    addresses.remember(prediction("a", "https://stream.replicate.com/a"))
    addresses.remember(prediction("a"))

    assert addresses.get("a") == "https://stream.replicate.com/a"


def test_an_address_we_may_not_read_counts_as_none() -> None:
    addresses = StreamAddresses(Origins("https://api.replicate.com"))

    addresses.remember(prediction("a", "http://127.0.0.1/metadata"))

    assert addresses.get("a") == ""
