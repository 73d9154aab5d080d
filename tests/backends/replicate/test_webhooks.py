"""Webhooks are taken if signed, recent and small, and wake a watch that holds no stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from aiohttp import web

from bot.backends.replicate.backend import ReplicateBackend, make_webhook_url_builder
from bot.backends.replicate.webhooks import MAX_MISSED_WEBHOOKS, is_recent, is_signature_valid
from bot.core.backend import PredictionState, RunEnded, RunEvent, RunNotification, RunPending, RunStarted
from bot.core.errors import BackendDown, Unavailable
from bot.core.models import Model
from bot.sandbox.webhooks import create_signed_headers
from tests.backends.clock import LeapingClock, wait_until
from tests.backends.replicate.samples import DONE, PAINTER, TOKEN, WRITER, format_event, make_prediction
from tests.backends.replicate.scripted_server import ResponseScript, ScriptedResponse, ScriptedServer, ScriptedStream

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
VECTOR = {
    "webhook_id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "timestamp": "1614265330",
    "signatures": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
VECTOR_BODY = b'{"test": 2432232314}'
GET = "/v1/predictions/p1"
STREAM = "/streams/s1"
SECRETS = "/v1/webhooks/default/secret"
PICTURE = "https://replicate.delivery/xezq/out.webp"


# The signature.


def test_the_published_vector_is_signed() -> None:
    assert is_signature_valid(VECTOR_BODY, **VECTOR, secret=SECRET)


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": OTHER_SECRET},
        {"webhook_id": "msg_other"},
        {"timestamp": "1614265331"},
        {"signatures": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"signatures": "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"signatures": ""},
        {"secret": "whsec_not base64!"},
        {"secret": ""},
    ],
)
def test_changed_signatures_are_refused(changes: dict[str, str]) -> None:
    assert not is_signature_valid(VECTOR_BODY, **(VECTOR | {"secret": SECRET} | changes))


def test_the_raw_body_is_signed() -> None:
    assert not is_signature_valid(b'{"test":2432232314}', **VECTOR, secret=SECRET)


def test_one_of_several_signatures_is_enough() -> None:
    several = f"v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= {VECTOR['signatures']} v2,MzJsNDk4MzI0K2VvdSMjMTEjQEBA"

    assert is_signature_valid(VECTOR_BODY, **(VECTOR | {"signatures": several}), secret=SECRET)


@pytest.mark.parametrize(
    ("timestamp", "is_near"),
    [
        *((near, True) for near in ("1000", "700", "1300")),
        *((far, False) for far in ("699", "1301", "1e3", "²", "", "-1000", "9" * 5_000)),
    ],
)
def test_timestamps_may_differ_by_five_minutes(timestamp: str, is_near: bool) -> None:
    assert is_recent(timestamp, 1000.0) is is_near


# The route.


@dataclass
class ReplicateWebhookReceiver:
    """The webhook route on a socket, and the received notifications."""

    backend: ReplicateBackend
    clock: LeapingClock
    notices: list[RunNotification] = field(default_factory=list)
    failure: Exception | None = None
    url: str = ""

    async def take(self, notice: RunNotification) -> bool:
        if self.failure is not None:
            raise self.failure
        self.notices.append(notice)
        return len({known.id for known in self.notices}) == len(self.notices)

    async def post_webhook(
        self,
        body: Any,
        *,
        webhook_id: str = "msg_1",
        secret: str = SECRET,
        ago: float = 0,
        job: str = "j1",
        **headers: str | None,
    ) -> int:
        """Call the route as Replicate does and return the status. A header of None is left out."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent_at = int(self.clock.now().timestamp() - ago)
        signed: dict[str, str | None] = {**create_signed_headers(secret, webhook_id, sent_at, content)}
        signed |= {name.replace("_", "-"): value for name, value in headers.items()}
        given = {name: value for name, value in signed.items() if value is not None}
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.post(self.url, params={"job": job}, content=content, headers=given)).status_code


