"""Webhooks come in: signed, recent, small, once; and a watch is woken by them instead of holding a stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from aiohttp import web

from bot.backends.replicate.backend import ReplicateBackend, webhook_at
from bot.backends.replicate.bells import MOST_MISSED
from bot.backends.replicate.signatures import is_recent, is_signed
from bot.core.backend import Notice
from bot.core.errors import Unavailable
from bot.core.models import Model
from bot.core.predictions import Ended, Event, PredictionState, Started, Starting
from bot.sandbox.webhook_signature import signed_headers
from tests.backends.clock import LeapingClock
from tests.backends.replicate.samples import DONE, PAINTER, TOKEN, WRITER, event, run
from tests.backends.replicate.scripted import Answer, Reply, ScriptedServer, Stream
from tests.backends.waiting import eventually

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
    assert is_signed(VECTOR_BODY, **VECTOR, secret=SECRET)


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
def test_anything_else_is_not(changes: dict[str, str]) -> None:
    assert not is_signed(VECTOR_BODY, **(VECTOR | {"secret": SECRET} | changes))


def test_the_body_counts_as_it_travelled() -> None:
    assert not is_signed(b'{"test":2432232314}', **VECTOR, secret=SECRET)


def test_one_of_several_signatures_is_enough() -> None:
    several = f"v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= {VECTOR['signatures']} v2,MzJsNDk4MzI0K2VvdSMjMTEjQEBA"

    assert is_signed(VECTOR_BODY, **(VECTOR | {"signatures": several}), secret=SECRET)


@pytest.mark.parametrize(
    ("timestamp", "is_near"),
    [
        *((near, True) for near in ("1000", "700", "1300")),
        *((far, False) for far in ("699", "1301", "1e3", "²", "", "-1000", "9" * 5_000)),
    ],
)
def test_five_minutes_either_way(timestamp: str, is_near: bool) -> None:
    assert is_recent(timestamp, 1000.0) is is_near


# The route.


@dataclass
class Door:
    """Our route on a socket, and what came through it."""

    backend: ReplicateBackend
    clock: LeapingClock
    taken: list[Notice] = field(default_factory=list)
    failure: Exception | None = None
    url: str = ""

    async def take(self, notice: Notice) -> bool:
        if self.failure is not None:
            raise self.failure
        self.taken.append(notice)
        return len({known.id for known in self.taken}) == len(self.taken)

    async def call(
        self, body: Any, *, webhook_id: str = "msg_1", secret: str = SECRET, ago: float = 0, **headers: str | None
    ) -> int:
        """Call it as Replicate does; a header given as None is left out. Gives the status."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent_at = int(self.clock.now().timestamp() - ago)
        signed: dict[str, str | None] = {**signed_headers(secret, webhook_id, sent_at, content)}
        signed |= {name.replace("_", "-"): value for name, value in headers.items()}
        given = {name: value for name, value in signed.items() if value is not None}
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.post(self.url, params={"job": "j1"}, content=content, headers=given)).status_code


@pytest.fixture
async def door(server: ScriptedServer, clock: LeapingClock) -> AsyncIterator[Door]:
    server.on("GET", SECRETS, Reply({"key": SECRET}))
    backend = ReplicateBackend(server.url, TOKEN, clock, webhook_for=webhook_at("https://bot.example/"))
    door = Door(backend, clock)
    app = web.Application()
    app.add_routes(backend.routes(door.take))
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    door.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/replicate"
    yield door
    await runner.cleanup()
    await backend.close()


def over(**changes: Any) -> dict[str, Any]:
    return run("succeeded", output=[PICTURE], **changes)


async def test_a_signed_webhook_is_taken_with_its_job(door: Door) -> None:
    assert await door.call(over()) == 200

    assert door.taken == [Notice("msg_1", "j1", "p1")]


