"""Injected failures, and the sandbox's own control routes."""

import base64
import re
from pathlib import Path

import pytest

from bot.sandbox.faults import FaultKind, SandboxFault, find_fault
from tests.sandbox.conftest import SandboxClient
from tests.sandbox.test_predictions import LLAMA, SCHNELL, SDXL, wait_until


@pytest.mark.parametrize(
    ("version", "word", "error"),
    [
        (SCHNELL, "nsfw", "All generated images contained NSFW content. Try running it again with a different prompt."),
        (SDXL, "nsfw", "NSFW content detected. Try running it again, or try a different prompt."),
        (LLAMA, "nsfw", "(E005)"),
        (LLAMA, "fail", "deliberate failure"),
        (SCHNELL, "oom", "CUDA out of memory. Tried to allocate"),
        (SCHNELL, "setup", "Model setup failed"),
        (SCHNELL, "e001", "(E001)"),
        (SCHNELL, "e002", "(E002)"),
        (SCHNELL, "e004", "Service is temporarily unavailable. Please try again later. (E004)"),
        (SCHNELL, "e003", "Please try again later. (E003)"),
        (SCHNELL, "e005", "flagged as sensitive. Please try again with different inputs. (E005)"),
    ],
)
async def test_a_word_makes_a_prediction_fail_in_the_models_words(
    client: SandboxClient, version: str, word: str, error: str
) -> None:
    finished = await client.run(version, {"prompt": f"a lake fault:{word}"})

    assert (finished["status"], finished["output"]) == ("failed", None)
    assert error in finished["error"]
    assert ("predict_time" in finished["metrics"]) == ("started_at" in finished) == (word != "setup")


async def test_402_creates_nothing(client: SandboxClient) -> None:
    reply = await client.request("POST", "/v1/predictions", json={"version": LLAMA, "input": {"prompt": "fault:402"}})

    assert (reply.status, reply.body["title"]) == (402, "Insufficient credit")
    assert client.sandbox.store.created_count == 0


async def test_429_by_a_word_refuses_only_the_first_time(client: SandboxClient) -> None:
    body = {"version": LLAMA, "input": {"prompt": "hello fault:429=7"}}

    first = await client.request("POST", "/v1/predictions", json=body)
    second = await client.request("POST", "/v1/predictions", json=body)

    assert (first.status, first.body["retry_after"]) == (429, 7)
    assert "resets in ~7s" in first.body["detail"]
    assert second.status == 201


async def test_low_credit_by_a_word_refuses_once(client: SandboxClient) -> None:
    body = {"version": LLAMA, "input": {"prompt": "hello fault:lowcredit"}}

    first = await client.request("POST", "/v1/predictions", json=body)
    second = await client.request("POST", "/v1/predictions", json=body)

    assert "while you have less than $5.0 in credit. Your rate limit resets in ~10s." in first.body["detail"]
    assert (first.status, first.body["retry_after"], second.status) == (429, 10, 201)


async def test_a_storm_refuses_an_input_several_times(client: SandboxClient) -> None:
    body = {"version": LLAMA, "input": {"prompt": "hello fault:storm=3"}}

    statuses = [(await client.request("POST", "/v1/predictions", json=body)).status for _ in range(4)]

    assert statuses == [429, 429, 429, 201]


async def test_a_storm_can_be_armed_for_all_inputs(client: SandboxClient) -> None:
    await client.request("POST", "/sandbox/faults", json={"next": [{"fault": "storm", "times": 2}]})

    statuses = [
        (await client.request("POST", "/v1/predictions", json={"version": LLAMA, "input": {"prompt": str(n)}})).status
        for n in range(3)
    ]

    assert statuses == [429, 429, 201]


async def test_an_expired_output_is_gone_before_the_first_download(client: SandboxClient) -> None:
    finished = await client.run(SCHNELL, {"prompt": "a hill fault:expired", "megapixels": "0.25"})

    assert finished["status"] == "succeeded"
    assert (await client.request("GET", finished["output"][0])).status == 404


