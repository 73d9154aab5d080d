"""Creating, reading, listing and cancelling predictions as api.replicate.com does; Prefer and Cancel-After."""

import asyncio
from typing import Any

import pytest

from bot.sandbox.api.requests import parse_lifetime_seconds, parse_wait_seconds
from bot.sandbox.problems import Problem
from bot.sandbox.server import Sandbox
from tests.sandbox.conftest import SandboxClient
from tests.sandbox.exchange_recorder import check_response

SCHNELL = "black-forest-labs/flux-schnell"
LLAMA = "meta/meta-llama-3-8b-instruct"
BLIP = "salesforce/blip:2e1dddc8621f72155f24cf2e0adbde548458d3cab9f00c0139eea840d0ac4746"
SDXL = "stability-ai/sdxl:7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
HANG: dict[str, Any] = {"prompt": "fault:hang"}


@pytest.mark.parametrize("version", [LLAMA, BLIP, BLIP.partition(":")[2]])
async def test_a_version_is_taken_in_all_three_forms(client: SandboxClient, version: str) -> None:
    model_input = {"prompt": "hello"} if version == LLAMA else {"image": "data:,"}

    created = await client.create(version, model_input)

    assert created["status"] == "starting"
    assert created["version"] == ("hidden" if version == LLAMA else BLIP.partition(":")[2])
    check_response("post", "/predictions", 201, created)


@pytest.mark.parametrize(
    "version", ["nobody/nothing", "salesforce/blip", "0" * 64, f"{LLAMA}:{BLIP.partition(':')[2]}", "", ":"]
)
async def test_an_unknown_version_is_a_422(client: SandboxClient, version: str) -> None:
    reply = await client.request("POST", "/v1/predictions", json={"version": version, "input": {}})

    assert reply.status == 422
    assert reply.body["title"] == "Invalid version or not permitted"


async def test_official_models_and_known_deployments_have_create_routes_of_their_own(client: SandboxClient) -> None:
    body = {"input": {"prompt": "a hill"}}

    by_model = await client.request("POST", f"/v1/models/{SCHNELL}/predictions", json=body)
    by_deployment = await client.request("POST", "/v1/deployments/acme/fast/predictions", json=body)
    community = await client.request("POST", "/v1/models/stability-ai/sdxl/predictions", json=body)
    unknown = await client.request("POST", "/v1/deployments/acme/slow/predictions", json=body)

    assert [by_model.status, by_deployment.status, community.status, unknown.status] == [201, 201, 404, 404]
    assert by_deployment.body["deployment"] == "acme/fast"
    check_response("post", "/deployments/{deployment_owner}/{deployment_name}/predictions", 201, by_deployment.body)


async def test_a_finished_picture_has_everything_the_document_requires(client: SandboxClient) -> None:
    finished = await client.run(SCHNELL, {"prompt": "a lake", "seed": 5, "num_outputs": 2, "megapixels": "0.25"})

    check_response("get", "/predictions/{prediction_id}", 200, finished)
    assert finished["status"] == "succeeded"
    assert len(finished["output"]) == 2
    assert finished["metrics"]["image_count"] == finished["metrics"]["image_output_count"] == 2
    assert finished["metrics"]["predict_time"] > 0
    assert "Using seed: 5\n" in finished["logs"]
    assert "100%|██████████| 4/4" in finished["logs"]


async def test_unknown_input_keys_are_dropped_silently(client: SandboxClient) -> None:
    created = await client.create(LLAMA, {"prompt": "hello", "colour": "red"})

    assert created["input"] == {"prompt": "hello"}


