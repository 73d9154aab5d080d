"""Requests from strangers to Slack's routes: refused by their signature, before a byte of the body is understood."""

import asyncio
import hashlib
import hmac
import json
import logging
import time

import pytest
from yarl import URL

from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office

STAMP, SIGNATURE = b"x-slack-request-timestamp", b"x-slack-signature"
FORM, JSON_TYPE = b"application/x-www-form-urlencoded", b"application/json"
DEEP_JSON = b"[" * 100_000


async def send_raw(office: Office, body: bytes, headers: dict[bytes, bytes]) -> tuple[int, str]:
    """Send a request with headers of any bytes, which no HTTP client sends; return status and body."""
    assert office.slack.http_transport is not None
    url = URL(office.slack.http_transport.url)
    lines = [b"POST " + url.path.encode() + b" HTTP/1.1", b"Host: bot", b"Connection: close"]
    lines += [name + b": " + fill_time(value) for name, value in headers.items()]
    return await exchange(url.port or 80, lines, body)


async def exchange(port: int, lines: list[bytes], body: bytes = b"") -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"\r\n".join([*lines, b"Content-Length: %d" % len(body)])
    writer.write(head + b"\r\n\r\n" + body)
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2].decode()


def sign(office: Office, body: bytes, stamp: bytes = b"{now}") -> dict[bytes, bytes]:
    stamp = fill_time(stamp)
    digest = hmac.new(office.slack.signing_secret.encode(), b"v0:" + stamp + b":" + body, hashlib.sha256).hexdigest()
    return {STAMP: stamp, SIGNATURE: b"v0=" + digest.encode()}


def fill_time(value: bytes) -> bytes:
    return value.replace(b"{now}", b"%d" % time.time())


@pytest.fixture
async def http_office(open_office: OfficeOpener) -> Office:
    return await open_office(transport="http")


NOW = b"{now}"
"""Replaced by the present time when a test sends."""


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(b"{}", {}, id="no headers"),
        pytest.param(b"{}", {STAMP: b"soon", SIGNATURE: b"v0=00"}, id="a word for a time"),
        pytest.param(b"{}", {STAMP: b"", SIGNATURE: b"v0=00"}, id="an empty time"),
        pytest.param(b"{}", {STAMP: b"1e9", SIGNATURE: b"v0=00"}, id="an exponent"),
        pytest.param(b"{}", {STAMP: b"9" * 6_000, SIGNATURE: b"v0=00"}, id="a time of 6,000 digits"),
        pytest.param(b"{}", {STAMP: "٣٣".encode(), SIGNATURE: b"v0=00"}, id="digits of another script"),
        pytest.param(b"{}", {STAMP: NOW, SIGNATURE: "v0=é".encode()}, id="a signature beyond ASCII"),
        pytest.param(b"{}", {STAMP: NOW, SIGNATURE: b"v0=\xff\xfe"}, id="a signature that is no text"),
        pytest.param(DEEP_JSON, {b"content-type": JSON_TYPE}, id="deep JSON"),
        pytest.param(DEEP_JSON, {STAMP: NOW, SIGNATURE: b"v0=00", b"content-type": JSON_TYPE}, id="signed deep JSON"),
        pytest.param(b"payload=" + DEEP_JSON, {b"content-type": FORM}, id="deep JSON in a form"),
        pytest.param(b"{}", {b"content-type": b"application/json; charset=nonsense"}, id="an unknown charset"),
        pytest.param(b"{}", {b"content-type": b"text/plain; charset=utf-7"}, id="an odd charset"),
        pytest.param(b"\xff\xfe{", {b"content-type": JSON_TYPE}, id="a body that is no text"),
        pytest.param(b"ssl_check=1&token=x", {b"content-type": FORM}, id="an unsigned check of the certificate"),
        pytest.param(
            b'{"type": "url_verification", "challenge": "x"}', {b"content-type": JSON_TYPE}, id="an unsigned challenge"
        ),
    ],
)
async def test_an_unsigned_request_is_refused_before_its_body_is_parsed(
    http_office: Office, caplog: pytest.LogCaptureFixture, body: bytes, headers: dict[bytes, bytes]
) -> None:
    caplog.set_level(logging.INFO)

    status, answer = await send_raw(http_office, body, headers)

    assert (status, answer) == (401, '{"error": "invalid request"}')
    assert [record.getMessage() for record in caplog.records] == ["slack.bad_signature"]
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("stamp", [NOW + b".0", b"+" + NOW, b" " + NOW + b"_0", b"0x10"])
async def test_a_time_that_slack_never_writes_is_refused_with_a_right_signature(
    http_office: Office, stamp: bytes
) -> None:
    body = b'{"type": "url_verification", "challenge": "x"}'

    status, _ = await send_raw(http_office, body, {b"content-type": JSON_TYPE} | sign(http_office, body, stamp))

    assert status == 401


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (DEEP_JSON, JSON_TYPE),
        (b"payload=" + DEEP_JSON, FORM),
        (b"{not json", JSON_TYPE),
        (b"\xff\xfe", JSON_TYPE),
        (b"\xff\xfe", b"text/plain; charset=nonsense"),
    ],
)
async def test_a_signed_body_that_cannot_be_parsed_is_refused_without_a_traceback(
    http_office: Office, caplog: pytest.LogCaptureFixture, body: bytes, content_type: bytes
) -> None:
    status, answer = await send_raw(http_office, body, {b"content-type": content_type} | sign(http_office, body))

    assert (status, answer) == (400, "That is no request of Slack's.")
    assert not any(record.exc_info for record in caplog.records)


async def test_a_signature_of_the_raw_bytes_counts_whatever_charset_is_named(http_office: Office) -> None:
    body = '{"type": "url_verification", "challenge": "grüße"}'.encode()
    headers = {b"content-type": b"application/json; charset=latin-1"} | sign(http_office, body)

    status, answer = await send_raw(http_office, body, headers)

    assert (status, json.loads(answer)) == (200, {"challenge": "grüße"})


async def test_a_header_of_slack_bolt_s_own_is_not_believed(http_office: Office) -> None:
    body = b'{"type": "url_verification", "challenge": "x"}'
    headers = {b"content-type": JSON_TYPE, b"x-slack-bolt-lazy-only": b"1"} | sign(http_office, body)

    assert await send_raw(http_office, body, headers) == (200, '{"challenge": "x"}')
