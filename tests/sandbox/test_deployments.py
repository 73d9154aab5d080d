"""Deployments: releases, predictions by deployment, and deletion."""

from typing import Any

from tests.sandbox.conftest import SandboxClient, SandboxResponse
from tests.sandbox.test_predictions import LLAMA, SDXL

MODEL, _, VERSION = SDXL.partition(":")
NEW: dict[str, Any] = {
    "name": "pictures",
    "model": MODEL,
    "version": VERSION,
    "hardware": "gpu-l40s",
    "min_instances": 0,
    "max_instances": 2,
}
ROUTE = "/v1/deployments/sandbox/pictures"


async def create_deployment(client: SandboxClient, **changes: Any) -> SandboxResponse:
    return await client.request("POST", "/v1/deployments", json=NEW | changes)


async def test_a_new_deployment_is_release_one_of_its_model(client: SandboxClient) -> None:
    created = await create_deployment(client)
    again = await client.request("GET", ROUTE)

    assert (created.status, created.body["owner"], created.body["name"]) == (200, "sandbox", "pictures")
    assert again.body == created.body
    release = created.body["current_release"]
    assert (release["number"], release["model"], release["version"]) == (1, MODEL, VERSION)
    assert release["configuration"] == {"hardware": "gpu-l40s", "min_instances": 0, "max_instances": 2}
    assert release["created_by"]["username"] == "sandbox"


async def test_a_change_is_the_next_release(client: SandboxClient) -> None:
    await create_deployment(client)

    changed = await client.request("PATCH", ROUTE, json={"min_instances": 1})
    wrong_version = await client.request("PATCH", ROUTE, json={"version": "0" * 64})

    release = changed.body["current_release"]
    assert (release["number"], release["configuration"]["min_instances"]) == (2, 1)
    assert release["configuration"]["hardware"] == "gpu-l40s"
    assert wrong_version.status == 422
    assert (await client.request("GET", ROUTE)).body["current_release"]["number"] == 2


async def test_every_wrong_field_of_a_deployment_is_named(client: SandboxClient) -> None:
    empty = await client.request("POST", "/v1/deployments", json={})
    wrong = await create_deployment(client, hardware="abacus", min_instances=6, max_instances="2")
    other_version = await create_deployment(client, model=LLAMA)
    unknown_model = await create_deployment(client, model="no/body")

    assert [fault["description"] for fault in empty.body["invalid_fields"]] == [f"{name} is required" for name in NEW]
    assert [fault["field"] for fault in wrong.body["invalid_fields"]] == ["hardware", "min_instances", "max_instances"]
    assert [other_version.status, unknown_model.status] == [422, 422]


async def test_a_name_is_taken_once_and_the_list_is_newest_first(client: SandboxClient) -> None:
    await create_deployment(client)
    twice = await create_deployment(client)

    listed = await client.request("GET", "/v1/deployments")

    assert twice.status == 409
    assert [entry["name"] for entry in listed.body["results"]] == ["pictures", "fast"]


async def test_a_deployment_runs_its_version(client: SandboxClient) -> None:
    await create_deployment(client)
    body = {"input": {"prompt": "a fox", "width": 64, "height": 64}}

    created = await client.request("POST", f"{ROUTE}/predictions", json=body)
    await client.stream(created.body["urls"]["stream"])
    finished = (await client.request("GET", created.body["urls"]["get"])).body

    assert (finished["status"], finished["deployment"]) == ("succeeded", "sandbox/pictures")
    assert (finished["model"], finished["version"]) == (MODEL, VERSION)


async def test_only_an_offline_and_unused_deployment_is_deleted(client: SandboxClient) -> None:
    await create_deployment(client, min_instances=1)
    online = await client.request("DELETE", ROUTE)
    await client.request("PATCH", ROUTE, json={"min_instances": 0})
    await client.request("POST", f"{ROUTE}/predictions", json={"input": {"prompt": "fault:hang"}})
    just_used = await client.request("DELETE", ROUTE)

    client.sandbox.clock.advance(15 * 60)
    gone = await client.request("DELETE", ROUTE)

    assert [online.status, just_used.status, gone.status] == [400, 400, 204]
    assert "offline and unused for at least 15 minutes" in online.body["detail"]
    assert (await client.request("GET", ROUTE)).status == 404
