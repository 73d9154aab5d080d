"""A watch follows a run by stream, across broken connections, and by polling, and leaves no task behind."""

import asyncio
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from bot.backends.replicate.api import Origins
from bot.backends.replicate.backend import ReplicateBackend
from bot.backends.replicate.watching import ReplicateStreams
from bot.core.backend import PredictionState, RunEnded, RunEvent, RunPending, RunProgress, RunStarted, TextDelta
from bot.core.errors import BackendDown, BackendRefusedToken, PredictionGone
from bot.core.models import Model
from tests.backends.clock import LeapingClock, wait_until
from tests.backends.replicate.samples import CAPTIONER, DONE, PAINTER, TOKEN, WRITER, format_event, make_prediction
from tests.backends.replicate.scripted_server import (
    ResponseScript,
    ScriptedResponse,
    ScriptedServer,
    ScriptedStream,
    hang_up,
)

GET = "/v1/predictions/p1"
STREAM = "/streams/s1"
PICTURE = "https://replicate.delivery/xezq/out.webp"
TIMEOUT = b": :408: 408 Request Timeout\n\n"


async def watch(backend: ReplicateBackend, model: Model) -> list[RunEvent]:
    async with aclosing(backend.watch(model, "p1")) as events:
        return [event async for event in events]


def written(events: list[RunEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def end(events: list[RunEvent]) -> RunEnded:
    (ended,) = [event for event in events if isinstance(event, RunEnded)]
    assert events[-1] is ended
    return ended


async def submit_run(
    backend: ReplicateBackend, server: ScriptedServer, model: Model, stream: str | None = None
) -> None:
    """Submit a run; the create's reply names the stream."""
    address = server.url + STREAM if stream is None else stream
    server.script("POST", "/v1/predictions", ScriptedResponse(make_prediction("starting", stream=address), status=201))
    await backend.submit(model, {"prompt": "a fox"}, job="j1", run="r1", cancel_after_seconds=60)


def make_text_reply(*tokens: str, status: str = "succeeded", **more: Any) -> ScriptedResponse:
    return ScriptedResponse(make_prediction(status, output=list(tokens), **more))


async def test_a_short_picture_costs_three_requests_and_ends_with_its_metrics(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    await submit_run(backend, server, PAINTER)
    server.script("GET", STREAM, ScriptedStream([b": hi\n\n", format_event("output", PICTURE, "1:0"), DONE]))
    server.script(
        "GET", GET, ScriptedResponse(make_prediction(output=[PICTURE], metrics={"predict_time": 1.5, "image_count": 1}))
    )

    events = await watch(backend, PAINTER)

    assert events[:-1] == [RunStarted()]
    assert end(events).snapshot.files == (PICTURE,)
    assert end(events).snapshot.metrics.predict_seconds == 1.5
    assert [asked.method for asked in server.received] == ["POST", "GET", "GET"]


async def test_tokens_arrive_one_by_one_and_add_up_to_the_text(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    tokens = ["\n", "left\u2028right\x85", "", "\n\n", " a ha", "iku\r", "☃ "]
    # A carriage return inside a data line arrives as a newline.
    await submit_run(backend, server, WRITER)
    server.script(
        "GET",
        STREAM,
        ScriptedStream(
            [*(format_event("output", t.replace("\r", "\n"), f"1:{n}") for n, t in enumerate(tokens)), DONE]
        ),
    )
    server.script("GET", GET, make_text_reply(*(t.replace("\r", "\n") for t in tokens)))

    events = await watch(backend, WRITER)

    assert [event.text for event in events if isinstance(event, TextDelta)] == [
        "\n", "left\u2028right\x85", "\n\n", " a ha", "iku\n", "☃ "
    ]  # fmt: skip
    assert written(events) == end(events).snapshot.text


async def test_the_first_word_does_not_wait_for_the_second(backend: ReplicateBackend, server: ScriptedServer) -> None:
    go_on = asyncio.Event()
    await submit_run(backend, server, WRITER)
    server.script(
        "GET",
        STREAM,
        ScriptedStream([format_event("output", "one", "1:0"), go_on, format_event("output", " two", "1:1"), DONE]),
    )
    server.script("GET", GET, make_text_reply("one", " two"))

    async with aclosing(backend.watch(WRITER, "p1")) as events:
        first = [await anext(events), await anext(events)]
        go_on.set()
        rest = [event async for event in events]

    assert first == [RunStarted(), TextDelta("one")]
    assert written(rest) == " two"


@pytest.mark.parametrize("is_torn", [True, False], ids=["torn", "ended early"])
async def test_a_broken_stream_is_resumed_after_the_last_token(
    backend: ReplicateBackend, server: ScriptedServer, is_torn: bool
) -> None:
    await submit_run(backend, server, WRITER)
    first = ScriptedStream(
        [format_event("output", "one", "1:0"), format_event("output", " two", "1:1")], is_aborted=is_torn
    )
    server.script("GET", STREAM, first, ScriptedStream([format_event("output", " three", "2:0"), DONE]))
    server.script(
        "GET", GET, make_text_reply("one", " two", status="processing"), make_text_reply("one", " two", " three")
    )

    events = await watch(backend, WRITER)

    assert [event.text for event in events if isinstance(event, TextDelta)] == ["one", " two", " three"]
    assert server.find_requests("GET", STREAM)[1].headers["Last-Event-ID"] == "1:1"


async def test_a_stream_that_repeats_events_is_read_once(backend: ReplicateBackend, server: ScriptedServer) -> None:
    one, two, three = (
        format_event("output", "one", "1:0"),
        format_event("output", " two", "1:1"),
        format_event("output", " three", "1:2"),
    )
    await submit_run(backend, server, WRITER)
    server.script("GET", STREAM, ScriptedStream([one, one, two]), ScriptedStream([one, two, two, three, DONE]))
    server.script("GET", GET, make_text_reply("one", status="processing"), make_text_reply("one", " two", " three"))

    events = await watch(backend, WRITER)

    assert written(events) == "one two three"


async def test_a_stream_without_ids_restarts_and_is_read_once(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    await submit_run(backend, server, WRITER)
    again = ScriptedStream([format_event("output", "one t"), format_event("output", "wo three"), DONE])
    server.script("GET", STREAM, ScriptedStream([format_event("output", "one"), format_event("output", " two")]), again)
    server.script("GET", GET, make_text_reply("one", status="processing"), make_text_reply("one", " two", " three"))

    events = await watch(backend, WRITER)

    assert written(events) == "one two three"
    assert "Last-Event-ID" not in server.find_requests("GET", STREAM)[1].headers


async def test_tokens_out_of_order_are_left_to_the_final_text(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    await submit_run(backend, server, WRITER)
    mixed = [
        format_event("output", "one", "1:0"),
        format_event("output", " three", "1:2"),
        format_event("output", " two", "1:1"),
        DONE,
    ]
    server.script("GET", STREAM, ScriptedStream(mixed))
    server.script("GET", GET, make_text_reply("one", " two", " three"))

    events = await watch(backend, WRITER)

    assert written(events) == "one three"  # shown text stays, and no wrong text is added
    assert end(events).snapshot.text == "one two three"


async def test_lost_tokens_come_from_the_final_text(backend: ReplicateBackend, server: ScriptedServer) -> None:
    await submit_run(backend, server, WRITER)
    server.script("GET", STREAM, ScriptedStream([format_event("output", "one", "1:0"), DONE]))
    server.script("GET", GET, make_text_reply("one", " two"))

    assert written(await watch(backend, WRITER)) == "one two"


async def test_thirty_seconds_of_silence_are_no_end(backend: ReplicateBackend, server: ScriptedServer) -> None:
    await submit_run(backend, server, WRITER)
    server.script(
        "GET",
        STREAM,
        ScriptedStream([b": hi\n\n", TIMEOUT]),
        ScriptedStream([format_event("output", "hello", "1:0"), DONE]),
    )
    server.script("GET", GET, ScriptedResponse(make_prediction("starting")), make_text_reply("hello"))

    events = await watch(backend, WRITER)

    assert events[:3] == [RunPending(), RunStarted(), TextDelta("hello")]
    assert len(server.find_requests("GET", STREAM)) == 2


async def test_a_useless_stream_is_replaced_by_polling(backend: ReplicateBackend, server: ScriptedServer) -> None:
    await submit_run(backend, server, WRITER)
    server.script("GET", STREAM, hang_up, ScriptedResponse({}, 500), ScriptedStream([b": hi\n\n"]))
    partial = make_text_reply("one", status="processing")
    server.script(
        "GET",
        GET,
        partial,
        partial,
        partial,
        make_text_reply("one", " two", status="processing"),
        make_text_reply("one", " two", "!"),
    )

    events = await watch(backend, WRITER)

    assert [event.text for event in events if isinstance(event, TextDelta)] == ["one", " two", "!"]
    assert len(server.find_requests("GET", STREAM)) == 3


@pytest.mark.parametrize(
    "address", ["", "http://stream.example/s1", "ftp://x/", "not an address"], ids=["none", "http", "ftp", "nonsense"]
)
async def test_without_a_usable_stream_polls_become_slower(
    backend: ReplicateBackend, server: ScriptedServer, clock: LeapingClock, address: str
) -> None:
    await submit_run(backend, server, PAINTER, address)
    still = ScriptedResponse(make_prediction("processing", logs="10%|# | 1/10"))
    server.script("GET", GET, *[still] * 25, ScriptedResponse(make_prediction(output=PICTURE)))

    events = await watch(backend, PAINTER)

    assert events[:2] == [RunStarted(), RunProgress(10)]
    polls = clock.slept_seconds[-20:]
    assert max(polls) <= 2.0
    assert polls[-1] >= 1.6
    assert sum(polls) >= 20


async def test_after_a_restart_one_poll_finds_the_stream(backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.script(
        "GET",
        GET,
        make_text_reply("one", status="processing", urls={"stream": server.url + STREAM}),
        make_text_reply("one", " two"),
    )
    server.script(
        "GET",
        STREAM,
        ScriptedStream([format_event("output", "one", "1:0"), format_event("output", " two", "1:1"), DONE]),
    )

    events = await watch(backend, WRITER)

    assert written(events) == "one two"
    assert [asked.path for asked in server.received] == [GET, STREAM, GET]


async def test_an_ended_run_needs_one_request(backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.script(
        "GET", GET, ScriptedResponse(make_prediction("failed", error="boom", urls={"stream": server.url + STREAM}))
    )

    events = await watch(backend, PAINTER)

    assert [type(event) for event in events] == [RunEnded]
    assert end(events).snapshot.error == "boom"
    assert len(server.received) == 1


async def test_a_picture_is_polled_after_half_a_minute_and_then_every_five_seconds(
    backend: ReplicateBackend, server: ScriptedServer, clock: LeapingClock
) -> None:
    finished = asyncio.Event()
    await submit_run(backend, server, PAINTER)
    server.script("GET", STREAM, ScriptedStream([b": hi\n\n", finished, DONE]))
    bar = "Using seed: 7\n\r 25%|##   | 1/4 [..]\r 50%|#### | 2/4 [..]"
    server.script(
        "GET",
        GET,
        ScriptedResponse(make_prediction("processing", logs=bar)),
        ScriptedResponse(make_prediction("processing", logs=bar + "\n  0%|  | 0/9")),
    )
    told: list[RunEvent] = []

    async def follow() -> None:
        async with aclosing(backend.watch(PAINTER, "p1")) as events:
            async for event in events:
                told.append(event)

    following = asyncio.create_task(follow())
    await wait_until(lambda: server.find_requests("GET", STREAM) and len(clock.slept_seconds) == 1)
    clock.advance(29.9)
    assert server.find_requests("GET", GET) == []
    clock.advance(6.1)
    await wait_until(lambda: len(clock.slept_seconds) == 2)
    clock.advance(6)
    await wait_until(lambda: len(clock.slept_seconds) == 3)
    server.script("GET", GET, ScriptedResponse(make_prediction(output=[PICTURE])))
    assert told == [RunStarted(), RunProgress(50)]  # the second bar began at 0, and people saw 50
    finished.set()
    await following

    assert isinstance(told[-1], RunEnded)


async def test_a_stream_that_loses_its_done_does_not_hold_the_run(
    backend: ReplicateBackend, server: ScriptedServer, clock: LeapingClock
) -> None:
    await submit_run(backend, server, WRITER)
    server.script("GET", STREAM, ScriptedStream([format_event("output", "all", "1:0"), asyncio.Event()]))
    server.script("GET", GET, make_text_reply("all"))
    watching = asyncio.create_task(watch(backend, WRITER))
    await wait_until(lambda: clock.slept_seconds)

    clock.advance(36.0)

    assert end(await watching).snapshot.state is PredictionState.SUCCEEDED
    await wait_until(lambda: server.open_streams == 0)


async def test_a_prediction_that_lags_behind_done_is_polled_again_soon(
    backend: ReplicateBackend, server: ScriptedServer, clock: LeapingClock
) -> None:
    await submit_run(backend, server, PAINTER)
    server.script("GET", STREAM, ScriptedStream([DONE]))
    server.script(
        "GET", GET, ScriptedResponse(make_prediction("processing")), ScriptedResponse(make_prediction(output=[PICTURE]))
    )

    events = await watch(backend, PAINTER)

    assert end(events).snapshot.files == (PICTURE,)
    assert clock.slept_seconds[-1] <= 0.2
    assert len(server.find_requests("GET", STREAM)) == 1


async def test_an_error_on_the_stream_keeps_the_words_so_far(backend: ReplicateBackend, server: ScriptedServer) -> None:
    await submit_run(backend, server, WRITER)
    broke = [
        format_event("output", "one", "1:0"),
        format_event("error", '{"detail": "boom"}'),
        format_event("done", '{"reason": "error"}'),
    ]
    server.script("GET", STREAM, ScriptedStream(broke))
    server.script("GET", GET, make_text_reply("one", status="failed", error="boom"))

    events = await watch(backend, WRITER)

    assert written(events) == "one"
    assert end(events).snapshot.state is PredictionState.FAILED


async def test_logs_on_the_stream_are_progress(backend: ReplicateBackend, server: ScriptedServer) -> None:
    await submit_run(backend, server, PAINTER)
    server.script(
        "GET",
        STREAM,
        ScriptedStream([format_event("logs", " 40%|##  | 2/5", "1:0"), format_event("sunshine", "x", "1:1"), DONE]),
    )
    server.script("GET", GET, ScriptedResponse(make_prediction(output=[PICTURE])))

    assert (await watch(backend, PAINTER))[:2] == [RunStarted(), RunProgress(40)]


async def test_a_prefix_is_left_out_of_the_stream_too(backend: ReplicateBackend, server: ScriptedServer) -> None:
    await submit_run(backend, server, CAPTIONER)
    server.script(
        "GET",
        STREAM,
        ScriptedStream([format_event("output", "Cap", "1:0"), format_event("output", "tion: a fox", "1:1"), DONE]),
    )
    server.script("GET", GET, ScriptedResponse(make_prediction(output="Caption: a fox")))

    events = await watch(backend, CAPTIONER)

    assert written(events) == end(events).snapshot.text == "a fox"


async def test_a_stream_gets_the_token_only_when_its_host_may_and_asks(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    await submit_run(backend, server, WRITER)
    server.script(
        "GET",
        STREAM,
        ScriptedResponse({}, 401),
        ScriptedStream([format_event("output", "hi", "1:0")]),
        ScriptedStream([DONE]),
    )
    server.script("GET", GET, make_text_reply("hi", status="processing"), make_text_reply("hi"))

    assert written(await watch(backend, WRITER)) == "hi"

    # Once asked, always given: the reconnect does not ask again.
    assert [asked.token for asked in server.find_requests("GET", STREAM)] == ["", f"Bearer {TOKEN}", f"Bearer {TOKEN}"]


async def test_a_stream_that_also_refuses_the_token_is_given_up(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    await submit_run(backend, server, WRITER)
    server.script("GET", STREAM, ScriptedResponse({}, 403))
    server.script("GET", GET, *[ScriptedResponse(make_prediction("processing"))] * 3, make_text_reply("hi"))

    assert written(await watch(backend, WRITER)) == "hi"

    assert len(server.find_requests("GET", STREAM)) == 4  # without, with, with, with


async def test_another_host_is_not_given_the_token_even_when_it_asks(
    server: ScriptedServer, foreign_server: ScriptedServer, clock: LeapingClock
) -> None:
    foreign_server.script("GET", STREAM, ScriptedResponse({}, 401))
    server.script(
        "GET",
        GET,
        make_text_reply("hi", status="processing", urls={"stream": foreign_server.url + STREAM}),
        make_text_reply("hi"),
    )
    backend = ReplicateBackend(server.url, TOKEN, clock)

    await watch(backend, WRITER)
    await backend.close()

    assert server.find_requests("GET", GET)[0].token == f"Bearer {TOKEN}"
    assert foreign_server.received == []  # plain http elsewhere is not even asked


async def test_a_stream_elsewhere_that_asks_for_the_token_does_not_get_it(foreign_server: ScriptedServer) -> None:
    foreign_server.script("GET", STREAM, ScriptedResponse({}, 401))
    streams = ReplicateStreams(Origins("https://api.replicate.com"), {"Authorization": f"Bearer {TOKEN}"})

    assert await streams.listen(foreign_server.url + STREAM, "", lambda event: None) is False

    await streams.close()
    assert [asked.token for asked in foreign_server.received] == [""]


AWAY: list[ResponseScript] = [ScriptedResponse({}, 503), hang_up, ScriptedResponse("<html>", 502)]


async def test_a_short_outage_loses_no_event(backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.script("GET", GET, *AWAY * 4, ScriptedResponse(make_prediction(output=[PICTURE])))

    assert end(await watch(backend, PAINTER)).snapshot.files == (PICTURE,)


async def test_a_service_away_at_a_restart_streams_when_it_is_back(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    back = make_text_reply("one", status="processing", urls={"stream": server.url + STREAM})
    server.script("GET", GET, *AWAY * 2, back, make_text_reply("one", " two"))
    server.script(
        "GET",
        STREAM,
        ScriptedStream([format_event("output", "one", "1:0"), format_event("output", " two", "1:1"), DONE]),
    )

    assert written(await watch(backend, WRITER)) == "one two"

    assert len(server.find_requests("GET", STREAM)) == 1


async def test_an_outage_of_minutes_raises_backend_down(
    backend: ReplicateBackend, server: ScriptedServer, clock: LeapingClock
) -> None:
    server.script("GET", GET, ScriptedResponse({}, 503))

    with pytest.raises(BackendDown):
        await watch(backend, PAINTER)

    assert 300 < clock.monotonic() < 330


@pytest.mark.parametrize(("status", "kind"), [(404, PredictionGone), (401, BackendRefusedToken)], ids=["gone", "token"])
async def test_a_permanent_refusal_raises_at_once(
    backend: ReplicateBackend, server: ScriptedServer, status: int, kind: type[Exception]
) -> None:
    server.script("GET", GET, ScriptedResponse({}, status))

    with pytest.raises(kind):
        await watch(backend, PAINTER)

    assert len(server.received) == 1


@pytest.mark.parametrize("leaving", ["closed", "cancelled"])
async def test_a_closed_watch_leaves_no_task_and_no_connection(
    backend: ReplicateBackend, server: ScriptedServer, leaving: str
) -> None:
    await submit_run(backend, server, WRITER)
    server.script("GET", STREAM, ScriptedStream([format_event("output", "one", "1:0"), asyncio.Event()]))
    others = asyncio.all_tasks()
    is_heard = asyncio.Event()

    async def follow() -> None:
        async with aclosing(backend.watch(WRITER, "p1")) as events:
            async for event in events:
                if isinstance(event, TextDelta):
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
    await wait_until(lambda: server.open_streams == 0)


async def test_a_silent_connection_is_dropped_and_resumed(server: ScriptedServer, clock: LeapingClock) -> None:
    backend = ReplicateBackend(server.url, TOKEN, clock, stream_timeout=httpx.Timeout(0.1))
    await submit_run(backend, server, WRITER)
    server.script(
        "GET",
        STREAM,
        ScriptedStream([format_event("output", "one", "1:0"), asyncio.Event()]),
        ScriptedStream([format_event("output", "!", "1:1"), DONE]),
    )
    server.script("GET", GET, make_text_reply("one", status="processing"), make_text_reply("one", "!"))

    assert written(await watch(backend, WRITER)) == "one!"

    await backend.close()


async def test_two_hundred_watches_at_once_end_with_their_own_texts(
    backend: ReplicateBackend, server: ScriptedServer
) -> None:
    ids = [f"q{n}" for n in range(200)]
    for prediction in ids:
        stream = f"/streams/{prediction}"
        server.script("GET", stream, ScriptedStream([format_event("output", prediction, "1:0"), DONE]))
        script = [
            make_prediction(status, id=prediction, output=[prediction], urls={"stream": server.url + stream})
            for status in ("processing", "succeeded")
        ]
        server.script("GET", f"/v1/predictions/{prediction}", *map(ScriptedResponse, script))

    async def words(prediction: str) -> str:
        async with aclosing(backend.watch(WRITER, prediction)) as events:
            return written([event async for event in events])

    assert await asyncio.gather(*map(words, ids)) == ids
