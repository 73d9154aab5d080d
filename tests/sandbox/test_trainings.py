"""Trainings: from a version of a model to a new version of another."""

import io
import json
import tarfile
from typing import Any

import pytest

from tests.sandbox.conftest import SandboxClient, SandboxResponse
from tests.sandbox.test_predictions import LLAMA, SDXL, wait_until
from tests.sandbox.webhook_receiver import WebhookReceiver

NAME, _, VERSION = SDXL.partition(":")
ROUTE = f"/v1/models/{NAME}/versions/{VERSION}/trainings"
INPUT = {"input_images": "https://example.org/images.zip", "token_string": "TOK"}


@pytest.fixture
async def destination(client: SandboxClient) -> str:
    return await own_model(client)


async def own_model(client: SandboxClient, name: str = "mine", visibility: str = "private") -> str:
    body = {"owner": "sandbox", "name": name, "visibility": visibility, "hardware": "gpu-t4"}
    reply = await client.request("POST", "/v1/models", json=body)
    assert reply.status == 201, reply.body
    return f"sandbox/{name}"


async def train(client: SandboxClient, destination: str, **options: Any) -> SandboxResponse:
    return await client.request("POST", ROUTE, json={"destination": destination, "input": INPUT, **options})


async def wait_until_finished(client: SandboxClient, created: Any) -> Any:
    training = client.sandbox.trainings.get(created["id"])
    assert training
    await wait_until(lambda: training.status.is_terminal)
    return (await client.request("GET", created["urls"]["get"])).body


async def test_a_training_ends_with_a_version_that_runs(client: SandboxClient, destination: str) -> None:
    created = (await train(client, destination)).body

    ended = await wait_until_finished(client, created)
    drawn = await client.run(ended["output"]["version"], {"prompt": "a fox", "width": 64, "height": 64})
    page = (await client.request("GET", f"/v1/models/{destination}")).body

    assert (created["status"], "output" in created) == ("starting", False)
    assert (ended["status"], ended["model"], ended["version"]) == ("succeeded", NAME, VERSION)
    assert ended["output"]["version"] == f"{destination}:{page['latest_version']['id']}"
    assert "20/20" in ended["logs"]
    assert "no weights are learnt" in ended["logs"]
    assert (drawn["status"], drawn["model"]) == ("succeeded", destination)


async def test_the_weights_file_describes_itself(client: SandboxClient, destination: str) -> None:
    ended = await wait_until_finished(client, (await train(client, destination)).body)

    weights = await client.request("GET", ended["output"]["weights"], headers={"Authorization": ""})

    with tarfile.open(fileobj=io.BytesIO(weights.content)) as archive:
        note = archive.extractfile("README.txt")
        assert note
        assert b"trains nothing" in note.read()


@pytest.mark.parametrize("destination", ["sandbox/nobody", "stability-ai/sdxl", "nonsense", ""])
async def test_a_foreign_destination_does_not_exist(client: SandboxClient, destination: str) -> None:
    reply = await train(client, destination)

    assert (reply.status, reply.body["detail"]) == (404, "The specified training destination does not exist")


async def test_an_untrainable_version_and_missing_fields_are_a_422(client: SandboxClient, destination: str) -> None:
    page = (await client.request("GET", f"/v1/models/{LLAMA}")).body
    route = f"/v1/models/{LLAMA}/versions/{page['latest_version']['id']}/trainings"

    untrainable = await client.request("POST", route, json={"destination": destination, "input": {}})
    no_images = await train(client, destination, input={})
    no_destination = await client.request("POST", ROUTE, json={"input": INPUT})
    no_version = await client.request(
        "POST", ROUTE.replace(VERSION, "0" * 64), json={"destination": "x/y", "input": {}}
    )

    assert [reply.status for reply in (untrainable, no_images, no_destination, no_version)] == [422] * 4
    assert no_images.body["invalid_fields"][0]["description"] == "input_images is required"
    assert no_destination.body["invalid_fields"][0]["description"] == "destination is required"


async def test_a_training_can_be_cancelled_and_publishes_nothing(client: SandboxClient, destination: str) -> None:
    hanging = {"fault": "hang", "model": NAME}
    await client.request("POST", "/sandbox/faults", json={"next": [hanging]})
    created = (await train(client, destination)).body

    canceled = await client.request("POST", created["urls"]["cancel"])
    page = (await client.request("GET", f"/v1/models/{destination}")).body

    assert (canceled.status, canceled.body["status"]) == (200, "canceled")
    assert page["latest_version"] is None


async def test_trainings_have_a_list_of_their_own(client: SandboxClient, destination: str) -> None:
    ids = [(await train(client, destination)).body["id"] for _ in range(3)]

    listed = await client.request("GET", "/v1/trainings")
    predictions = await client.request("GET", "/v1/predictions")
    unknown = await client.request("GET", "/v1/trainings/nope")

    assert [entry["id"] for entry in listed.body["results"]] == ids[::-1]
    assert predictions.body["results"] == []
    assert unknown.status == 404


async def test_the_webhook_of_a_training_carries_the_training(
    client: SandboxClient, destination: str, receiver: WebhookReceiver
) -> None:
    options = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    created = (await train(client, destination, **options)).body
    await wait_until(lambda: receiver.calls)

    ((_, body),) = receiver.calls
    assert json.loads(body)["id"] == created["id"]
    assert json.loads(body)["output"]["version"].startswith(destination)


async def test_a_training_fails_if_its_destination_is_deleted_meanwhile(
    client: SandboxClient, destination: str
) -> None:
    await client.request("POST", "/sandbox/faults", json={"next": [{"fault": "slow", "model": NAME, "amount": 60}]})
    created = (await train(client, destination)).body
    deleted = await client.request("DELETE", f"/v1/models/{destination}")
    training = client.sandbox.trainings.get(created["id"])
    assert training
    await wait_until(lambda: training.status == "processing")

    client.sandbox.clock.advance(61)
    ended = await wait_until_finished(client, created)

    assert deleted.status == 204
    assert (ended["status"], "deleted" in ended["error"]) == ("failed", True)
