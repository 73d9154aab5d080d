"""Remembering where predictions stream."""

from bot.backends.replicate.addresses import StreamAddresses
from bot.backends.replicate.origins import Origins
from bot.backends.replicate.schema import Prediction
from bot.core.predictions import PredictionState


def prediction(name: str, stream: str = "") -> Prediction:
    return Prediction(name, PredictionState.STARTING, stream_url=stream)


def test_the_oldest_is_forgotten() -> None:
    addresses = StreamAddresses(Origins("https://api.replicate.com"), most=2)

    for name in ("a", "b", "c"):
        addresses.learn(prediction(name, f"https://stream.replicate.com/{name}"))

    assert [addresses.of(name) for name in ("a", "b", "c")] == [
        None,
        "https://stream.replicate.com/b",
        "https://stream.replicate.com/c",
    ]


def test_a_reply_without_an_address_does_not_unlearn_it() -> None:
    addresses = StreamAddresses(Origins("https://api.replicate.com"))

    addresses.learn(prediction("a", "https://stream.replicate.com/a"))
    addresses.learn(prediction("a"))

    assert addresses.of("a") == "https://stream.replicate.com/a"


def test_an_address_we_may_not_read_counts_as_none() -> None:
    addresses = StreamAddresses(Origins("https://api.replicate.com"))

    addresses.learn(prediction("a", "http://127.0.0.1/metadata"))

    assert addresses.of("a") == ""
