"""Following a run: by stream, across cuts, by looks, by polling; and leaving nothing behind."""

import asyncio
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from bot.backends import http
from bot.backends.replicate.backend import ReplicateBackend
from bot.backends.replicate.origins import Origins
from bot.backends.replicate.streams import Streams
from bot.core.errors import BackendDown, BackendRefusedToken, PredictionGone
from bot.core.models import Model
from bot.core.predictions import Ended, Event, PredictionState, Progressed, Started, Starting, Wrote
from tests.backends.clock import LeapingClock
from tests.backends.replicate.samples import CAPTIONER, DONE, PAINTER, TOKEN, WRITER, event, run
from tests.backends.replicate.scripted import Answer, Reply, ScriptedServer, Stream, hang_up
from tests.backends.waiting import eventually

GET = "/v1/predictions/p1"
STREAM = "/streams/s1"
PICTURE = "https://replicate.delivery/xezq/out.webp"
TIMEOUT = b": :408: 408 Request Timeout\n\n"


async def watch(backend: ReplicateBackend, model: Model) -> list[Event]:
    async with aclosing(backend.watch(model, "p1")) as events:
        return [event async for event in events]


def written(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Wrote))


def end(events: list[Event]) -> Ended:
    (ended,) = [event for event in events if isinstance(event, Ended)]
    assert events[-1] is ended
    return ended


async def submitted(backend: ReplicateBackend, server: ScriptedServer, model: Model, stream: str | None = None) -> None:
    """A create whose reply names the stream."""
    address = server.url + STREAM if stream is None else stream
    server.on("POST", "/v1/predictions", Reply(run("starting", stream=address), status=201))
    await backend.submit(model, {"prompt": "a fox"}, job="j1", cancel_after_seconds=60)


def spoken(*tokens: str, status: str = "succeeded", **more: Any) -> Reply:
    return Reply(run(status, output=list(tokens), **more))