async def test_the_secret_is_asked_for_once(door: Door, server: ScriptedServer) -> None:
    for n in range(3):
        assert await door.call(over(), webhook_id=f"msg_{n}") == 200

    assert len(server.requests("GET", SECRETS)) == 1


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
async def test_what_is_not_signed_is_refused(door: Door, headers: dict[str, str | None], status: int) -> None:
    content = json.dumps(over()).encode()
    signed: dict[str, str | None] = {**signed_headers(SECRET, "msg_1", int(door.clock.now().timestamp()), content)}
    signed |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(trust_env=False) as http:
        given = {name: value for name, value in signed.items() if value is not None}
        answer = await http.post(door.url, content=content, headers=given)

    assert answer.status_code == status
    assert door.taken == []


@pytest.mark.parametrize("ago", [301, -301])
async def test_an_old_one_and_one_from_the_future_are_refused(door: Door, ago: float) -> None:
    assert await door.call(over(), ago=ago) == 400
    assert door.taken == []


async def test_a_forged_one_is_refused_and_does_not_make_us_ask_each_time(door: Door, server: ScriptedServer) -> None:
    assert [await door.call(over(), secret=OTHER_SECRET) for _ in range(5)] == [403] * 5

    assert door.taken == []
    assert len(server.requests("GET", SECRETS)) == 1


async def test_a_changed_secret_is_read_again(door: Door, server: ScriptedServer, clock: LeapingClock) -> None:
    assert await door.call(over()) == 200
    server.now_on("GET", SECRETS, Reply({"key": OTHER_SECRET}))
    assert await door.call(over(), secret=OTHER_SECRET) == 403

    clock.advance(61)

    assert await door.call(over(), secret=OTHER_SECRET, webhook_id="msg_2") == 200
    assert await door.call(over(), webhook_id="msg_3") == 403


async def test_more_than_a_megabyte_is_refused_told_or_not(door: Door) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 65_536

    async with httpx.AsyncClient(trust_env=False) as http:
        told = await http.post(door.url, content=b" " * 1_200_000)
        untold = await http.post(door.url, content=pieces())

    assert (told.status_code, untold.status_code) == (413, 413)


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"id": 7}'])
async def test_a_signed_body_that_is_no_prediction_is_refused(door: Door, body: bytes) -> None:
    assert await door.call(body) == 400


async def test_while_the_database_or_the_service_is_away_it_is_to_come_again(
    door: Door, server: ScriptedServer
) -> None:
    door.failure = Unavailable("locked")
    assert await door.call(over()) == 503

    door.failure = None
    assert await door.call(over()) == 200
    assert len(door.taken) == 1


async def test_without_a_secret_it_is_to_come_again(server: ScriptedServer, door: Door) -> None:
    server.now_on("GET", SECRETS, Reply({}, 503))

    assert await door.call(over()) == 503


# The watch.


async def submitted(door: Door, server: ScriptedServer, model: Model = PAINTER) -> None:
    server.on("POST", "/v1/predictions", Reply(run("starting", stream=server.url + STREAM), status=201))
    await door.backend.submit(model, {"prompt": "a fox"}, job="j1", cancel_after_seconds=60)


def watching(door: Door, told: list[Event], model: Model = PAINTER) -> "asyncio.Task[None]":
    async def follow() -> None:
        async with aclosing(door.backend.watch(model, "p1")) as events:
            async for told_event in events:
                told.append(told_event)

    return asyncio.create_task(follow())


async def test_a_picture_waits_for_webhooks_and_costs_two_requests(door: Door, server: ScriptedServer) -> None:
    await submitted(door, server)
    server.on("GET", GET, Reply(over(metrics={"predict_time": 1.5})))
    told: list[Event] = []
    following = watching(door, told)
    await eventually(lambda: door.clock.sleepers)

    assert await door.call(run("processing"), webhook_id="msg_start") == 200
    await eventually(lambda: told == [Started()])
    assert await door.call(over()) == 200
    await asyncio.wait_for(following, 2)

    assert isinstance(told[-1], Ended)
    assert told[-1].snapshot.metrics.predict_seconds == 1.5
    assert [notice.id for notice in door.taken] == ["msg_1"]  # a start that wakes somebody needs no row
    asked = [(asked.method, asked.path) for asked in server.asked if asked.path != SECRETS]
    assert asked == [("POST", "/v1/predictions"), ("GET", GET)]
    created = server.requests("POST")[0].json
    assert created["webhook"] == "https://bot.example/webhooks/replicate?job=j1"