@pytest.fixture
async def receiver(server: ScriptedServer, clock: LeapingClock) -> AsyncIterator[ReplicateWebhookReceiver]:
    server.script("GET", SECRETS, ScriptedResponse({"key": SECRET}))
    backend = ReplicateBackend(
        server.url, TOKEN, clock, build_webhook_url=make_webhook_url_builder("https://bot.example/")
    )
    receiver = ReplicateWebhookReceiver(backend, clock)
    app = web.Application()
    app.add_routes(backend.routes(receiver.take))
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/replicate"
    yield receiver
    await runner.cleanup()
    await backend.close()


def make_ended_prediction(**changes: Any) -> dict[str, Any]:
    return make_prediction("succeeded", output=[PICTURE], **changes)


async def test_a_signed_webhook_is_taken_with_its_job(receiver: ReplicateWebhookReceiver) -> None:
    assert await receiver.post_webhook(make_ended_prediction()) == 200

    assert receiver.notices == [RunNotification("msg_1", "j1", "p1")]


async def test_the_secret_is_read_once(receiver: ReplicateWebhookReceiver, server: ScriptedServer) -> None:
    for n in range(3):
        assert await receiver.post_webhook(make_ended_prediction(), webhook_id=f"msg_{n}") == 200

    assert len(server.find_requests("GET", SECRETS)) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"webhook_signature": None}, 400),
        ({"webhook_id": None}, 400),
        ({"webhook_timestamp": None}, 400),
        ({"webhook_timestamp": "soon"}, 400),
        ({"webhook_signature": "v1,AAAA"}, 403),
        ({"webhook_signature": "v1," + "A" * 5_000}, 403),
    ],
)
async def test_an_unsigned_webhook_is_refused(
    receiver: ReplicateWebhookReceiver, headers: dict[str, str | None], status: int
) -> None:
    content = json.dumps(make_ended_prediction()).encode()
    signed: dict[str, str | None] = {
        **create_signed_headers(SECRET, "msg_1", int(receiver.clock.now().timestamp()), content)
    }
    signed |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(trust_env=False) as http:
        given = {name: value for name, value in signed.items() if value is not None}
        answer = await http.post(receiver.url, content=content, headers=given)

    assert answer.status_code == status
    assert receiver.notices == []


async def test_a_webhook_id_has_at_most_256_characters(receiver: ReplicateWebhookReceiver) -> None:
    assert await receiver.post_webhook(make_ended_prediction(), webhook_id="m" * 257) == 400
    assert receiver.notices == []

    assert await receiver.post_webhook(make_ended_prediction(), webhook_id="m" * 256) == 200
    assert receiver.notices == [RunNotification("m" * 256, "j1", "p1")]


@pytest.mark.parametrize("ago", [301, -301])
async def test_old_and_future_webhooks_are_refused(receiver: ReplicateWebhookReceiver, ago: float) -> None:
    assert await receiver.post_webhook(make_ended_prediction(), ago=ago) == 400
    assert receiver.notices == []


async def test_forged_webhooks_are_refused_and_the_secret_is_read_once(
    receiver: ReplicateWebhookReceiver, server: ScriptedServer
) -> None:
    assert [await receiver.post_webhook(make_ended_prediction(), secret=OTHER_SECRET) for _ in range(5)] == [403] * 5

    assert receiver.notices == []
    assert len(server.find_requests("GET", SECRETS)) == 1


async def test_a_changed_secret_is_read_again(
    receiver: ReplicateWebhookReceiver, server: ScriptedServer, clock: LeapingClock
) -> None:
    assert await receiver.post_webhook(make_ended_prediction()) == 200
    server.replace_script("GET", SECRETS, ScriptedResponse({"key": OTHER_SECRET}))
    assert await receiver.post_webhook(make_ended_prediction(), secret=OTHER_SECRET) == 403

    clock.advance(61)

    assert await receiver.post_webhook(make_ended_prediction(), secret=OTHER_SECRET, webhook_id="msg_2") == 200
    assert await receiver.post_webhook(make_ended_prediction(), webhook_id="msg_3") == 403


