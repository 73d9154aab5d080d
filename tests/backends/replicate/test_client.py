"""Calls besides creates: cancel, find, prepare and probe, with the requests sent and the refusals raised."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.backends.replicate.backend import ReplicateBackend
from bot.backends.replicate.client import MAX_DATA_URL_BYTES
from bot.core.backend import InputFile
from bot.core.errors import BackendBusy, BackendDown, BackendRefusedToken, InputRefused
from bot.core.json import JSON
from tests.backends.clock import LeapingClock
from tests.backends.replicate.samples import PAINTER, PIN, PINNED_PAINTER, TOKEN, make_prediction
from tests.backends.replicate.scripted_server import ResponseScript, ScriptedResponse, ScriptedServer, hang_up
from tests.telemetry.samples import value_of

CANCEL = "/v1/predictions/p1/cancel"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
INPUTS: dict[str, JSON] = {"prompt": "a fox", "seed": 7}


@pytest.mark.parametrize("status", [200, 404, 409, 422, 410])
async def test_cancelling_an_ended_run_is_harmless(
    client_backend: ReplicateBackend, server: ScriptedServer, status: int
) -> None:
    server.script("POST", CANCEL, ScriptedResponse(make_prediction("canceled", logs=None), status))

    await client_backend.cancel("p1")

    assert [asked.path for asked in server.received] == [CANCEL]


async def test_a_cancel_is_repeated_after_a_broken_connection(
    client_backend: ReplicateBackend, server: ScriptedServer
) -> None:
    server.script("POST", CANCEL, hang_up, ScriptedResponse({}, 503), ScriptedResponse(make_prediction("canceled")))

    await client_backend.cancel("p1")

    assert len(server.received) == 3


async def test_a_cancel_that_does_not_arrive_raises_backend_down(
    client_backend: ReplicateBackend, server: ScriptedServer
) -> None:
    server.script("POST", CANCEL, hang_up)

    with pytest.raises(BackendDown):
        await client_backend.cancel("p1")


async def test_find_gives_equal_runs_oldest_first_over_all_pages(
    client_backend: ReplicateBackend, server: ScriptedServer
) -> None:
    newest = make_prediction(id="c", input={**INPUTS, "seed": 7.0, "go_fast": True}, created_at="2026-11-20T12:00:03Z")
    other = make_prediction(id="x", input={**INPUTS, "seed": 8}, created_at="2026-11-20T12:00:02Z")
    oldest = make_prediction(id="a", input=INPUTS, created_at="2026-11-20T12:00:01.123456789Z", version="dp-abc")
    following = server.url + "/v1/predictions/page2?cursor=c2"
    server.script("GET", "/v1/predictions", ScriptedResponse({"next": following, "results": [newest, other]}))
    server.script("GET", "/v1/predictions/page2", ScriptedResponse({"next": None, "results": [oldest]}))

    found = await client_backend.find(PAINTER, INPUTS, run="r1", created_after=NOON)

    assert [snapshot.backend_id for snapshot in found] == ["a", "c"]
    assert [asked.token for asked in server.received] == [f"Bearer {TOKEN}"] * 2


async def test_find_stops_at_the_first_run_that_is_too_old(
    client_backend: ReplicateBackend, server: ScriptedServer
) -> None:
    old = make_prediction(id="old", input=INPUTS, created_at="2026-11-20T11:59:59Z")
    page = {"next": server.url + "/v1/predictions?cursor=c2", "results": [make_prediction(id="new", input=INPUTS), old]}
    server.script("GET", "/v1/predictions", ScriptedResponse(page))

    found = await client_backend.find(PAINTER, INPUTS, run="r1", created_after=NOON)

    assert [snapshot.backend_id for snapshot in found] == ["new"]
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("changes", "is_found"),
    [
        ({"version": PIN}, True),
        ({"version": PIN, "model": ""}, True),
        ({"version": "hidden"}, True),
        ({"version": "0" * 64}, False),
        ({"version": PIN, "model": "somebody/else"}, False),
        ({"version": "hidden", "model": ""}, False),
        ({"version": PIN, "input": {"prompt": "a fox"}}, False),
        ({"version": PIN, "input": None, "data_removed": True}, False),
    ],
    ids=["pin", "pin alone", "hidden", "other pin", "other model", "nothing known", "input missing", "data removed"],
)
async def test_find_knows_the_model_and_every_input_sent(
    client_backend: ReplicateBackend, server: ScriptedServer, changes: dict[str, object], is_found: bool
) -> None:
    candidate = make_prediction(model="Stability-AI/SDXL", input=INPUTS) | changes
    server.script("GET", "/v1/predictions", ScriptedResponse({"next": None, "results": [candidate]}))

    found = await client_backend.find(PINNED_PAINTER, INPUTS, run="r1", created_after=NOON - timedelta(minutes=1))

    assert bool(found) is is_found


async def test_a_page_that_points_elsewhere_is_not_followed(
    client_backend: ReplicateBackend, server: ScriptedServer, foreign_server: ScriptedServer
) -> None:
    server.script(
        "GET", "/v1/predictions", ScriptedResponse({"next": foreign_server.url + "/v1/predictions", "results": []})
    )

    with pytest.raises(BackendDown):
        await client_backend.find(PAINTER, INPUTS, run="r1", created_after=NOON)

    assert foreign_server.received == []


@pytest.mark.parametrize(
    "broken",
    [ScriptedResponse("<html>"), ScriptedResponse({"results": [{"no": "id"}]}), hang_up, ScriptedResponse({}, 500)],
)
async def test_a_list_that_cannot_be_read_is_an_outage_and_not_an_empty_list(
    client_backend: ReplicateBackend, server: ScriptedServer, broken: ResponseScript
) -> None:
    if isinstance(broken, ScriptedResponse) and broken.body == "<html>":
        broken = ScriptedResponse({"results": "?"} | {"next": 5}, 503)
    server.script("GET", "/v1/predictions", broken)

    with pytest.raises(BackendDown):
        await client_backend.find(PAINTER, INPUTS, run="r1", created_after=NOON)


def kept(folder: Path, content: bytes) -> InputFile:
    path = folder / "picture"
    path.write_bytes(content)
    return InputFile(hashlib.sha256(content).hexdigest(), "image/png", len(content), str(path))


async def test_a_small_file_travels_inside_the_request(
    client_backend: ReplicateBackend, server: ScriptedServer, tmp_path: Path
) -> None:
    content = b"\x89PNG" + b"x" * (MAX_DATA_URL_BYTES - 4)

    prepared = await client_backend.prepare(PAINTER, {"image": kept(tmp_path, content), "prompt": "a fox"})

    assert prepared == {"image": "data:image/png;base64," + base64.b64encode(content).decode(), "prompt": "a fox"}
    assert server.received == []


async def test_a_large_file_is_uploaded_first(
    client_backend: ReplicateBackend, server: ScriptedServer, tmp_path: Path
) -> None:
    content = b"\x89PNG" + b"x" * MAX_DATA_URL_BYTES
    address = "https://api.replicate.com/v1/files/abc"
    server.script(
        "POST", "/v1/files", ScriptedResponse({}, 503), ScriptedResponse({"id": "abc", "urls": {"get": address}}, 201)
    )

    prepared = await client_backend.prepare(PAINTER, {"image": kept(tmp_path, content)})

    assert prepared == {"image": address}
    body = server.received[-1].body
    assert content in body
    assert b'name="content"; filename="' in body
    assert b"Content-Type: image/png" in body


async def test_an_upload_without_an_address_is_an_outage(
    client_backend: ReplicateBackend, server: ScriptedServer, tmp_path: Path
) -> None:
    server.script("POST", "/v1/files", ScriptedResponse({"id": "abc"}, 201))

    with pytest.raises(BackendDown):
        await client_backend.prepare(PAINTER, {"image": kept(tmp_path, b"x" * 300_000)})


async def test_a_file_too_large_for_the_service_is_refused(
    client_backend: ReplicateBackend, server: ScriptedServer, tmp_path: Path
) -> None:
    server.script("POST", "/v1/files", ScriptedResponse({"detail": "Files must be less than 100MB in size"}, 413))

    with pytest.raises(InputRefused, match="too large"):
        await client_backend.prepare(PAINTER, {"image": kept(tmp_path, b"x" * 300_000)})


async def test_a_missing_file_is_refused(client_backend: ReplicateBackend, tmp_path: Path) -> None:
    missing = InputFile("0" * 64, "image/png", 10, str(tmp_path / "nothing"))

    with pytest.raises(InputRefused, match="Send it again"):
        await client_backend.prepare(PAINTER, {"image": missing})


async def test_probe_names_the_account(client_backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.script("GET", "/v1/account", ScriptedResponse({"type": "organization", "username": "acme"}))

    assert await client_backend.probe() == "Replicate answers, as acme."


async def test_a_probe_with_a_wrong_token_is_refused(client_backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.script("GET", "/v1/account", ScriptedResponse({"title": "Unauthenticated"}, 401))

    with pytest.raises(BackendRefusedToken):
        await client_backend.probe()


async def test_a_base_address_may_have_a_path_and_a_slash(server: ScriptedServer, clock: LeapingClock) -> None:
    server.script("GET", "/proxy/v1/account", ScriptedResponse({"username": "acme"}))
    backend = ReplicateBackend(server.url + "/proxy/", TOKEN, clock)

    assert "acme" in await backend.probe()

    await backend.close()


async def test_a_short_wait_for_a_busy_service_is_waited_and_a_long_wait_raises(
    client_backend: ReplicateBackend, server: ScriptedServer, patient_clock: LeapingClock
) -> None:
    server.script(
        "GET", "/v1/account", ScriptedResponse({"retry_after": 3}, 429), ScriptedResponse({"retry_after": 500}, 429)
    )

    with pytest.raises(BackendBusy, match="9 minutes"):
        await client_backend.probe()

    assert len(patient_clock.slept_seconds) == 1


async def test_each_429_is_counted(
    client_backend: ReplicateBackend, server: ScriptedServer, patient_clock: LeapingClock
) -> None:
    before = value_of("easel_backend_rate_limited_total", backend="replicate")
    busy = ScriptedResponse({"retry_after": 3}, 429)
    server.script("GET", "/v1/account", busy, ScriptedResponse({"username": "acme"}))
    server.script("POST", "/v1/predictions", busy)

    await client_backend.probe()
    with pytest.raises(BackendBusy):
        await client_backend.submit(PAINTER, INPUTS, job="j1", run="r1", cancel_after_seconds=60)

    assert value_of("easel_backend_rate_limited_total", backend="replicate") - before == 2
