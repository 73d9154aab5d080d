"""Every operation of Replicate's document succeeds, with responses as documented."""

from typing import Any

import aiohttp

from tests.sandbox.conftest import SandboxClient
from tests.sandbox.exchange_recorder import ExchangeRecorder
from tests.sandbox.test_deployments import NEW
from tests.sandbox.test_predictions import SCHNELL, SDXL
from tests.sandbox.test_trainings import own_model, train, wait_until_finished
from tests.specs.replicate import list_operations


async def test_all_operations_of_the_document_succeed(client: SandboxClient, recorder: ExchangeRecorder) -> None:
    await _read_existing_objects(client)
    await _predict(client)
    await _keep_files(client)
    await _deploy(client)
    await _train_and_delete(client)

    missing = {(operation.method, operation.template) for operation in list_operations()} - recorder.operations
    # The download returns the file itself, which the recorder does not read.
    assert missing == {("get", "/files/{file_id}/download")}


async def _request_ok(client: SandboxClient, method: str, path: str, **options: Any) -> Any:
    reply = await client.request(method, path, **options)
    assert reply.status < 300, (method, path, reply.status, reply.body)
    return reply.body


async def _read_existing_objects(client: SandboxClient) -> None:
    model, version = f"/v1/models/{SDXL.partition(':')[0]}", SDXL.partition(":")[2]
    for path in (
        "/v1/account",
        "/v1/hardware",
        "/v1/webhooks/default/secret",
        "/v1/collections",
        "/v1/collections/official",
        "/v1/search?query=fox+painter",
        "/v1/models",
        model,
        f"{model}/readme",
        f"{model}/examples",
        f"{model}/versions",
        f"{model}/versions/{version}",
    ):
        await _request_ok(client, "GET", path)
    await _request_ok(client, "QUERY", "/v1/models", data="flux", headers={"Content-Type": "text/plain"})


async def _predict(client: SandboxClient) -> None:
    body = {"input": {"prompt": "fault:hang"}}
    created = await _request_ok(client, "POST", "/v1/predictions", json={"version": SCHNELL, **body})
    await _request_ok(client, "POST", f"/v1/models/{SCHNELL}/predictions", json=body)
    await _request_ok(client, "POST", "/v1/deployments/acme/fast/predictions", json=body)
    await _request_ok(client, "GET", "/v1/predictions")
    await _request_ok(client, "GET", created["urls"]["get"])
    await _request_ok(client, "POST", created["urls"]["cancel"])


async def _keep_files(client: SandboxClient) -> None:
    form = aiohttp.FormData()
    form.add_field("content", b"x", filename="x.txt", content_type="text/plain")
    upload = await _request_ok(client, "POST", "/v1/files", data=form)
    await _request_ok(client, "GET", "/v1/files")
    await _request_ok(client, "GET", upload["urls"]["get"])
    await _request_ok(client, "GET", client.sandbox.files.download_url(upload["id"], 2**33))
    await _request_ok(client, "DELETE", upload["urls"]["get"])


async def _deploy(client: SandboxClient) -> None:
    await _request_ok(client, "POST", "/v1/deployments", json=NEW)
    await _request_ok(client, "GET", "/v1/deployments")
    await _request_ok(client, "GET", "/v1/deployments/sandbox/pictures")
    await _request_ok(client, "PATCH", "/v1/deployments/sandbox/pictures", json={"max_instances": 3})
    await _request_ok(client, "DELETE", "/v1/deployments/sandbox/pictures")


async def _train_and_delete(client: SandboxClient) -> None:
    name = await own_model(client)
    await _request_ok(client, "PATCH", f"/v1/models/{name}", json={"description": "Foxes."})
    created = (await train(client, name)).body
    version = (await wait_until_finished(client, created))["output"]["version"].partition(":")[2]
    await _request_ok(client, "GET", "/v1/trainings")
    await _request_ok(client, "POST", created["urls"]["cancel"])
    await _request_ok(client, "DELETE", f"/v1/models/{name}/versions/{version}")
    await _request_ok(client, "DELETE", f"/v1/models/{name}")
