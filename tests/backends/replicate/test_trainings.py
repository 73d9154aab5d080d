"""Trainings: made once, looked at, cancelled."""

from collections.abc import AsyncIterator

import pytest

from bot.backends.replicate.backend import ReplicateBackend
from bot.core.backend import PredictionState
from bot.core.clock import SystemClock
from bot.core.errors import InputRefused, PredictionGone, SubmitUnclear
from bot.sandbox.server import Sandbox, SandboxOptions
from tests.backends.replicate.samples import PIN, TOKEN
from tests.backends.replicate.scripted_server import ScriptedResponse, ScriptedServer, hang_up

PATH = f"/v1/models/stability-ai/sdxl/versions/{PIN}/trainings"
PHOTOS = {"input_images": "https://example.com/photos.zip"}


@pytest.fixture
async def replicate() -> AsyncIterator[ReplicateBackend]:
    sandbox = Sandbox(SandboxOptions(token=TOKEN, speed=0.02))
    backend = ReplicateBackend(await sandbox.start(), TOKEN, SystemClock())
    page = {"owner": "sandbox", "name": "mine", "visibility": "private", "hardware": "cpu"}
    await backend.client.api.request_once("POST", "models", json=page)
    yield backend
    await backend.close()
    await sandbox.stop()


async def begin(backend: ReplicateBackend) -> str:
    return (await backend.client.trainings.create("stability-ai/sdxl", PIN, "sandbox/mine", PHOTOS)).run.id


async def test_a_training_makes_a_version(replicate: ReplicateBackend) -> None:
    trainings = replicate.client.trainings
    training_id = await begin(replicate)

    while not (made := await trainings.get(training_id)).run.state.is_final:
        pass

    assert made.run.state is PredictionState.SUCCEEDED
    assert made.version.startswith("sandbox/mine:")
    assert made.weights_url.startswith("http")
    assert [item.run.id async for item in trainings.list()] == [training_id]
    assert (await replicate.client.models.get("sandbox/mine")).newest_version is not None


async def test_a_training_is_cancelled(replicate: ReplicateBackend) -> None:
    training_id = await begin(replicate)

    assert (await replicate.client.trainings.cancel(training_id)).run.state.is_final
    assert (await replicate.client.trainings.cancel(training_id)).run.state.is_final


async def test_a_missing_training_raises_prediction_gone(replicate: ReplicateBackend) -> None:
    trainings = replicate.client.trainings

    with pytest.raises(InputRefused, match="input_images is required"):
        await trainings.create("stability-ai/sdxl", PIN, "sandbox/mine", {})
    with pytest.raises(PredictionGone):
        await trainings.create("stability-ai/sdxl", PIN, "sandbox/nothing", PHOTOS)
    with pytest.raises(PredictionGone):
        await trainings.get("nothing")


@pytest.mark.parametrize(
    "answer", [hang_up, ScriptedResponse({"detail": "oops"}, status=500), ScriptedResponse("no training")]
)
async def test_a_create_that_may_have_arrived_is_not_sent_again(
    client_backend: ReplicateBackend, server: ScriptedServer, answer: ScriptedResponse
) -> None:
    server.script("POST", PATH, answer)

    with pytest.raises(SubmitUnclear):
        await begin(client_backend)

    assert len(server.find_requests("POST", PATH)) == 1


async def test_a_training_orders_a_webhook(client_backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.script("POST", PATH, ScriptedResponse({"id": "t1", "status": "starting"}, status=201))

    await client_backend.client.trainings.create(
        "stability-ai/sdxl", PIN, "a/b", PHOTOS, webhook="https://bot.example/hook"
    )

    (asked,) = server.find_requests("POST")
    assert asked.json["webhook"] == "https://bot.example/hook"
    assert asked.json["webhook_events_filter"] == ["completed"]
