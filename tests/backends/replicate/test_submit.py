"""Creates: sent once, after any failure."""

from typing import Any

import pytest

from bot.backends.replicate.backend import ReplicateBackend
from bot.core.errors import (
    BackendBusy,
    BackendDown,
    BackendError,
    BackendOutOfCredit,
    BackendRefusedToken,
    InputRefused,
    SubmitUnclear,
)
from bot.core.models import Model
from tests.backends.clock import LeapingClock
from tests.backends.replicate.samples import PAINTER, PIN, PINNED_PAINTER, TOKEN, make_prediction
from tests.backends.replicate.scripted_server import (
    ResponseScript,
    ScriptedResponse,
    ScriptedServer,
    hang_up,
    never_respond,
)
from tests.ports import find_free_port

CREATED = ScriptedResponse(make_prediction("starting"), status=201)


async def submit(backend: ReplicateBackend, model: Model = PAINTER, *, seconds: int = 600) -> str:
    return await backend.submit(model, {"prompt": "a fox", "seed": 7}, job="j1", run="r1", cancel_after_seconds=seconds)


def creates(server: ScriptedServer) -> int:
    return len(server.find_requests("POST", "/v1/predictions"))


async def test_a_create_sends_version_input_token_and_a_limit(
    client_backend: ReplicateBackend, server: ScriptedServer
) -> None:
    server.script("POST", "/v1/predictions", CREATED)

    backend_id = await submit(client_backend)

    (asked,) = server.received
    assert backend_id == "p1"
    assert asked.json == {"version": "black-forest-labs/flux-schnell", "input": {"prompt": "a fox", "seed": 7}}
    assert asked.token == f"Bearer {TOKEN}"
    assert asked.headers["Cancel-After"] == "600s"
    assert "Prefer" not in asked.headers


async def test_a_pinned_model_is_created_by_its_version(
    client_backend: ReplicateBackend, server: ScriptedServer
) -> None:
    server.script("POST", "/v1/predictions", CREATED)

    await submit(client_backend, PINNED_PAINTER, seconds=1)

    assert server.received[0].json["version"] == PIN
    assert server.received[0].headers["Cancel-After"] == "5s"  # Replicate's minimum


async def test_the_webhook_address_carries_the_job(server: ScriptedServer, clock: LeapingClock) -> None:
    server.script("POST", "/v1/predictions", CREATED)
    backend = ReplicateBackend(
        server.url, TOKEN, clock, build_webhook_url=lambda job: f"https://bot.example/hook?job={job}"
    )

    await submit(backend)
    await backend.close()

    assert server.received[0].json["webhook"] == "https://bot.example/hook?job=j1"
    assert server.received[0].json["webhook_events_filter"] == ["start", "completed"]