async def test_more_than_a_megabyte_is_refused_with_and_without_content_length(
    receiver: ReplicateWebhookReceiver,
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 65_536

    async with httpx.AsyncClient(trust_env=False) as http:
        told = await http.post(receiver.url, content=b" " * 1_200_000)
        untold = await http.post(receiver.url, content=pieces())

    assert (told.status_code, untold.status_code) == (413, 413)


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"id": 7}'])
async def test_a_signed_body_that_is_no_prediction_is_refused(receiver: ReplicateWebhookReceiver, body: bytes) -> None:
    assert await receiver.post_webhook(body) == 400


async def test_during_an_outage_the_webhook_is_to_be_repeated(
    receiver: ReplicateWebhookReceiver, server: ScriptedServer
) -> None:
    receiver.failure = Unavailable("locked")
    assert await receiver.post_webhook(make_ended_prediction()) == 503

    receiver.failure = None
    assert await receiver.post_webhook(make_ended_prediction()) == 200
    assert len(receiver.notices) == 1


async def test_without_a_secret_the_webhook_is_to_be_repeated(
    server: ScriptedServer, receiver: ReplicateWebhookReceiver
) -> None:
    server.replace_script("GET", SECRETS, ScriptedResponse({}, 503))

    assert await receiver.post_webhook(make_ended_prediction()) == 503


async def test_forged_webhooks_cause_no_request_while_the_service_is_down(
    server: ScriptedServer, receiver: ReplicateWebhookReceiver
) -> None:
    server.replace_script("GET", SECRETS, ScriptedResponse({}, 503))
    server.script("GET", GET, ScriptedResponse({}, 503))
    with pytest.raises(BackendDown):
        await receiver.backend.client.get_prediction("p1")
    asked = len(server.find_requests())

    for n in range(20):
        assert await receiver.post_webhook(make_ended_prediction(), secret=OTHER_SECRET, webhook_id=f"msg_{n}") == 503
        receiver.clock.advance(61)

    assert len(server.find_requests()) == asked
    assert receiver.notices == []


async def test_a_forged_webhook_that_finds_the_service_down_causes_one_request_and_no_circuit_opens(
    server: ScriptedServer, receiver: ReplicateWebhookReceiver
) -> None:
    server.replace_script("GET", SECRETS, ScriptedResponse({}, 503))

    statuses = await asyncio.gather(
        *(receiver.post_webhook(make_ended_prediction(), secret=OTHER_SECRET) for _ in range(20))
    )

    assert statuses == [503] * 20
    assert len(server.find_requests("GET", SECRETS)) == 1
    receiver.backend.admit()


async def test_a_known_secret_refuses_forged_webhooks_while_the_service_is_down(
    server: ScriptedServer, receiver: ReplicateWebhookReceiver
) -> None:
    assert await receiver.post_webhook(make_ended_prediction()) == 200
    server.replace_script("GET", SECRETS, ScriptedResponse({}, 503))
    receiver.clock.advance(61)

    assert [await receiver.post_webhook(make_ended_prediction(), secret=OTHER_SECRET) for _ in range(3)] == [
        503,
        403,
        403,
    ]
    assert await receiver.post_webhook(make_ended_prediction(), webhook_id="msg_2") == 200
    assert len(server.find_requests("GET", SECRETS)) == 2


