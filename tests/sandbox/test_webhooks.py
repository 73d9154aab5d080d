"""Webhooks: the signature, the events asked for, and the retry of the last one."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.sandbox.webhook_signature import signature
from tests.sandbox.conftest import Client
from tests.sandbox.test_predictions import LLAMA, until


@dataclass
class Receiver:
    """A webhook endpoint that remembers, and refuses the first `refusals` calls."""

    url: str = ""
    refusals: int = 0
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.calls.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=503 if len(self.calls) <= self.refusals else 200)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.calls]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook?job=7"))
        yield receiver


def test_the_published_vector_is_reproduced() -> None:
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'

    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_the_last_webhook_is_signed_with_the_secret_of_the_api(client: Client, receiver: Receiver) -> None:
    options = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    created = await client.create(LLAMA, {"prompt": "hello"}, body=options)
    await until(lambda: receiver.calls)

    ((headers, body),) = receiver.calls
    secret = (await client.ask("GET", "/v1/webhooks/default/secret")).body["key"]

    expected = signature(secret, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == expected
    assert json.loads(body)["status"] == "succeeded"
    assert json.loads(body)["id"] == created["id"]
    assert created["webhook"] == receiver.url


async def test_only_the_events_asked_for_are_sent(client: Client, receiver: Receiver) -> None:
    options = {"webhook": receiver.url, "webhook_events_filter": ["start", "completed"]}
    await client.create(LLAMA, {"prompt": "hello"}, body=options)
    await until(lambda: len(receiver.calls) == 2)

    assert sorted(body["status"] for body in receiver.bodies) == ["processing", "succeeded"]


async def test_the_last_webhook_is_tried_again_with_the_same_id(client: Client, receiver: Receiver) -> None:
    receiver.refusals = 2
    options = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    await client.create(LLAMA, {"prompt": "hello"}, body=options)

    def taken() -> bool:
        client.sandbox.clock.advance(1)
        return len(receiver.calls) == 3

    await until(taken)

    assert len({headers["webhook-id"] for headers, _ in receiver.calls}) == 1


@pytest.mark.parametrize("url", ["http://example.org/hook", "ftp://127.0.0.1/", "nonsense"])
async def test_a_webhook_must_be_https_or_on_this_machine(client: Client, url: str) -> None:
    reply = await client.ask(
        "POST", "/v1/predictions", json={"version": LLAMA, "input": {"prompt": ""}, "webhook": url}
    )

    assert reply.status == 422
    assert reply.body["invalid_fields"][0]["field"] == "webhook"


async def test_an_unknown_event_is_a_422(client: Client) -> None:
    body = {"version": LLAMA, "input": {"prompt": ""}, "webhook_events_filter": ["finished"]}

    reply = await client.ask("POST", "/v1/predictions", json=body)

    assert reply.status == 422
