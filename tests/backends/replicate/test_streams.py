"""Remembering where predictions stream."""

import pytest

from bot.backends.predictions import CogPrediction
from bot.backends.replicate.api import Origins
from bot.backends.replicate.watching import StreamAddresses
from bot.core.backend import PredictionState


def prediction(name: str, stream: str = "") -> CogPrediction:
    return CogPrediction(name, PredictionState.STARTING, stream_url=stream)


def test_the_oldest_address_is_forgotten() -> None:
    addresses = StreamAddresses(Origins("https://api.replicate.com"), max_entries=2)

    for name in ("a", "b", "c"):
        addresses.remember(prediction(name, f"https://stream.replicate.com/{name}"))

    assert [addresses.get(name) for name in ("a", "b", "c")] == [
        None,
        "https://stream.replicate.com/b",
        "https://stream.replicate.com/c",
    ]


def test_a_reply_without_an_address_keeps_the_known_address() -> None:
    addresses = StreamAddresses(Origins("https://api.replicate.com"))

    addresses.remember(prediction("a", "https://stream.replicate.com/a"))
    addresses.remember(prediction("a"))

    assert addresses.get("a") == "https://stream.replicate.com/a"


def test_a_forbidden_address_counts_as_no_stream() -> None:
    addresses = StreamAddresses(Origins("https://api.replicate.com"))

    addresses.remember(prediction("a", "http://127.0.0.1/metadata"))

    assert addresses.get("a") == ""


REPLICATE = Origins("https://api.replicate.com")
SANDBOX = Origins("http://127.0.0.1:8123/")
PROXY = Origins("https://proxy.example/replicate")


@pytest.mark.parametrize(
    ("origins", "url", "is_allowed"),
    [
        (REPLICATE, "https://api.replicate.com/v1/predictions?cursor=x", True),
        (REPLICATE, "https://api.replicate.com:443/v1/x", True),
        (REPLICATE, "https://stream.replicate.com/v1/files/x", True),
        (REPLICATE, "https://streaming-api.svc.rno2.c.replicate.net/v1/streams/x", True),
        (REPLICATE, "http://stream.replicate.com/v1/files/x", False),
        (REPLICATE, "http://api.replicate.com/v1/x", False),
        (REPLICATE, "https://replicate.delivery/pbxt/out.webp", False),
        (REPLICATE, "https://tjzk.replicate.delivery/out.webp", False),
        (REPLICATE, "https://evilreplicate.com/", False),
        (REPLICATE, "https://api.replicate.com.evil.example/", False),
        (REPLICATE, "https://api.replicate.com@evil.example/", False),
        (REPLICATE, "https://evil.example/?api.replicate.com", False),
        (SANDBOX, "http://127.0.0.1:8123/v1/streams/x", True),
        (SANDBOX, "http://127.0.0.1:8124/v1/streams/x", False),
        (SANDBOX, "https://stream.replicate.com/v1/files/x", False),
        (PROXY, "https://proxy.example/anything", True),
        (PROXY, "https://stream.replicate.com/v1/files/x", False),
        (REPLICATE, "", False),
        (REPLICATE, "/v1/predictions", False),
        (REPLICATE, "https://[::1", False),
    ],
)
def test_the_token_goes_to_the_api_and_its_streams_only(origins: Origins, url: str, is_allowed: bool) -> None:
    assert origins.may_carry_token(url) is is_allowed


@pytest.mark.parametrize(
    ("origins", "url", "is_allowed"),
    [
        (REPLICATE, "https://anywhere.example/v1/streams/x", True),
        (REPLICATE, "http://anywhere.example/v1/streams/x", False),
        (SANDBOX, "http://127.0.0.1:8123/v1/streams/x", True),
        (SANDBOX, "http://127.0.0.1:22/", False),
    ],
)
def test_streams_come_by_https_or_from_the_api_itself(origins: Origins, url: str, is_allowed: bool) -> None:
    assert origins.may_stream(url) is is_allowed