async def test_outputs_can_come_as_data_urls(client: SandboxClient) -> None:
    finished = await client.run(SCHNELL, {"prompt": "a hill fault:inline", "megapixels": "0.25"})

    header, _, content = finished["output"][0].partition(",")
    assert header == "data:image/webp;base64"
    assert base64.b64decode(content).startswith(b"RIFF")


async def test_a_500_still_creates_the_prediction(client: SandboxClient) -> None:
    reply = await client.request("POST", "/v1/predictions", json={"version": LLAMA, "input": {"prompt": "fault:500"}})
    listed = await client.request("GET", "/v1/predictions")

    assert reply.status == 500
    assert [entry["input"]["prompt"] for entry in listed.body["results"]] == ["fault:500"]


async def test_a_slow_prediction_waits_for_the_clock(client: SandboxClient) -> None:
    created = await client.create(LLAMA, {"prompt": "hello fault:slow=100"})
    prediction = client.sandbox.store.get(created["id"])
    assert prediction
    await wait_until(lambda: prediction.status == "processing")

    client.sandbox.clock.advance(101)
    await client.stream(created["urls"]["stream"])

    assert prediction.status == "succeeded"
    assert prediction.metrics["predict_time"] > 100


async def test_faults_can_be_armed_for_the_next_predictions_of_a_model(client: SandboxClient) -> None:
    orders = {"next": [{"fault": "oom", "model": SCHNELL, "times": 1}]}
    ordered = await client.request("POST", "/sandbox/faults", json=orders)

    other = await client.run(LLAMA, {"prompt": "hello"})
    first = await client.run(SCHNELL, {"prompt": "a hill", "megapixels": "0.25"})
    second = await client.run(SCHNELL, {"prompt": "a hill", "megapixels": "0.25"})

    assert ordered.status == 204
    assert [entry["status"] for entry in (other, first, second)] == ["succeeded", "failed", "succeeded"]


async def test_the_test_routes_need_the_token_and_refuse_nonsense(client: SandboxClient) -> None:
    anonymous = await client.request("GET", "/sandbox/predictions", headers={"Authorization": ""})
    unknown = await client.request("POST", "/sandbox/faults", json={"next": [{"fault": "gremlins"}]})
    backwards = await client.request("POST", "/sandbox/clock", json={"advance_seconds": -1})

    assert (anonymous.status, unknown.status, backwards.status) == (401, 422, 422)


async def test_equal_requests_are_counted(client: SandboxClient) -> None:
    for prompt in ("hello", "hello", "hello there"):
        await client.run(LLAMA, {"prompt": prompt})

    counted = (await client.request("GET", "/sandbox/predictions")).body

    assert (counted["created"], counted["created_more_than_once"]) == (3, 1)
    assert counted["statuses"] == {"succeeded": 3}
    assert [entry["times_created"] for entry in counted["predictions"]] == [1, 2, 2]
    assert all(0 <= entry["first_output_seconds"] <= entry["metrics"]["total_time"] for entry in counted["predictions"])


async def test_the_clock_can_be_moved_over_http(client: SandboxClient) -> None:
    before = client.sandbox.clock.now()

    reply = await client.request("POST", "/sandbox/clock", json={"advance_seconds": 3600})

    assert reply.status == 200
    assert (client.sandbox.clock.now() - before).total_seconds() >= 3600


def test_only_the_last_turn_of_a_conversation_injects_a_fault() -> None:
    earlier = "<|start_header_id|>user<|end_header_id|>\n\nfault:oom<|eot_id|>"
    last = (
        "<|start_header_id|>user<|end_header_id|>\n\nthanks<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )

    assert find_fault({"prompt": earlier + last}) is None
    assert find_fault({"prompt": last + earlier}) == SandboxFault.parse("oom")
    assert find_fault({"prompt": "fault:gremlins fault:slow=2"}) == SandboxFault.parse("slow", 2)


def test_the_docs_table_has_every_fault() -> None:
    page = Path(__file__).parents[2] / "docs" / "sandbox.md"

    named = re.findall(r"^\| `([a-z0-9-]+)(?:=N)?` \|", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(named) == sorted(FaultKind)
