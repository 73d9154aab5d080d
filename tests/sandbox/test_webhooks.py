"""Webhooks: the signature, the selected events, and the retries of the last event."""

import json

import pytest

from bot.sandbox.webhooks import compute_signature
from tests.sandbox.conftest import SandboxClient
from tests.sandbox.test_predictions import LLAMA, wait_until
from tests.sandbox.webhook_receiver import WebhookReceiver


def test_the_published_vector_is_reproduced() -> None:
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'

    signed = compute_signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_the_last_webhook_is_signed_with_the_secret_of_the_api(
    client: SandboxClient, receiver: WebhookReceiver
) -> None:
    options = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    created = await client.create(LLAMA, {"prompt": "hello"}, body=options)
    await wait_until(lambda: receiver.calls)

    ((headers, body),) = receiver.calls
    secret = (await client.request("GET", "/v1/webhooks/default/secret")).body["key"]

    expected = compute_signature(secret, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == expected
    assert json.loads(body)["status"] == "succeeded"
    assert json.loads(body)["id"] == created["id"]
    assert created["webhook"] == receiver.url


async def test_only_the_requested_events_are_sent(client: SandboxClient, receiver: WebhookReceiver) -> None:
    options = {"webhook": receiver.url, "webhook_events_filter": ["start", "completed"]}
    await client.create(LLAMA, {"prompt": "hello"}, body=options)
    await wait_until(lambda: len(receiver.calls) == 2)

    assert sorted(body["status"] for body in receiver.bodies) == ["processing", "succeeded"]


async def test_the_last_webhook_is_tried_again_with_the_same_id(
    client: SandboxClient, receiver: WebhookReceiver
) -> None:
    receiver.refusals = 2
    options = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    await client.create(LLAMA, {"prompt": "hello"}, body=options)

    def taken() -> bool:
        client.sandbox.clock.advance(1)
        return len(receiver.calls) == 3

    await wait_until(taken)

    assert len({headers["webhook-id"] for headers, _ in receiver.calls}) == 1


async def test_a_lost_webhook_is_never_sent(client: SandboxClient, receiver: WebhookReceiver) -> None:
    await client.create(LLAMA, {"prompt": "hello fault:webhook-lost"}, body={"webhook": receiver.url})
    marker = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    await client.create(LLAMA, {"prompt": "hello"}, body=marker)
    await wait_until(lambda: receiver.calls)

    assert {body["input"]["prompt"] for body in receiver.bodies} == {"hello"}


async def test_a_doubled_webhook_comes_twice_with_one_id(client: SandboxClient, receiver: WebhookReceiver) -> None:
    options = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    await client.create(LLAMA, {"prompt": "hello fault:webhook-doubled"}, body=options)
    await wait_until(lambda: len(receiver.calls) == 2)

    assert len({headers["webhook-id"] for headers, _ in receiver.calls}) == 1


async def test_reordered_webhooks_begin_with_the_end(client: SandboxClient, receiver: WebhookReceiver) -> None:
    options = {"webhook": receiver.url, "webhook_events_filter": ["start", "completed"]}
    await client.create(LLAMA, {"prompt": "hello fault:webhook-reordered"}, body=options)
    await wait_until(lambda: len(receiver.calls) == 2)

    assert [body["status"] for body in receiver.bodies] == ["succeeded", "processing"]


async def test_a_late_webhook_waits_for_the_clock(client: SandboxClient, receiver: WebhookReceiver) -> None:
    options = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    created = await client.create(LLAMA, {"prompt": "hello fault:webhook-late=90"}, body=options)
    await client.stream(created["urls"]["stream"])
    too_early = list(receiver.calls)

    client.sandbox.clock.advance(91)
    await wait_until(lambda: receiver.calls)

    assert too_early == []
    assert receiver.bodies[0]["status"] == "succeeded"


async def test_a_forged_webhook_has_a_wrong_signature(client: SandboxClient, receiver: WebhookReceiver) -> None:
    options = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    await client.create(LLAMA, {"prompt": "hello fault:webhook-forged"}, body=options)
    await wait_until(lambda: len(receiver.calls) == 2)

    def is_genuine(call: tuple[dict[str, str], bytes]) -> bool:
        headers, body = call
        secret, sent_at = client.sandbox.options.webhook_secret, int(headers["webhook-timestamp"])
        return compute_signature(secret, headers["webhook-id"], sent_at, body) == headers["webhook-signature"]

    (forged,) = [json.loads(call[1]) for call in receiver.calls if not is_genuine(call)]
    (genuine,) = [json.loads(call[1]) for call in receiver.calls if is_genuine(call)]
    assert (forged["status"], forged["output"]) == ("succeeded", ["https://forged.invalid/out-0.png"])
    assert (genuine["status"], genuine["id"]) == ("succeeded", forged["id"])


@pytest.mark.parametrize("url", ["http://example.org/hook", "ftp://127.0.0.1/", "nonsense"])
async def test_a_webhook_must_be_https_or_on_this_machine(client: SandboxClient, url: str) -> None:
    reply = await client.request(
        "POST", "/v1/predictions", json={"version": LLAMA, "input": {"prompt": ""}, "webhook": url}
    )

    assert reply.status == 422
    assert reply.body["invalid_fields"][0]["field"] == "webhook"


async def test_an_unknown_event_is_a_422(client: SandboxClient) -> None:
    body = {"version": LLAMA, "input": {"prompt": ""}, "webhook_events_filter": ["finished"]}

    reply = await client.request("POST", "/v1/predictions", json=body)

    assert reply.status == 422
