"""Server-sent events as Replicate sends them: comments, ids, resuming, ends."""

import aiohttp
import pytest

from bot.sandbox.api.predictions import encode_event
from bot.sandbox.prediction_store import SandboxEventLog, SandboxStreamEvent
from tests.sandbox.conftest import SandboxClient
from tests.sandbox.test_predictions import HANG, LLAMA, SCHNELL

QUESTION = {"prompt": "How large is the monthly budget?"}


def parse(stream: bytes) -> list[SandboxStreamEvent]:
    """Return the events of a whole stream, without comments."""
    events = []
    for block in stream.decode().split("\n\n"):
        fields: dict[str, list[str]] = {"event": [], "id": [], "data": []}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            if name:
                fields[name].append(value.removeprefix(" "))
        if fields["event"]:
            events.append(SandboxStreamEvent(fields["event"][0], "\n".join(fields["data"]), "".join(fields["id"])))
    return events


async def test_a_text_stream_says_hi_then_every_token_then_done(client: SandboxClient) -> None:
    finished = await client.run(LLAMA, QUESTION)

    stream = await client.stream(finished["urls"]["stream"])
    events = parse(stream)

    assert "/v1/streams/" in finished["urls"]["stream"]
    assert stream.startswith(b": hi\n\n")
    assert [event.data for event in events if event.name == "output"] == finished["output"]
    assert events[-1] == SandboxStreamEvent("done", "{}")
    assert all(event.id.count(":") == 1 for event in events[:-1])


async def test_a_stream_resumes_after_the_last_event_id_and_replays_without_one(client: SandboxClient) -> None:
    finished = await client.run(LLAMA, QUESTION)
    url = finished["urls"]["stream"]
    whole = parse(await client.stream(url))

    resumed = parse(await client.stream(url, last_event_id=whole[4].id))
    unknown = parse(await client.stream(url, last_event_id="1:1"))

    assert resumed == whole[5:]
    assert unknown == whole == parse(await client.stream(url))


async def test_a_file_stream_carries_the_addresses_of_the_files(client: SandboxClient) -> None:
    finished = await client.run(SCHNELL, {"prompt": "a hill", "num_outputs": 2, "megapixels": "0.25"})

    events = parse(await client.stream(finished["urls"]["stream"]))

    assert "/v1/files/" in finished["urls"]["stream"]
    assert [event.data for event in events[:-1]] == finished["output"]


async def test_a_cancelled_stream_ends_with_the_reason(client: SandboxClient) -> None:
    hanging = await client.create(LLAMA, HANG)
    async with client.session.get(hanging["urls"]["stream"]) as reply:
        await client.request("POST", hanging["urls"]["cancel"])

        events = parse(await reply.read())

    assert events == [SandboxStreamEvent("done", '{"reason": "canceled"}')]


async def test_a_failed_stream_tells_the_error_before_it_is_done(client: SandboxClient) -> None:
    created = await client.create(LLAMA, {"prompt": "fault:fail"})

    error, done = parse(await client.stream(created["urls"]["stream"]))

    assert (error.name, done) == ("error", SandboxStreamEvent("done", '{"reason": "error"}'))
    assert "deliberate failure" in error.data


async def test_an_idle_stream_is_closed_after_thirty_seconds(client: SandboxClient) -> None:
    hanging = await client.create(LLAMA, HANG)
    async with client.session.get(hanging["urls"]["stream"]) as reply:
        assert await reply.content.readline() == b": hi\n"
        client.sandbox.clock.advance(31)

        assert (await reply.read()).endswith(b":408: 408 Request Timeout\n\n")


async def test_a_cut_stream_breaks_once_and_can_be_resumed(client: SandboxClient) -> None:
    created = await client.create(LLAMA, {"prompt": "fault:cut hello"})
    url = created["urls"]["stream"]

    before = parse(await _read_until_it_breaks(client, url))
    after = parse(await client.stream(url, last_event_id=before[-1].id))

    assert before
    assert after[-1].name == "done"
    assert [event.data for event in before + after[:-1]] == (await client.request("GET", created["urls"]["get"])).body[
        "output"
    ]


@pytest.mark.parametrize("word", ["stream-lost", "stream-doubled", "stream-reordered"])
async def test_a_faulty_stream_leaves_the_prediction_whole(client: SandboxClient, word: str) -> None:
    finished = await client.run(LLAMA, {"prompt": f"hello fault:{word}"})

    events = parse(await client.stream(finished["urls"]["stream"]))

    sent, whole = [event.data for event in events if event.name == "output"], finished["output"]
    assert finished["status"] == "succeeded"
    assert events[-1] == SandboxStreamEvent("done", "{}")
    assert (
        sent
        == {
            "stream-lost": [token for place, token in enumerate(whole, start=1) if place % 3],
            "stream-doubled": [token for token in whole for _ in range(2)],
            "stream-reordered": [token for pair in batched_in_pairs(whole) for token in reversed(pair)],
        }[word]
    )


def batched_in_pairs(tokens: list[str]) -> list[list[str]]:
    return [tokens[start : start + 2] for start in range(0, len(tokens), 2)]


async def _read_until_it_breaks(client: SandboxClient, url: str) -> bytes:
    received = b""
    async with client.session.get(url) as reply:
        try:
            async for chunk in reply.content.iter_any():
                received += chunk
        except aiohttp.ClientPayloadError:
            return received
    raise AssertionError("the stream did not break")


async def test_an_unknown_stream_is_a_404(client: SandboxClient) -> None:
    reply = await client.request("GET", "/v1/streams/sandbox-" + "a" * 52)

    assert reply.status == 404


def test_newlines_inside_a_token_become_data_lines() -> None:
    assert (
        encode_event(SandboxStreamEvent("output", "one\ntwo", "1:0"))
        == b"event: output\nid: 1:0\ndata: one\ndata: two\n\n"
    )
    assert encode_event(SandboxStreamEvent("output", "\n", "1:1")) == b"event: output\nid: 1:1\ndata:\ndata:\n\n"
    assert encode_event(SandboxStreamEvent("output", "left\u2028right", "1:2")).count(b"data:") == 1


def test_ids_count_within_a_second() -> None:
    log = SandboxEventLog()
    for second in (7, 7, 8):
        log.append("output", "x", second)

    assert [event.id for event in log.read_from(0)] == ["7:0", "7:1", "8:0"]