@pytest.mark.parametrize(
    ("model_input", "field", "kind", "description"),
    [
        ({}, "input", "required", "prompt is required"),
        ({"prompt": 7}, "input.prompt", "invalid_type", "Invalid type. Expected: string, given: integer"),
        ({"prompt": "", "num_outputs": 9}, "input.num_outputs", "number_lte", "Must be less than or equal to 4"),
        ({"prompt": "", "num_outputs": True}, "input.num_outputs", "invalid_type", "Invalid type. Expected: integer"),
        ({"prompt": "", "num_outputs": 1.5}, "input.num_outputs", "invalid_type", "Invalid type. Expected: integer"),
        ({"prompt": "", "output_quality": -1}, "input.output_quality", "number_gte", "Must be greater than or equal"),
        (
            {"prompt": "", "output_format": "gif"},
            "input.output_format",
            "enum",
            'output_format must be one of the following: "webp", "jpg", "png"',
        ),
    ],
)
async def test_each_wrong_input_is_named(
    client: SandboxClient, model_input: dict[str, Any], field: str, kind: str, description: str
) -> None:
    reply = await client.request("POST", "/v1/predictions", json={"version": SCHNELL, "input": model_input})

    (wrong,) = reply.body["invalid_fields"]
    assert reply.status == 422
    assert reply.headers["content-type"].startswith("application/problem+json")
    assert (wrong["field"], wrong["type"]) == (field, kind)
    assert wrong["description"].startswith(description)
    assert reply.body["detail"] == f"- {field}: {wrong['description']}\n"


async def test_an_invalid_body_names_missing_and_unknown_fields(client: SandboxClient) -> None:
    reply = await client.request("POST", "/v1/predictions", json={"model": "x", "input": {}})
    by_model = await client.request("POST", f"/v1/models/{SCHNELL}/predictions", json={"version": "x", "input": {}})
    broken = await client.request("POST", "/v1/predictions", data=b"{")

    assert reply.body["detail"] == "- version is required\n- Additional property model is not allowed\n"
    assert by_model.body["invalid_fields"][0]["type"] == "additional_property_not_allowed"
    assert (reply.status, by_model.status, broken.status) == (422, 422, 400)


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer r8_wrong"}, {"Authorization": ""}])
async def test_requests_without_the_token_are_refused(client: SandboxClient, headers: dict[str, str]) -> None:
    reply = await client.request("GET", "/v1/account", headers=headers)

    assert (reply.status, reply.body) == (
        401,
        {"title": "Unauthenticated", "detail": "You did not pass a valid authentication token", "status": 401},
    )


async def test_replies_carry_location_and_rate_limit_headers(client: SandboxClient) -> None:
    reply = await client.request("POST", "/v1/predictions", json={"version": LLAMA, "input": {"prompt": "hello"}})
    again = await client.request("GET", reply.headers["location"])

    assert reply.headers["location"] == reply.body["urls"]["get"]
    assert (reply.headers["ratelimit-remaining"], reply.headers["ratelimit-reset"]) == ("599", "1")
    assert again.headers["ratelimit-remaining"] == "2999"


async def test_a_blocking_create_answers_as_soon_as_outputs_exist(client: SandboxClient) -> None:
    body = {"version": LLAMA, "input": {"prompt": "hello"}}

    reply = await client.request("POST", "/v1/predictions", json=body, headers={"Prefer": "wait=10"})

    assert reply.headers["preference-applied"] == "wait=10"
    assert reply.body["status"] == "processing"
    assert "".join(reply.body["output"]).startswith("Hello!")
    assert "completed_at" not in reply.body


async def test_a_blocking_create_that_runs_out_of_time_answers_unfinished(client: SandboxClient) -> None:
    asking = asyncio.create_task(
        client.request("POST", "/v1/predictions", json={"version": LLAMA, "input": HANG}, headers={"Prefer": "wait"})
    )
    await wait_until(lambda: len(client.sandbox.store) == 1 and _status(client.sandbox) == "processing")
    client.sandbox.clock.advance(61)

    reply = await asking

    assert (reply.status, reply.body["status"], reply.body["output"]) == (201, "processing", None)


async def test_cancel_is_immediate_and_leaves_finished_predictions_alone(client: SandboxClient) -> None:
    hanging = await client.create(LLAMA, HANG)
    finished = await client.run(LLAMA, {"prompt": "hello"})

    canceled = await client.request("POST", hanging["urls"]["cancel"])
    untouched = await client.request("POST", finished["urls"]["cancel"])

    assert (canceled.status, canceled.body["status"]) == (200, "canceled")
    assert (untouched.status, untouched.body["status"]) == (200, "succeeded")
    check_response("post", "/predictions/{prediction_id}/cancel", 200, canceled.body)


