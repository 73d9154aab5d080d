"""Replicate's own Python client, unchanged, against the sandbox: only REPLICATE_BASE_URL and the token are set.

Known errors of the client (early returns, leaks) are not the sandbox's: the tests tolerate these.
"""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bot.sandbox.server import Sandbox
from tests.sandbox.test_predictions import BLIP, LLAMA, SCHNELL, SDXL, wait_until
from tests.sandbox.webhook_receiver import WebhookReceiver

if sys.version_info >= (3, 14):
    pytest.skip("replicate 1.0.7 needs pydantic.v1, which ends with Python 3.13", allow_module_level=True)
replicate: Any = pytest.importorskip("replicate", reason="replicate 1.0.7 is not installed")

MODEL, _, VERSION = SDXL.partition(":")
SMALL = {"prompt": "a fox", "width": 64, "height": 64, "seed": 7}
TINY = {"prompt": "a fox", "megapixels": "0.25", "output_format": "png"}


@pytest.fixture
async def official(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A client of a program that does not know the sandbox."""
    monkeypatch.setenv("REPLICATE_BASE_URL", sandbox.url)
    monkeypatch.setenv("REPLICATE_API_TOKEN", sandbox.token)
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.01")
    client = replicate.Client()
    yield client
    client._client.close()
    await client._async_client.aclose()


async def run_in_thread(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a blocking call in a thread: the sandbox runs in this event loop."""
    return await asyncio.to_thread(call, *args, **kwargs)


async def test_run_gives_text_and_files(official: Any) -> None:
    text = await run_in_thread(official.run, LLAMA, input={"prompt": "hello"})
    pictures = await run_in_thread(official.run, SCHNELL, input=TINY)
    pinned = await run_in_thread(official.run, SDXL, input=SMALL)

    assert "".join(text).startswith("Hello! I am the sandbox's guide")
    assert pictures[0].endswith("/out-0.png")
    assert pinned[0].endswith("/out-0.png")


async def test_run_takes_files_and_raises_the_models_error(official: Any) -> None:
    picture = b"\x89PNG\r\n\x1a\n"

    with pytest.raises(replicate.exceptions.ModelError, match="cannot identify|not a picture|be read"):
        await run_in_thread(official.run, BLIP, input={"image": io.BytesIO(picture)})
    with pytest.raises(replicate.exceptions.ModelError, match="CUDA out of memory"):
        await run_in_thread(official.run, SDXL, input=SMALL | {"prompt": "fault:oom"}, wait=False)


async def test_async_run_gives_text_and_iterates_without_waiting(official: Any) -> None:
    page = await official.models.async_get(LLAMA)
    text = await official.async_run(LLAMA, input={"prompt": "hello"})
    pieces = await official.async_run(f"{LLAMA}:{page.latest_version.id}", input={"prompt": "hello"}, wait=False)

    assert "".join([piece async for piece in pieces]) == "".join(text)


async def test_stream_and_async_stream_give_the_same_answer(official: Any) -> None:
    def read_stream() -> list[Any]:
        return list(official.stream(LLAMA, input={"prompt": "hello"}))

    events = await run_in_thread(read_stream)
    others = [event async for event in await official.async_stream(LLAMA, input={"prompt": "hello"})]

    assert "".join(map(str, events)) == "".join(map(str, others))
    assert str(events[0]) == "Hello!"
    assert events[-1].event.value == "done"


async def test_an_existing_prediction_can_be_streamed(official: Any) -> None:
    prediction = await official.predictions.async_create(version=VERSION, input=SMALL)

    events = [event async for event in prediction.async_stream()]

    assert [event.event.value for event in events] == ["output", "done"]
    assert events[0].data.endswith("/out-0.png")


async def test_predictions_are_created_waited_for_read_listed_and_cancelled(official: Any) -> None:
    prediction = await run_in_thread(official.predictions.create, version=VERSION, input=SMALL)
    await run_in_thread(prediction.wait)
    hanging = await official.predictions.async_create(version=VERSION, input=SMALL | {"prompt": "fault:hang"})
    await hanging.async_cancel()

    again = await official.predictions.async_get(prediction.id)
    page = await run_in_thread(official.predictions.list)

    assert (again.status, again.model, len(again.output)) == ("succeeded", MODEL, 1)
    assert again.progress.percentage == 1.0
    assert hanging.status == "canceled"
    assert [entry.id for entry in page] == [hanging.id, prediction.id]


async def test_lists_are_paged_by_the_clients_own_means(official: Any) -> None:
    for number in range(101):
        await official.models.predictions.async_create(model=LLAMA, input={"prompt": str(number)})

    pages = [page async for page in replicate.async_paginate(official.predictions.async_list)]

    assert [len(page.results) for page in pages] == [100, 1]


async def test_refusals_are_the_clients_errors(official: Any) -> None:
    with pytest.raises(replicate.exceptions.ReplicateError) as wrong:
        await official.predictions.async_create(version=VERSION, input={"width": "wide"})
    with pytest.raises(replicate.exceptions.ReplicateError) as poor:
        await official.async_run(LLAMA, input={"prompt": "fault:402"})

    assert (wrong.value.status, wrong.value.title) == (422, "Input validation failed")
    assert (poor.value.status, poor.value.title) == (402, "Insufficient credit")


async def test_files_are_uploaded_read_listed_and_deleted(official: Any, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("hello")

    created = await run_in_thread(official.files.create, path, metadata={"job": 7})
    listed = await official.files.async_list()
    again = await official.files.async_get(created.id)
    await official.files.async_delete(created.id)

    assert (created.name, created.size, created.metadata) == ("note.txt", 5, {"job": 7})
    assert [entry.id for entry in listed] == [again.id] == [created.id]
    assert await run_in_thread(official.files.list) == []


async def test_deployments_are_created_used_and_deleted(official: Any, sandbox: Sandbox) -> None:
    options = {"hardware": "gpu-t4", "min_instances": 0, "max_instances": 1}
    made = await run_in_thread(official.deployments.create, name="mine", model=MODEL, version=VERSION, **options)
    changed = await official.deployments.async_update(
        deployment_owner="sandbox", deployment_name="mine", max_instances=2
    )
    read = await official.deployments.async_get("sandbox/mine")
    prediction = await official.deployments.predictions.async_create("sandbox/mine", input=SMALL)
    own = await run_in_thread(read.predictions.create, input=SMALL)
    await prediction.async_wait()
    await own.async_wait()

    sandbox.clock.advance(15 * 60)
    names = [entry.name for entry in await official.deployments.async_list()]
    is_deleted = await run_in_thread(official.deployments.delete, deployment_owner="sandbox", deployment_name="mine")

    assert (made.current_release.number, changed.current_release.number, read.current_release.number) == (1, 2, 2)
    assert read.current_release.configuration.max_instances == 2
    assert (prediction.status, own.status) == ("succeeded", "succeeded")
    assert (names, is_deleted) == (["mine", "fast"], True)


async def test_a_training_creates_a_version_of_an_own_model(official: Any) -> None:
    model = await official.models.async_create("sandbox", "mine", hardware="gpu-t4", visibility="private")
    options = {"input": {"input_images": "https://example.org/x.zip"}, "destination": model}
    training = await run_in_thread(official.trainings.create, model=MODEL, version=VERSION, **options)
    while training.status in ("starting", "processing"):
        await training.async_reload()

    listed = await official.trainings.async_list()
    read = await run_in_thread(official.trainings.get, training.id)
    pictures = await official.async_run(read.output["version"], input=SMALL)

    assert (read.status, [entry.id for entry in listed]) == ("succeeded", [training.id])
    assert pictures[0].endswith("/out-0.png")
    assert (await official.trainings.async_cancel(training.id)).status == "succeeded"


async def test_own_models_are_deleted_after_their_versions(official: Any) -> None:
    model = await official.models.async_create("sandbox", "mine", hardware="gpu-t4", visibility="private")
    training = await official.trainings.async_create(
        MODEL, VERSION, {"input_images": "https://example.org/x.zip"}, destination=model
    )
    while training.status in ("starting", "processing"):
        await training.async_reload()
    page = await official.models.async_get("sandbox/mine")

    # The document says 202; this client expects 204 and returns False for a deleted version.
    assert await page.versions.async_delete(page.latest_version.id) is False
    assert (await page.versions.async_list()).results == []
    assert await official.models.async_delete("sandbox/mine") is True


async def test_a_training_needs_an_existing_destination(official: Any) -> None:
    with pytest.raises(replicate.exceptions.ReplicateError, match="The specified training destination does not exist"):
        await official.trainings.async_create(
            MODEL, VERSION, {"input_images": "https://example.org/x.zip"}, destination="sandbox/nobody"
        )


async def test_models_versions_and_search_are_read(official: Any) -> None:
    page = await run_in_thread(official.models.get, MODEL)
    versions = await page.versions.async_list()
    found = await official.models.async_search("flux schnell")
    listed = await official.models.async_list()

    assert (page.latest_version.id, versions[0].id) == (VERSION, VERSION)
    assert "prompt" in page.latest_version.openapi_schema["components"]["schemas"]["Input"]["properties"]
    assert found[0].id == SCHNELL
    assert SCHNELL in {model.id for model in listed.results}


async def test_collections_hardware_and_account_are_read(official: Any) -> None:
    official_ones = await official.collections.async_get("official")
    collections = await run_in_thread(official.collections.list)
    hardware = await official.hardware.async_list()
    account = await run_in_thread(official.accounts.current)

    assert SCHNELL in {model.id for model in official_ones}
    assert "official" in {collection.slug for collection in collections}
    assert "gpu-t4" in {entry.sku for entry in hardware}
    assert (account.type, account.username) == ("user", "sandbox")


async def test_a_sent_webhook_is_valid_and_a_forged_webhook_is_not(official: Any, receiver: WebhookReceiver) -> None:
    secret = await official.webhooks.default.async_secret()
    options = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    await official.predictions.async_create(
        version=VERSION, input=SMALL | {"prompt": "fault:webhook-forged"}, **options
    )
    await wait_until(lambda: len(receiver.calls) == 2)

    def validate(headers: dict[str, str], body: bytes) -> tuple[str, bool]:
        host = urlsplit(json.loads(body)["output"][0]).hostname or ""
        try:
            replicate.webhooks.validate(headers=headers, body=body.decode(), secret=secret, tolerance=300)
        except replicate.webhook.InvalidSignatureError:
            return host, False
        return host, True

    assert sorted(validate(*call) for call in receiver.calls) == [("127.0.0.1", True), ("forged.invalid", False)]