async def test_what_a_webhook_says_of_the_end_is_not_believed(door: Door, server: ScriptedServer) -> None:
    await submitted(door, server)
    server.on("GET", GET, Reply(run("failed", error="boom")))
    told: list[Event] = []
    following = watching(door, told)
    await eventually(lambda: door.clock.sleepers)

    await door.call(run("succeeded", output=["https://elsewhere.example/x.png"]))
    await asyncio.wait_for(following, 2)

    assert isinstance(told[-1], Ended)
    assert told[-1].snapshot.state is PredictionState.FAILED
    assert told[-1].snapshot.files == ()


async def test_a_webhook_before_the_watch_is_not_lost(door: Door, server: ScriptedServer) -> None:
    await submitted(door, server)
    server.on("GET", GET, Reply(over()))
    await door.call(over())
    told: list[Event] = []

    await asyncio.wait_for(watching(door, told), 2)

    assert isinstance(told[-1], Ended)


async def test_webhooks_out_of_order_doubled_and_after_the_end_do_no_harm(door: Door, server: ScriptedServer) -> None:
    await submitted(door, server)
    server.on("GET", GET, Reply(over()))
    told: list[Event] = []
    following = watching(door, told)
    await eventually(lambda: door.clock.sleepers)

    statuses = [
        await door.call(over(), webhook_id="msg_end"),
        await door.call(over(), webhook_id="msg_end"),
        await door.call(run("processing"), webhook_id="msg_start"),
        await door.call(run("starting"), webhook_id="msg_odd"),
    ]
    await asyncio.wait_for(following, 2)

    assert statuses == [200] * 4
    assert [type(told_event) for told_event in told] == [Started, Ended]
    assert len(server.requests("GET", GET)) == 1


async def test_a_missed_webhook_costs_seconds(door: Door, server: ScriptedServer) -> None:
    await submitted(door, server)
    server.on("GET", GET, Reply(over()))
    told: list[Event] = []
    following = watching(door, told)
    await eventually(lambda: door.clock.sleepers)

    door.clock.advance(PAINTER.usual_seconds * 1.5 + 3 + 2)
    await asyncio.wait_for(following, 2)

    assert isinstance(told[-1], Ended)
    assert len(server.asked) == 2


async def test_the_one_early_look_tells_a_cold_start(door: Door, server: ScriptedServer) -> None:
    await submitted(door, server)
    server.on("GET", GET, Reply(run("starting")))
    told: list[Event] = []
    following = watching(door, told)
    await eventually(lambda: door.clock.sleepers)

    door.clock.advance(8)

    await eventually(lambda: told == [Starting()])
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_when_webhooks_never_come_streams_are_listened_to_again(door: Door, server: ScriptedServer) -> None:
    await submitted(door, server)
    server.on("GET", GET, Reply(over()))
    for _ in range(MOST_MISSED):
        following = watching(door, [])
        await eventually(lambda: door.clock.sleepers)
        door.clock.advance(30)
        await asyncio.wait_for(following, 2)
    assert server.requests("GET", STREAM) == []
    server.on("GET", STREAM, Stream([event("output", PICTURE, "1:0"), DONE]))

    await asyncio.wait_for(watching(door, []), 2)

    assert len(server.requests("GET", STREAM)) == 1
    await door.call(over())
    again = watching(door, [])
    await asyncio.wait_for(again, 2)
    assert len(server.requests("GET", STREAM)) == 1


async def test_text_is_streamed_all_the_same(door: Door, server: ScriptedServer) -> None:
    await submitted(door, server, WRITER)
    answers: list[Answer] = [Stream([event("output", "hello", "1:0"), DONE])]
    server.on("GET", STREAM, *answers)
    server.on("GET", GET, Reply(run(output=["hello"])))

    await asyncio.wait_for(watching(door, [], WRITER), 2)

    assert len(server.requests("GET", STREAM)) == 1


async def test_without_a_public_address_nobody_is_asked_to_call() -> None:
    assert webhook_at(None)("j1") is None
    assert webhook_at("https://bot.example")("a b&c") == "https://bot.example/webhooks/replicate?job=a+b%26c"
