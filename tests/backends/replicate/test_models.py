"""Models, versions and search: against the sandbox, and scripted for replies that the sandbox never gives."""

from collections.abc import AsyncIterator

import pytest

from bot.backends.replicate.backend import ReplicateBackend
from bot.backends.replicate.client import ReplicateClient
from bot.core.clock import SystemClock
from bot.core.errors import BackendDown, InputRefused, PredictionGone
from bot.core.json import get_text
from bot.core.models import FieldKind, OutputKind
from bot.sandbox.server import Sandbox, SandboxOptions
from tests.backends.replicate.samples import PIN, TOKEN
from tests.backends.replicate.scripted_server import ScriptedResponse, ScriptedServer

SCHNELL = "black-forest-labs/flux-schnell"


@pytest.fixture
async def client() -> AsyncIterator[ReplicateClient]:
    """Of a sandbox."""
    sandbox = Sandbox(SandboxOptions(token=TOKEN, speed=0.0))
    backend = ReplicateBackend(await sandbox.start(), TOKEN, SystemClock())
    yield backend.client
    await backend.close()
    await sandbox.stop()


async def test_a_models_page(client: ReplicateClient) -> None:
    page = await client.models.get(SCHNELL)

    assert (page.ref, page.is_official, page.is_public) == (SCHNELL, True, True)
    assert page.newest_version is not None
    assert page.newest_version.created_at is not None


async def test_words_find_models_both_ways(client: ReplicateClient) -> None:
    searched = await client.models.search("upscale images", limit=1)
    queried = [page.ref async for page in client.models.query("upscale", limit=5)]

    assert [page.ref for page in searched] == ["nightmareai/real-esrgan"]
    assert "nightmareai/real-esrgan" in queried


async def test_a_version_is_read(client: ReplicateClient) -> None:
    assert (await client.models.get_version("stability-ai/sdxl", PIN)).schema.read_output_kind() is OutputKind.PICTURES
    with pytest.raises(PredictionGone):
        await client.models.get_version("stability-ai/sdxl", "0" * 64)


async def test_the_schema_of_a_model_is_read(client: ReplicateClient) -> None:
    published = await client.models.get_schema("stability-ai/sdxl", PIN)

    assert (published.version, published.is_official, published.output) == (PIN, False, OutputKind.PICTURES)
    steps, image = published.find_field("num_inference_steps"), published.find_field("image")
    assert steps is not None
    assert (set(steps.kinds), steps.minimum, steps.maximum) == ({FieldKind.INTEGER}, 1, 500)
    assert image is not None
    assert image.kinds == {FieldKind.FILE}


async def test_hardware_is_listed(client: ReplicateClient) -> None:
    assert "gpu-t4" in [hardware.sku for hardware in await client.deployments.list_hardware()]


async def test_the_inputs_of_a_training_are_read(client: ReplicateClient) -> None:
    fields = await client.models.get_training_fields("stability-ai/sdxl", PIN)

    assert fields is not None
    assert [field.name for field in fields if field.is_required] == ["input_images"]
    newest = (await client.models.get(SCHNELL)).newest_version
    assert newest is not None
    assert await client.models.get_training_fields(SCHNELL, newest.id) is None


@pytest.mark.parametrize("ref", ["", "flux", "/flux", "acme/", "acme/flux/extra", "../predictions", "acme/..", "./x"])
async def test_a_name_cannot_change_the_path(
    client_backend: ReplicateBackend, server: ScriptedServer, ref: str
) -> None:
    with pytest.raises(InputRefused, match=r"is no owner/name|no id"):
        await client_backend.client.models.get(ref)

    assert server.received == []


async def test_odd_letters_of_a_name_stay_in_it(client_backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.script("GET", "/v1/models/acme/a?b#c", ScriptedResponse({"owner": "acme", "name": "a?b#c"}))

    assert (await client_backend.client.models.get("acme/a?b#c")).ref == "acme/a?b#c"


async def test_pages_are_followed_to_the_api_only(
    client_backend: ReplicateBackend, server: ScriptedServer, foreign_server: ScriptedServer
) -> None:
    def page(name: str, following: str | None) -> ScriptedResponse:
        return ScriptedResponse({"results": [{"owner": "acme", "name": name}, "junk"], "next": following})

    server.script(
        "GET", "/v1/models", page("one", f"{server.url}/v1/models?cursor=2"), page("two", foreign_server.url + "/v1/")
    )
    found = []

    with pytest.raises(BackendDown):
        found += [ref async for ref in _refs(client_backend.client)]

    assert len(server.find_requests("GET", "/v1/models")) == 2
    assert foreign_server.received == []


async def _refs(client: ReplicateClient) -> AsyncIterator[str]:
    async for item in client.api.iterate_items("models"):
        yield get_text(item, "name")


async def test_query_replaces_a_failing_search(client_backend: ReplicateBackend, server: ScriptedServer) -> None:
    answer = ScriptedResponse({"results": [{"owner": "acme", "name": "fox"}], "next": None})
    server.script("QUERY", "/v1/models", answer)

    found = await client_backend.client.models.search("a fox")

    assert [page.ref for page in found] == ["acme/fox"]
    (asked,) = server.find_requests("QUERY")
    assert (asked.body, asked.headers["Content-Type"]) == (b"a fox", "text/plain")


async def test_an_official_model_may_hide_its_versions(
    client_backend: ReplicateBackend, server: ScriptedServer
) -> None:
    server.script(
        "GET", "/v1/models/acme/fox", ScriptedResponse({"owner": "acme", "name": "fox", "latest_version": None})
    )

    published = await client_backend.client.models.get_schema("acme/fox")
    assert (published.version, published.fields, published.output) == ("", None, None)


async def test_the_usual_seconds_come_from_the_published_example(
    client_backend: ReplicateBackend, server: ScriptedServer
) -> None:
    example = {"metrics": {"predict_time": 3.25}}
    server.script(
        "GET", "/v1/models/acme/fox", ScriptedResponse({"owner": "acme", "name": "fox", "default_example": example})
    )

    assert (await client_backend.client.models.get_schema("acme/fox")).usual_seconds == 3.25