async def test_a_deadline_cancels_running_and_aborts_waiting_predictions(client: SandboxClient) -> None:
    running = await client.create(LLAMA, HANG, headers={"Cancel-After": "1m"})
    booting = await client.create(LLAMA, {"prompt": "fault:coldstart=90"}, headers={"Cancel-After": "30"})
    await wait_until(lambda: _status(client.sandbox, running["id"]) == "processing")

    client.sandbox.clock.advance(31)
    await client.stream(booting["urls"]["stream"])
    client.sandbox.clock.advance(30)
    await client.stream(running["urls"]["stream"])

    assert running["deadline"] > running["created_at"]
    assert _status(client.sandbox, booting["id"]) == "aborted"
    assert _status(client.sandbox, running["id"]) == "canceled"


async def test_a_list_is_paged_newest_first_and_follows_absolute_cursors(client: SandboxClient) -> None:
    ids = [(await client.create(LLAMA, {"prompt": f"hello {n}"}))["id"] for n in range(105)]

    first = await client.request("GET", "/v1/predictions")
    newcomer = await client.create(LLAMA, {"prompt": "hello"})
    second = await client.request("GET", first.body["next"])

    check_response("get", "/predictions", 200, first.body)
    assert first.body["next"].startswith(client.sandbox.url)
    assert [entry["id"] for entry in first.body["results"] + second.body["results"]] == ids[::-1]
    assert second.body["next"] is None
    assert newcomer["id"] not in {entry["id"] for entry in second.body["results"]}


async def test_a_list_can_be_bounded_in_time(client: SandboxClient) -> None:
    old = await client.create(LLAMA, {"prompt": "hello"})
    client.sandbox.clock.advance(60)
    new = await client.create(LLAMA, {"prompt": "hello"})

    after = await client.request("GET", "/v1/predictions", params={"created_after": old["created_at"]})
    before = await client.request("GET", "/v1/predictions", params={"created_before": new["created_at"]})
    wrong = await client.request("GET", "/v1/predictions", params={"created_after": "yesterday"})

    assert [entry["id"] for entry in after.body["results"]] == [new["id"]]
    assert [entry["id"] for entry in before.body["results"]] == [old["id"]]
    assert wrong.status == 400


async def test_data_and_outputs_are_gone_after_an_hour(client: SandboxClient) -> None:
    finished = await client.run(SCHNELL, {"prompt": "a lake", "megapixels": "0.25"})
    picture = await client.request("GET", finished["output"][0], headers={"Authorization": ""})

    client.sandbox.clock.advance(3600)
    later = await client.request("GET", finished["urls"]["get"])
    gone = await client.request("GET", finished["output"][0])

    assert (picture.status, picture.headers["content-type"]) == (200, "image/webp")
    assert gone.status == 404
    assert later.body["data_removed"] is True
    assert (later.body["input"], later.body["output"], later.body["logs"]) == ({}, None, "")
    check_response("get", "/predictions/{prediction_id}", 200, later.body)


async def test_an_unknown_id_is_a_404_problem(client: SandboxClient) -> None:
    for path in ("/v1/predictions/nope", "/v1/models/no/body", "/v1/nothing", "/pbxt/nope/out-0.png"):
        reply = await client.request("GET", path)

        assert (reply.status, reply.body["status"]) == (404, 404), path


def _status(sandbox: Sandbox, prediction_id: str | None = None) -> str:
    newest = next(iter(sandbox.store.list_newest_first()))
    found = sandbox.store.get(prediction_id) if prediction_id else newest
    return str(found.status) if found else "unknown"


async def wait_until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the server turns
            await asyncio.sleep(0)


def test_header_durations_are_read_as_the_document_says() -> None:
    assert [parse_lifetime_seconds(text) for text in ("30s", "5m", "1h30m45s", "30", None)] == [30, 300, 5445, 30, None]
    assert [parse_wait_seconds(text) for text in ("wait", "wait=1", "wait=60", None)] == [60, 1, 60, None]
    for wrong in ("4s", "soon", "", "1.5m"):
        with pytest.raises(Problem):
            parse_lifetime_seconds(wrong)
    for wrong in ("wait=0", "wait=61", "respond-async"):
        with pytest.raises(Problem):
            parse_wait_seconds(wrong)
