"""Where the token may go."""

import pytest

from bot.backends.replicate.origins import Origins

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