async def test_a_short_picture_costs_three_requests_and_ends_with_its_metrics(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    await submitted(backend, server, PAINTER)
    server.on("GET", STREAM, Stream([b": hi\n\n", event("output", PICTURE, "1:0"), DONE]))
    server.on("GET", GET, Reply(run(output=[PICTURE], metrics={"predict_time": 1.5, "image_count": 1})))

    events = await watch(backend, PAINTER)

    assert events[:-1] == [Started()]
    assert end(events).snapshot.files == (PICTURE,)
    assert end(events).snapshot.metrics.predict_seconds == 1.5
    assert [asked.method for asked in server.asked] == ["POST", "GET", "GET"]


async def test_words_come_as_they_are_spoken_and_add_up(backend: ReplicateBackend, server: ScriptedServer) -> None:
    tokens = ["\n", "left\u2028right\x85", "", "\n\n", " a ha", "iku\r", "☃ "]
    # A carriage return cannot travel inside a data line, so it arrives as a newline.
    await submitted(backend, server, WRITER)
    server.on(
        "GET", STREAM, Stream([*(event("output", t.replace("\r", "\n"), f"1:{n}") for n, t in enumerate(tokens)), DONE])
    )
    server.on("GET", GET, spoken(*(t.replace("\r", "\n") for t in tokens)))

    events = await watch(backend, WRITER)

    assert [event.text for event in events if isinstance(event, Wrote)] == [
        "\n", "left\u2028right\x85", "\n\n", " a ha", "iku\n", "☃ "
    ]  # fmt: skip
    assert written(events) == end(events).snapshot.text


async def test_the_first_word_does_not_wait_for_the_second(backend: ReplicateBackend, server: ScriptedServer) -> None:
    go_on = asyncio.Event()
    await submitted(backend, server, WRITER)
    server.on("GET", STREAM, Stream([event("output", "one", "1:0"), go_on, event("output", " two", "1:1"), DONE]))
    server.on("GET", GET, spoken("one", " two"))

    async with aclosing(backend.watch(WRITER, "p1")) as events:
        first = [await anext(events), await anext(events)]
        go_on.set()
        rest = [event async for event in events]

    assert first == [Started(), Wrote("one")]
    assert written(rest) == " two"


@pytest.mark.parametrize("is_torn", [True, False], ids=["torn", "ended early"])
async def test_a_cut_stream_is_taken_up_after_the_last_word(
    backend: ReplicateBackend, server: ScriptedServer, is_torn: bool
) -> None:
    await submitted(backend, server, WRITER)
    first = Stream([event("output", "one", "1:0"), event("output", " two", "1:1")], is_torn=is_torn)
    server.on("GET", STREAM, first, Stream([event("output", " three", "2:0"), DONE]))
    server.on("GET", GET, spoken("one", " two", status="processing"), spoken("one", " two", " three"))

    events = await watch(backend, WRITER)

    assert [event.text for event in events if isinstance(event, Wrote)] == ["one", " two", " three"]
    assert server.requests("GET", STREAM)[1].headers["Last-Event-ID"] == "1:1"


async def test_a_stream_that_repeats_itself_is_heard_once(backend: ReplicateBackend, server: ScriptedServer) -> None:
    one, two, three = event("output", "one", "1:0"), event("output", " two", "1:1"), event("output", " three", "1:2")
    await submitted(backend, server, WRITER)
    server.on("GET", STREAM, Stream([one, one, two]), Stream([one, two, two, three, DONE]))
    server.on("GET", GET, spoken("one", status="processing"), spoken("one", " two", " three"))

    events = await watch(backend, WRITER)

    assert written(events) == "one two three"


async def test_a_stream_without_ids_begins_again_and_is_heard_once(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    await submitted(backend, server, WRITER)
    again = Stream([event("output", "one t"), event("output", "wo three"), DONE])
    server.on("GET", STREAM, Stream([event("output", "one"), event("output", " two")]), again)
    server.on("GET", GET, spoken("one", status="processing"), spoken("one", " two", " three"))

    events = await watch(backend, WRITER)

    assert written(events) == "one two three"
    assert "Last-Event-ID" not in server.requests("GET", STREAM)[1].headers


async def test_words_out_of_order_are_left_to_the_final_text(backend: ReplicateBackend, server: ScriptedServer) -> None:
    await submitted(backend, server, WRITER)
    mixed = [event("output", "one", "1:0"), event("output", " three", "1:2"), event("output", " two", "1:1"), DONE]
    server.on("GET", STREAM, Stream(mixed))
    server.on("GET", GET, spoken("one", " two", " three"))

    events = await watch(backend, WRITER)

    assert written(events) == "one three"  # said is said; nothing wrong is added to it
    assert end(events).snapshot.text == "one two three"


async def test_what_the_stream_lost_comes_from_the_final_text(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    await submitted(backend, server, WRITER)
    server.on("GET", STREAM, Stream([event("output", "one", "1:0"), DONE]))
    server.on("GET", GET, spoken("one", " two"))

    assert written(await watch(backend, WRITER)) == "one two"


async def test_thirty_seconds_of_silence_are_no_end(backend: ReplicateBackend, server: ScriptedServer) -> None:
    await submitted(backend, server, WRITER)
    server.on("GET", STREAM, Stream([b": hi\n\n", TIMEOUT]), Stream([event("output", "hello", "1:0"), DONE]))
    server.on("GET", GET, Reply(run("starting")), spoken("hello"))

    events = await watch(backend, WRITER)

    assert events[:3] == [Starting(), Started(), Wrote("hello")]
    assert len(server.requests("GET", STREAM)) == 2


async def test_a_stream_that_brings_nothing_gives_way_to_polling(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    await submitted(backend, server, WRITER)
    server.on("GET", STREAM, hang_up, Reply({}, 500), Stream([b": hi\n\n"]))
    partial = spoken("one", status="processing")
    server.on(
        "GET", GET, partial, partial, partial, spoken("one", " two", status="processing"), spoken("one", " two", "!")
    )

    events = await watch(backend, WRITER)

    assert [event.text for event in events if isinstance(event, Wrote)] == ["one", " two", "!"]
    assert len(server.requests("GET", STREAM)) == 3


@pytest.mark.parametrize(
    "address", ["", "http://stream.example/s1", "ftp://x/", "not an address"], ids=["none", "http", "ftp", "nonsense"]
)
async def test_without_a_usable_stream_it_polls_ever_slower(
    backend: ReplicateBackend, server: ScriptedServer, clock: LeapingClock, address: str
) -> None:
    await submitted(backend, server, PAINTER, address)
    still = Reply(run("processing", logs="10%|# | 1/10"))
    server.on("GET", GET, *[still] * 25, Reply(run(output=PICTURE)))

    events = await watch(backend, PAINTER)

    assert events[:2] == [Started(), Progressed(10)]
    polls = clock.slept[-20:]
    assert max(polls) <= 2.0
    assert polls[-1] >= 1.6
    assert sum(polls) >= 20


async def test_after_a_restart_one_look_finds_the_stream(backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.on(
        "GET", GET, spoken("one", status="processing", urls={"stream": server.url + STREAM}), spoken("one", " two")
    )
    server.on("GET", STREAM, Stream([event("output", "one", "1:0"), event("output", " two", "1:1"), DONE]))

    events = await watch(backend, WRITER)

    assert written(events) == "one two"
    assert [asked.path for asked in server.asked] == [GET, STREAM, GET]


async def test_a_run_that_is_over_needs_one_request(backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.on("GET", GET, Reply(run("failed", error="boom", urls={"stream": server.url + STREAM})))

    events = await watch(backend, PAINTER)

    assert [type(event) for event in events] == [Ended]
    assert end(events).snapshot.error == "boom"
    assert len(server.asked) == 1


async def test_a_picture_is_looked_at_after_half_a_minute_and_then_every_five_seconds(
    backend: ReplicateBackend, server: ScriptedServer, clock: LeapingClock
) -> None:
    finished = asyncio.Event()
    await submitted(backend, server, PAINTER)
    server.on("GET", STREAM, Stream([b": hi\n\n", finished, DONE]))
    bar = "Using seed: 7\n\r 25%|##   | 1/4 [..]\r 50%|#### | 2/4 [..]"
    server.on("GET", GET, Reply(run("processing", logs=bar)), Reply(run("processing", logs=bar + "\n  0%|  | 0/9")))
    told: list[Event] = []

    async def follow() -> None:
        async with aclosing(backend.watch(PAINTER, "p1")) as events:
            async for event in events:
                told.append(event)

    following = asyncio.create_task(follow())
    await eventually(lambda: server.requests("GET", STREAM) and len(clock.slept) == 1)
    clock.advance(29.9)
    assert server.requests("GET", GET) == []
    clock.advance(6.1)
    await eventually(lambda: len(clock.slept) == 2)
    clock.advance(6)
    await eventually(lambda: len(clock.slept) == 3)
    server.on("GET", GET, Reply(run(output=[PICTURE])))
    assert told == [Started(), Progressed(50)]  # the second bar began at 0, and people saw 50
    finished.set()
    await following

    assert isinstance(told[-1], Ended)


async def test_a_stream_that_loses_its_done_does_not_hold_the_run(
    backend: ReplicateBackend, server: ScriptedServer, clock: LeapingClock
) -> None:
    await submitted(backend, server, WRITER)
    server.on("GET", STREAM, Stream([event("output", "all", "1:0"), asyncio.Event()]))
    server.on("GET", GET, spoken("all"))
    watching = asyncio.create_task(watch(backend, WRITER))
    await eventually(lambda: clock.slept)

    clock.advance(36.0)

    assert end(await watching).snapshot.state is PredictionState.SUCCEEDED
    await eventually(lambda: server.open_streams == 0)


async def test_done_before_the_prediction_says_so_is_looked_at_again_soon(
    backend: ReplicateBackend, server: ScriptedServer, clock: LeapingClock
) -> None:
    await submitted(backend, server, PAINTER)
    server.on("GET", STREAM, Stream([DONE]))
    server.on("GET", GET, Reply(run("processing")), Reply(run(output=[PICTURE])))

    events = await watch(backend, PAINTER)

    assert end(events).snapshot.files == (PICTURE,)
    assert clock.slept[-1] <= 0.2
    assert len(server.requests("GET", STREAM)) == 1


async def test_an_error_on_the_stream_keeps_the_words_so_far(backend: ReplicateBackend, server: ScriptedServer) -> None:
    await submitted(backend, server, WRITER)
    broke = [event("output", "one", "1:0"), event("error", '{"detail": "boom"}'), event("done", '{"reason": "error"}')]
    server.on("GET", STREAM, Stream(broke))
    server.on("GET", GET, spoken("one", status="failed", error="boom"))

    events = await watch(backend, WRITER)

    assert written(events) == "one"
    assert end(events).snapshot.state is PredictionState.FAILED


async def test_logs_on_the_stream_are_progress(backend: ReplicateBackend, server: ScriptedServer) -> None:
    await submitted(backend, server, PAINTER)
    server.on("GET", STREAM, Stream([event("logs", " 40%|##  | 2/5", "1:0"), event("sunshine", "x", "1:1"), DONE]))
    server.on("GET", GET, Reply(run(output=[PICTURE])))

    assert (await watch(backend, PAINTER))[:2] == [Started(), Progressed(40)]


async def test_a_prefix_is_left_out_of_the_stream_too(backend: ReplicateBackend, server: ScriptedServer) -> None:
    await submitted(backend, server, CAPTIONER)
    server.on("GET", STREAM, Stream([event("output", "Cap", "1:0"), event("output", "tion: a fox", "1:1"), DONE]))
    server.on("GET", GET, Reply(run(output="Caption: a fox")))

    events = await watch(backend, CAPTIONER)

    assert written(events) == end(events).snapshot.text == "a fox"


async def test_a_stream_gets_the_token_only_when_its_host_may_and_asks(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    await submitted(backend, server, WRITER)
    server.on("GET", STREAM, Reply({}, 401), Stream([event("output", "hi", "1:0")]), Stream([DONE]))
    server.on("GET", GET, spoken("hi", status="processing"), spoken("hi"))

    assert written(await watch(backend, WRITER)) == "hi"

    # Once asked, always given: the reconnect does not ask again.
    assert [asked.token for asked in server.requests("GET", STREAM)] == ["", f"Bearer {TOKEN}", f"Bearer {TOKEN}"]


async def test_a_stream_that_refuses_the_token_too_is_given_up(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    await submitted(backend, server, WRITER)
    server.on("GET", STREAM, Reply({}, 403))
    server.on("GET", GET, *[Reply(run("processing"))] * 3, spoken("hi"))

    assert written(await watch(backend, WRITER)) == "hi"

    assert len(server.requests("GET", STREAM)) == 4  # without, with, with, with


async def test_another_host_is_not_given_the_token_even_when_it_asks(
    server: ScriptedServer, stranger: ScriptedServer, clock: LeapingClock
) -> None:
    stranger.on("GET", STREAM, Reply({}, 401))
    server.on("GET", GET, spoken("hi", status="processing", urls={"stream": stranger.url + STREAM}), spoken("hi"))
    backend = ReplicateBackend(server.url, TOKEN, clock)

    await watch(backend, WRITER)
    await backend.close()

    assert server.requests("GET", GET)[0].token == f"Bearer {TOKEN}"
    assert stranger.asked == []  # plain http elsewhere is not even asked


async def test_a_stream_elsewhere_that_asks_for_the_token_does_not_get_it(stranger: ScriptedServer) -> None:
    stranger.on("GET", STREAM, Reply({}, 401))
    streams = Streams(Origins("https://api.replicate.com"), {"Authorization": f"Bearer {TOKEN}"}, context=http.tls())

    assert await streams.listen(stranger.url + STREAM, "", lambda event: None) is False

    await streams.close()
    assert [asked.token for asked in stranger.asked] == [""]


AWAY: list[Answer] = [Reply({}, 503), hang_up, Reply("<html>", 502)]


async def test_a_service_that_comes_back_costs_nothing(backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.on("GET", GET, *AWAY * 4, Reply(run(output=[PICTURE])))

    assert end(await watch(backend, PAINTER)).snapshot.files == (PICTURE,)


async def test_a_service_away_at_a_restart_streams_when_it_is_back(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    back = spoken("one", status="processing", urls={"stream": server.url + STREAM})
    server.on("GET", GET, *AWAY * 2, back, spoken("one", " two"))
    server.on("GET", STREAM, Stream([event("output", "one", "1:0"), event("output", " two", "1:1"), DONE]))

    assert written(await watch(backend, WRITER)) == "one two"

    assert len(server.requests("GET", STREAM)) == 1


async def test_a_service_that_stays_away_is_told_after_minutes(
    backend: ReplicateBackend, server: ScriptedServer, clock: LeapingClock
) -> None:
    server.on("GET", GET, Reply({}, 503))

    with pytest.raises(BackendDown):
        await watch(backend, PAINTER)

    assert 300 < clock.monotonic() < 330


@pytest.mark.parametrize(("status", "kind"), [(404, PredictionGone), (401, BackendRefusedToken)], ids=["gone", "token"])
async def test_what_waiting_cannot_mend_is_told_at_once(
    backend: ReplicateBackend, server: ScriptedServer, status: int, kind: type[Exception]
) -> None:
    server.on("GET", GET, Reply({}, status))

    with pytest.raises(kind):
        await watch(backend, PAINTER)

    assert len(server.asked) == 1


@pytest.mark.parametrize("leaving", ["closed", "cancelled"])
async def test_leaving_a_watch_leaves_no_task_and_no_connection(
    backend: ReplicateBackend, server: ScriptedServer, leaving: str
) -> None:
    await submitted(backend, server, WRITER)
    server.on("GET", STREAM, Stream([event("output", "one", "1:0"), asyncio.Event()]))
    others = asyncio.all_tasks()
    is_heard = asyncio.Event()

    async def follow() -> None:
        async with aclosing(backend.watch(WRITER, "p1")) as events:
            async for event in events:
                if isinstance(event, Wrote):
                    is_heard.set()
                    if leaving == "closed":
                        return

    following = asyncio.create_task(follow())
    await is_heard.wait()
    assert server.open_streams == 1
    if leaving == "cancelled":
        following.cancel()
    await asyncio.gather(following, return_exceptions=True)

    assert {task for task in asyncio.all_tasks() - others if "aiohttp" not in repr(task)} == set()
    await eventually(lambda: server.open_streams == 0)


async def test_a_silent_line_is_dropped_and_taken_up_again(server: ScriptedServer, clock: LeapingClock) -> None:
    backend = ReplicateBackend(server.url, TOKEN, clock, stream_timeout=httpx.Timeout(0.1))
    await submitted(backend, server, WRITER)
    server.on(
        "GET",
        STREAM,
        Stream([event("output", "one", "1:0"), asyncio.Event()]),
        Stream([event("output", "!", "1:1"), DONE]),
    )
    server.on("GET", GET, spoken("one", status="processing"), spoken("one", "!"))

    assert written(await watch(backend, WRITER)) == "one!"

    await backend.close()


async def test_two_hundred_watches_at_once_end_each_with_its_own_words(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    ids = [f"q{n}" for n in range(200)]
    for prediction in ids:
        stream = f"/streams/{prediction}"
        server.on("GET", stream, Stream([event("output", prediction, "1:0"), DONE]))
        script = [
            run(status, id=prediction, output=[prediction], urls={"stream": server.url + stream})
            for status in ("processing", "succeeded")
        ]
        server.on("GET", f"/v1/predictions/{prediction}", *map(Reply, script))

    async def words(prediction: str) -> str:
        async with aclosing(backend.watch(WRITER, prediction)) as events:
            return written([event async for event in events])

    assert await asyncio.gather(*map(words, ids)) == ids
