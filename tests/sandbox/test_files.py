"""The Files API, and files as inputs."""

import hashlib
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from bot.sandbox.painter.picture import PictureOrder, draw
from tests.sandbox.conftest import SandboxClient
from tests.sandbox.exchange_recorder import check_response
from tests.sandbox.test_predictions import BLIP

CONTENT = b"x" * 70_000


async def upload(client: SandboxClient, content: bytes = CONTENT, **fields: str) -> Any:
    form = aiohttp.FormData(fields)
    form.add_field("content", content, filename="x.png", content_type="image/png")
    reply = await client.request("POST", "/v1/files", data=form)
    assert reply.status == 201, reply.body
    return reply.body


async def test_an_upload_is_described_listed_and_deleted(client: SandboxClient) -> None:
    body = await upload(client, metadata='{"job": 7}')

    listed = await client.request("GET", "/v1/files")
    again = await client.request("GET", body["urls"]["get"])
    deleted = await client.request("DELETE", body["urls"]["get"])
    gone = await client.request("GET", body["urls"]["get"])

    check_response("post", "/files", 201, body)
    check_response("get", "/files", 200, listed.body)
    assert (body["name"], body["content_type"], body["size"]) == ("x.png", "image/png", 70_000)
    assert body["checksums"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert body["metadata"] == {"job": 7}
    assert listed.body["results"] == [body] == [again.body]
    assert (deleted.status, gone.status, gone.body["detail"]) == (204, 404, "File not found")


async def test_an_upload_expires_after_a_day(client: SandboxClient) -> None:
    body = await upload(client)
    life = datetime.fromisoformat(body["expires_at"]) - datetime.fromisoformat(body["created_at"])

    client.sandbox.clock.advance(24 * 3600)

    assert life.total_seconds() == 24 * 3600
    assert (await client.request("GET", body["urls"]["get"])).status == 404


async def test_a_signed_url_gives_the_file_without_a_token(client: SandboxClient) -> None:
    body = await upload(client)
    expiry = int(client.sandbox.clock.now().timestamp()) + 60
    url = client.sandbox.files.download_url(body["id"], expiry)

    good = await client.request("GET", url, headers={"Authorization": ""})
    forged = await client.request("GET", url.replace("signature=", "signature=A"), headers={"Authorization": ""})
    client.sandbox.clock.advance(61)
    late = await client.request("GET", url, headers={"Authorization": ""})

    assert (good.status, good.content) == (200, CONTENT)
    assert (forged.status, late.status) == (404, 404)


async def test_an_upload_without_content_is_a_422_and_one_that_is_too_large_a_413(
    client: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sandbox.api.files._MAX_BYTES", 100)
    nothing = aiohttp.FormData({"filename": "x"}, default_to_multipart=True)
    form = aiohttp.FormData()
    form.add_field("content", b"x" * 101, filename="x")

    empty = await client.request("POST", "/v1/files", data=nothing)
    large = await client.request("POST", "/v1/files", data=form)

    assert empty.status == 422
    assert (large.status, large.body) == (413, {"detail": "Files must be less than 100MB in size"})


async def test_models_read_data_urls_uploads_and_earlier_outputs(client: SandboxClient) -> None:
    picture = draw(PictureOrder("a hill", 1, (64, 48), "png"))
    uploaded = await upload(client, picture)
    drawn = await client.run("black-forest-labs/flux-1.1-pro", {"prompt": "a hill", "output_format": "png"})

    captions = [
        (await client.run(BLIP, {"image": url}))["output"] for url in (uploaded["urls"]["get"], drawn["output"])
    ]

    assert "64 × 48 pixels" in captions[0]
    assert "1024 × 1024 pixels" in captions[1]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://example.org/x.png", "from itself only, not from example.org"),
        ("http://127.0.0.1:9/x.png", "from itself only"),
        ("file:///etc/passwd", "from itself only"),
        ("data:image/png;base64,@@", "Input validation error"),
        ("data:image/png;base64,AAAA", "cannot identify image file"),
    ],
)
async def test_a_file_that_cannot_be_read_fails_the_prediction(client: SandboxClient, url: str, said: str) -> None:
    finished = await client.run(BLIP, {"image": url})

    assert finished["status"] == "failed"
    assert said in finished["error"]


async def test_a_deleted_file_fails_the_prediction(client: SandboxClient) -> None:
    finished = await client.run(BLIP, {"image": f"{client.sandbox.url}/v1/files/nope"})

    assert "404 Client Error" in finished["error"]