async def test_the_secret_is_read_once_the_service_answers_again(
    server: ScriptedServer, receiver: ReplicateWebhookReceiver
) -> None:
    server.replace_script("GET", SECRETS, ScriptedResponse({}, 503), ScriptedResponse({"key": SECRET}))
    assert await receiver.post_webhook(make_ended_prediction()) == 503
    server.script("GET", GET, ScriptedResponse(make_ended_prediction()))

    await receiver.backend.client.get_prediction("p1")
    receiver.clock.advance(61)

    assert await receiver.post_webhook(make_ended_prediction()) == 200


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"id": "\\ud800"}', b"\xff\xfe", b"9" * 6_000])
async def test_a_signed_body_that_no_parser_likes_is_refused_without_a_traceback(
    receiver: ReplicateWebhookReceiver, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    assert await receiver.post_webhook(body) == 400
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("job", ["\x00", "a" * 5_000, "é", "a b"])
async def test_a_job_that_cannot_be_ours_is_not_passed_on(receiver: ReplicateWebhookReceiver, job: str) -> None:
    assert await receiver.post_webhook(make_ended_prediction(), job=job) == 200

    assert receiver.notices == [RunNotification("msg_1", "", "p1")]


# The watch.


async def submit_run(receiver: ReplicateWebhookReceiver, server: ScriptedServer, model: Model = PAINTER) -> None:
    server.script(
        "POST", "/v1/predictions", ScriptedResponse(make_prediction("starting", stream=server.url + STREAM), status=201)
    )
    await receiver.backend.submit(model, {"prompt": "a fox"}, job="j1", run="r1", cancel_after_seconds=60)


def watching(receiver: ReplicateWebhookReceiver, told: list[RunEvent], model: Model = PAINTER) -> "asyncio.Task[None]":
    async def follow() -> None:
        async with aclosing(receiver.backend.watch(model, "p1")) as events:
            async for told_event in events:
                told.append(told_event)

    return asyncio.create_task(follow())


async def test_a_picture_waits_for_webhooks_and_costs_two_requests(
    receiver: ReplicateWebhookReceiver, server: ScriptedServer
) -> None:
    await submit_run(receiver, server)
    server.script("GET", GET, ScriptedResponse(make_ended_prediction(metrics={"predict_time": 1.5})))
    told: list[RunEvent] = []
    following = watching(receiver, told)
    await wait_until(lambda: receiver.clock.sleeper_count)

    assert await receiver.post_webhook(make_prediction("processing"), webhook_id="msg_start") == 200
    await wait_until(lambda: told == [RunStarted()])
    assert await receiver.post_webhook(make_ended_prediction()) == 200
    await asyncio.wait_for(following, 2)

    assert isinstance(told[-1], RunEnded)
    assert told[-1].snapshot.metrics.predict_seconds == 1.5
    assert [notice.id for notice in receiver.notices] == ["msg_1"]  # a start that wakes a watch needs no row
    asked = [(asked.method, asked.path) for asked in server.received if asked.path != SECRETS]
    assert asked == [("POST", "/v1/predictions"), ("GET", GET)]
    created = server.find_requests("POST")[0].json
    assert created["webhook"] == "https://bot.example/webhooks/replicate?job=j1"


async def test_the_end_in_a_webhook_is_confirmed_by_a_poll(
    receiver: ReplicateWebhookReceiver, server: ScriptedServer
) -> None:
    await submit_run(receiver, server)
    server.script("GET", GET, ScriptedResponse(make_prediction("failed", error="boom")))
    told: list[RunEvent] = []
    following = watching(receiver, told)
    await wait_until(lambda: receiver.clock.sleeper_count)

    await receiver.post_webhook(make_prediction("succeeded", output=["https://elsewhere.example/x.png"]))
    await asyncio.wait_for(following, 2)

    assert isinstance(told[-1], RunEnded)
    assert told[-1].snapshot.state is PredictionState.FAILED
    assert told[-1].snapshot.files == ()


async def test_a_webhook_before_the_watch_is_not_lost(
    receiver: ReplicateWebhookReceiver, server: ScriptedServer
) -> None:
    await submit_run(receiver, server)
    server.script("GET", GET, ScriptedResponse(make_ended_prediction()))
    await receiver.post_webhook(make_ended_prediction())
    told: list[RunEvent] = []

    await asyncio.wait_for(watching(receiver, told), 2)

    assert isinstance(told[-1], RunEnded)


async def test_webhooks_out_of_order_doubled_and_after_the_end_do_no_harm(
    receiver: ReplicateWebhookReceiver, server: ScriptedServer
) -> None:
    await submit_run(receiver, server)
    server.script("GET", GET, ScriptedResponse(make_ended_prediction()))
    told: list[RunEvent] = []
    following = watching(receiver, told)
    await wait_until(lambda: receiver.clock.sleeper_count)

    statuses = [
        await receiver.post_webhook(make_ended_prediction(), webhook_id="msg_end"),
        await receiver.post_webhook(make_ended_prediction(), webhook_id="msg_end"),
        await receiver.post_webhook(make_prediction("processing"), webhook_id="msg_start"),
        await receiver.post_webhook(make_prediction("starting"), webhook_id="msg_odd"),
    ]
    await asyncio.wait_for(following, 2)

    assert statuses == [200] * 4
    assert [type(told_event) for told_event in told] == [RunStarted, RunEnded]
    assert len(server.find_requests("GET", GET)) == 1


async def test_a_missed_webhook_costs_seconds(receiver: ReplicateWebhookReceiver, server: ScriptedServer) -> None:
    await submit_run(receiver, server)
    server.script("GET", GET, ScriptedResponse(make_ended_prediction()))
    told: list[RunEvent] = []
    following = watching(receiver, told)
    await wait_until(lambda: receiver.clock.sleeper_count)

    receiver.clock.advance(PAINTER.usual_seconds * 1.5 + 3 + 2)
    await asyncio.wait_for(following, 2)

    assert isinstance(told[-1], RunEnded)
    assert len(server.received) == 2


async def test_the_early_poll_reports_a_cold_start(receiver: ReplicateWebhookReceiver, server: ScriptedServer) -> None:
    await submit_run(receiver, server)
    server.script("GET", GET, ScriptedResponse(make_prediction("starting")))
    told: list[RunEvent] = []
    following = watching(receiver, told)
    await wait_until(lambda: receiver.clock.sleeper_count)

    receiver.clock.advance(8)

    await wait_until(lambda: told == [RunPending()])
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_without_arriving_webhooks_streams_are_read_again(
    receiver: ReplicateWebhookReceiver, server: ScriptedServer
) -> None:
    await submit_run(receiver, server)
    server.script("GET", GET, ScriptedResponse(make_ended_prediction()))
    for _ in range(MAX_MISSED_WEBHOOKS):
        following = watching(receiver, [])
        await wait_until(lambda: receiver.clock.sleeper_count)
        receiver.clock.advance(30)
        await asyncio.wait_for(following, 2)
    assert server.find_requests("GET", STREAM) == []
    server.script("GET", STREAM, ScriptedStream([format_event("output", PICTURE, "1:0"), DONE]))

    await asyncio.wait_for(watching(receiver, []), 2)

    assert len(server.find_requests("GET", STREAM)) == 1
    await receiver.post_webhook(make_ended_prediction())
    again = watching(receiver, [])
    await asyncio.wait_for(again, 2)
    assert len(server.find_requests("GET", STREAM)) == 1


async def test_text_is_streamed_beside_webhooks(receiver: ReplicateWebhookReceiver, server: ScriptedServer) -> None:
    await submit_run(receiver, server, WRITER)
    answers: list[ResponseScript] = [ScriptedStream([format_event("output", "hello", "1:0"), DONE])]
    server.script("GET", STREAM, *answers)
    server.script("GET", GET, ScriptedResponse(make_prediction(output=["hello"])))

    await asyncio.wait_for(watching(receiver, [], WRITER), 2)

    assert len(server.find_requests("GET", STREAM)) == 1


async def test_without_a_public_address_no_webhook_is_ordered() -> None:
    assert make_webhook_url_builder(None)("j1") is None
    assert (
        make_webhook_url_builder("https://bot.example")("a b&c") == "https://bot.example/webhooks/replicate?job=a+b%26c"
    )