async def test_half_an_emoji_in_a_prompt_is_no_crash(client_backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.script("POST", "/v1/predictions", CREATED)

    assert (
        await client_backend.submit(PAINTER, {"prompt": "\ud83d"}, job="j1", run="r1", cancel_after_seconds=60) == "p1"
    )


async def test_a_refused_connection_is_tried_again_and_then_raised(clock: LeapingClock) -> None:
    backend = ReplicateBackend(f"http://127.0.0.1:{find_free_port()}", TOKEN, clock)

    with pytest.raises(BackendDown, match="cannot be reached"):
        await submit(backend)

    await backend.close()
    assert [round(seconds) for seconds in clock.slept_seconds] == [1, 1, 2]  # 0.5, 1, 2 and up to a fifth more


@pytest.mark.parametrize(
    "broken",
    [
        never_respond,
        hang_up,
        ScriptedResponse({"detail": "oops"}, status=500),
        ScriptedResponse("<html>", status=502),
        ScriptedResponse({"detail": "slow"}, status=504),
        ScriptedResponse({"status": "starting"}, status=201),
        ScriptedResponse(["no", "prediction"], status=201),
    ],
    ids=["read timeout", "hung up", "500", "502", "504", "201 without an id", "201 with a list"],
)
async def test_a_create_that_may_have_arrived_is_sent_once(
    client_backend: ReplicateBackend, server: ScriptedServer, broken: ResponseScript
) -> None:
    server.script("POST", "/v1/predictions", broken)

    with pytest.raises(SubmitUnclear):
        await submit(client_backend)

    assert creates(server) == 1


LOW_CREDIT = "Request was throttled. Your rate limit resets in ~5s."


@pytest.mark.parametrize(
    ("throttled", "seconds"),
    [
        (ScriptedResponse({"retry_after": 9}, 429, {"Retry-After": "4", "ratelimit-reset": "8"}), 4),
        (ScriptedResponse({}, 429, {"Retry-After": "Fri, 20 Nov 2026 12:00:06 GMT"}), 6),
        (ScriptedResponse({"detail": LOW_CREDIT, "retry_after": 7}, 429, {"ratelimit-reset": "8"}), 7),
        (ScriptedResponse({"detail": LOW_CREDIT}, 429, {"ratelimit-reset": "8"}), 5),
        (ScriptedResponse({"detail": "Request was throttled. Expected available in 3 seconds."}, 429), 3),
        (ScriptedResponse({"detail": "Slow down."}, 429, {"ratelimit-reset": "8"}), 8),
        (ScriptedResponse({"detail": "Slow down."}, 429), 2),
        (ScriptedResponse("<html>", 429, {"Retry-After": "soon", "ratelimit-reset": "inf"}), 2),
    ],
    ids=["header", "header date", "body", "resets in", "available in", "ratelimit-reset", "untold", "nonsense"],
)
async def test_a_throttled_create_waits_for_the_reported_seconds(
    client_backend: ReplicateBackend,
    server: ScriptedServer,
    patient_clock: LeapingClock,
    throttled: ScriptedResponse,
    seconds: float,
) -> None:
    server.script("POST", "/v1/predictions", throttled, CREATED)

    with pytest.raises(BackendBusy) as refused:
        async with client_backend.slot_for_create():
            await submit(client_backend)
    async with client_backend.slot_for_create(is_retry=True):
        assert await submit(client_backend) == "p1"

    assert refused.value.retry_after_seconds == seconds
    assert patient_clock.monotonic() == seconds
    assert creates(server) == 2


async def test_a_very_long_throttle_raises_instead_of_waiting(
    client_backend: ReplicateBackend, server: ScriptedServer
) -> None:
    server.script("POST", "/v1/predictions", ScriptedResponse({"retry_after": 2_700}, 429))
    with pytest.raises(BackendBusy):
        await submit(client_backend)

    with pytest.raises(BackendBusy, match="Try again in 45 minutes"):
        async with client_backend.slot_for_create(is_retry=True):
            await submit(client_backend)

    assert creates(server) == 1


def refusal(*fields: tuple[str, str]) -> dict[str, Any]:
    return {
        "title": "Input validation failed",
        "detail": "".join(f"- {name}: {words}\n" for name, words in fields),
        "invalid_fields": [{"type": "enum", "field": name, "description": words} for name, words in fields],
    }


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (ScriptedResponse({"title": "Unauthenticated"}, 401), BackendRefusedToken, "does not accept the bot's token"),
        (ScriptedResponse({"detail": "forbidden"}, 403), BackendRefusedToken, "does not accept the bot's token"),
        (
            ScriptedResponse({"detail": "Go to https://x to purchase credit."}, 402),
            BackendOutOfCredit,
            "cannot pay for models",
        ),
        (ScriptedResponse({"detail": "no"}, 404), InputRefused, "no model called black-forest-labs/flux-schnell"),
        (ScriptedResponse({"detail": "Files must be less than 100MB in size"}, 413), InputRefused, "too large"),
        (
            ScriptedResponse(refusal(("input.width", "must be at most 1440"), ("input", "prompt is required")), 422),
            InputRefused,
            "The model does not take this: width: must be at most 1440; prompt is required.",
        ),
        (
            ScriptedResponse({"title": "Invalid version or not permitted", "detail": "The specified version …"}, 422),
            InputRefused,
            "does not offer this model, or this version",
        ),
        (
            ScriptedResponse({"detail": "- input: odd\n"}, 422),
            InputRefused,
            "The model does not take this: input: odd.",
        ),
        (ScriptedResponse("what", 400), InputRefused, "The model does not take these inputs."),
        (ScriptedResponse({}, 302, {"Location": "http://127.0.0.1:9/"}), BackendDown, "cannot be reached"),
    ],
    ids=["401", "403", "402", "404", "413", "422 fields", "422 version", "422 detail", "400 bare", "302"],
)
async def test_a_refusal_has_a_plain_sentence(
    client_backend: ReplicateBackend,
    server: ScriptedServer,
    reply: ScriptedResponse,
    kind: type[BackendError],
    text: str,
) -> None:
    server.script("POST", "/v1/predictions", reply)

    with pytest.raises(kind) as refused:
        await submit(client_backend)

    assert text in str(refused.value)
    assert "purchase" not in str(refused.value)
    assert "http" not in str(refused.value)


async def test_a_redirect_is_not_followed_with_the_token(
    client_backend: ReplicateBackend, server: ScriptedServer, foreign_server: ScriptedServer
) -> None:
    server.script(
        "POST", "/v1/predictions", ScriptedResponse({}, 307, {"Location": foreign_server.url + "/v1/predictions"})
    )

    with pytest.raises(BackendDown):
        await submit(client_backend)

    assert foreign_server.received == []


async def test_a_token_that_no_header_can_carry_is_refused_and_not_a_crash(
    server: ScriptedServer, clock: LeapingClock
) -> None:
    server.script("POST", "/v1/predictions", ScriptedResponse({}, 401))
    backend = ReplicateBackend(server.url, "r8_ö\n1", clock)

    with pytest.raises(BackendRefusedToken):
        await submit(backend)

    await backend.close()
    assert server.received[0].token == ""
