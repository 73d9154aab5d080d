"""Checks the bot's claims about Replicate's behaviour against Replicate itself. Spends real money, under 0.05 USD.

    REPLICATE_API_TOKEN=r8_… python -m tests.live_replicate --yes
    … --public-url https://bot.example --port 8765      also webhooks: the address must reach this machine's port

Refuses without `--yes`, and prints the price first, then a verdict per claim. The script has run against the sandbox
alone so far (tests/test_live_replicate.py), which shows a working script and proves no claim about Replicate.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from aiohttp import web

from bot.backends.predictions import CogPrediction, parse_prediction
from bot.backends.replicate import client
from bot.backends.replicate.backend import ReplicateBackend
from bot.backends.replicate.webhooks import is_recent, is_signature_valid
from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loading import load_catalogue
from bot.core.backend import RunEnded
from bot.core.clock import SystemClock
from bot.core.errors import EaselError
from bot.core.json import JSON
from bot.core.models import Metric

COSTS_USD = {
    "two pictures by flux-schnell": 0.006,
    "forty words by llama-3-8b": 0.0001,
    "an answer by llama-3-70b, stopped after five seconds; in full if that fails": 0.012,
    "with --public-url, one more picture": 0.003,
}
MODELS = Catalogue(load_catalogue())
PICTURE, WORDS, LONG = (MODELS.get(key) for key in ("flux-schnell", "llama-3-8b", "llama-3-70b"))
LIFE_SECONDS = 5
LONGEST_WAIT_SECONDS = 90.0
LONGEST_LISTING_SECONDS = 20.0


@dataclass(frozen=True)
class LiveVerdict:
    """A claim about Replicate, the verdict, and the evidence."""

    claim: str
    holds: bool
    evidence: str

    def __str__(self) -> str:
        return f"{'holds ' if self.holds else 'BROKEN'}  {self.claim}\n        {self.evidence}"


@dataclass
class LiveCheck:
    """The clients of a run, and a marker for this run's prompts."""

    backend: ReplicateBackend
    http: httpx.AsyncClient
    """A client with the token. Streams are read by another client without the token."""
    marker: str = field(default_factory=lambda: f"live check {time.time_ns()}")

    async def create(self, body: Mapping[str, JSON], **headers: str) -> Any:
        """POST /predictions, and return the whole response."""
        reply = await self.http.post("predictions", json=dict(body), headers={"Cancel-After": "5m", **headers})
        if reply.is_error:
            raise RuntimeError(f"create was refused: {reply.status_code} {reply.text[:300]}")
        return reply.json()

    async def wait_until_done(self, prediction_id: str) -> CogPrediction:
        async with asyncio.timeout(LONGEST_WAIT_SECONDS):
            while True:
                run = parse_prediction((await self.http.get(f"predictions/{prediction_id}")).json())
                if run.state.is_final:
                    return run
                await asyncio.sleep(0.5)

    def make_picture_inputs(self) -> dict[str, JSON]:
        return {"prompt": f"a fox in the snow, {self.marker}", "megapixels": "0.25", "seed": 7, "go_fast": False}


async def check_adoption(live: LiveCheck) -> AsyncIterator[LiveVerdict]:
    """Check the list of predictions: after an unclear create the bot finds the run there."""
    inputs, since = live.make_picture_inputs(), datetime.now(UTC) - timedelta(seconds=60)
    began = time.monotonic()
    prediction = await live.create({"version": PICTURE.ref, "input": inputs})
    listed = await _find_in_list(live, prediction["id"], since)
    seconds = time.monotonic() - began
    yield LiveVerdict("a new prediction is in the list", listed is not None, f"seen {seconds:.1f} s after its create")
    if listed is None:
        return
    lacking = [name for name in ("id", "model", "version", "input", "status", "created_at") if listed.get(name) is None]
    seen = f"lacks {', '.join(lacking)}" if lacking else f"model {listed['model']}, version {listed['version']}"
    yield LiveVerdict(
        "the list has the fields that adoption reads", not lacking, f"{seen}; all: {', '.join(sorted(listed))}"
    )
    same = client.is_same_run(parse_prediction(listed), PICTURE, inputs)
    kept = {name: listed.get("input", {}).get(name) for name in inputs}
    yield LiveVerdict("the listed input equals what was sent", same, json.dumps(kept)[:300])
    found = await live.backend.find(PICTURE, inputs, run="live", created_after=since)
    ids = [snapshot.backend_id for snapshot in found]
    yield LiveVerdict("the backend finds it, and it alone", ids == [prediction["id"]], f"found {ids}")
    await live.wait_until_done(prediction["id"])


async def _find_in_list(live: LiveCheck, prediction_id: str, since: datetime) -> dict[str, Any] | None:
    deadline = time.monotonic() + LONGEST_LISTING_SECONDS
    while time.monotonic() < deadline:
        page = (await live.http.get("predictions", params={"created_after": since.isoformat()})).json()
        for item in page["results"]:
            if item["id"] == prediction_id:
                return dict(item)
        await asyncio.sleep(0.5)
    return None


async def check_cancel_after(live: LiveCheck) -> AsyncIterator[LiveVerdict]:
    """Check the deadline of a run: an abandoned run must end."""
    inputs: dict[str, JSON] = {"prompt": "Count from one to two thousand, in words.", "max_tokens": 4096}
    inputs["min_tokens"] = 4000
    prediction = await live.create({"version": LONG.ref, "input": inputs}, **{"Cancel-After": f"{LIFE_SECONDS}s"})
    yield LiveVerdict(
        "Cancel-After is echoed as a deadline",
        bool(prediction.get("deadline")),
        f"deadline {prediction.get('deadline')}",
    )
    run = await live.wait_until_done(prediction["id"])
    lived = (run.completed_at - run.created_at).total_seconds() if run.completed_at and run.created_at else -1
    has_ended = run.state in ("canceled", "aborted")
    yield LiveVerdict(
        "a run ends at its deadline", has_ended and lived < LIFE_SECONDS + 10, f"{run.state} after {lived:.1f} s"
    )


async def check_streams(live: LiveCheck) -> AsyncIterator[LiveVerdict]:
    """Check streams without a token: the bot sends the token to a stream on demand alone."""
    words: dict[str, JSON] = {"prompt": f"Say hello. {live.marker}", "max_tokens": 40}
    asks = (("text", WORDS.ref, words), ("picture", PICTURE.ref, live.make_picture_inputs() | {"seed": 8}))
    for kind, ref, inputs in asks:
        prediction = await live.create({"version": ref, "input": inputs})
        url = prediction.get("urls", {}).get("stream")
        yield LiveVerdict(f"a {kind} has a stream", bool(url), str(url)[:60])
        if url:
            status, text = await _open_stream(url)
            host = httpx.URL(url).host
            yield LiveVerdict(f"the stream of a {kind} needs no token", status == 200, f"{host} answers {status}")
            has_done = "event: done" in text
            yield LiveVerdict(f"the stream of a {kind} ends with done", has_done, " ".join(text.split())[-120:])
        await live.wait_until_done(prediction["id"])


async def _open_stream(url: str) -> tuple[int, str]:
    """Read a stream without a token, and return the status and the whole text."""
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    async with httpx.AsyncClient(timeout=LONGEST_WAIT_SECONDS) as client_without_token:
        reply = await client_without_token.get(url, headers=headers)
    return reply.status_code, reply.text


async def check_backend(live: LiveCheck) -> AsyncIterator[LiveVerdict]:
    """Check the bot's own client from submit to the end."""
    inputs: dict[str, JSON] = {"prompt": f"Say hello. {live.marker} again", "max_tokens": 20}
    backend_id = await live.backend.submit(WORDS, inputs, job="live", run="live", cancel_after_seconds=120)
    async with aclosing(live.backend.watch(WORDS, backend_id)) as events:
        received = [event async for event in events]
    last = received[-1]
    snapshot = last.snapshot if isinstance(last, RunEnded) else None
    yield LiveVerdict("the bot's client streams an answer", bool(snapshot and snapshot.text), f"{len(received)} events")
    counted = snapshot.metrics if snapshot else None
    yield LiveVerdict("tokens are metered", bool(counted and counted.get(Metric.TOKEN_OUTPUT_COUNT)), f"{counted}")


async def check_webhook(live: LiveCheck, public_url: str, port: int) -> AsyncIterator[LiveVerdict]:
    """Check a webhook's three headers, and the signature over the raw bytes."""
    calls: asyncio.Queue[tuple[Mapping[str, str], bytes, str]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        calls.put_nowait((headers, await request.read(), request.query_string))
        return web.Response()

    async with _serve(web.post("/live", take), port):
        webhook: dict[str, JSON] = {
            "webhook": f"{public_url.rstrip('/')}/live?job=live",
            "webhook_events_filter": ["completed"],
        }
        prediction = await live.create(
            {"version": PICTURE.ref, "input": live.make_picture_inputs() | {"seed": 9}, **webhook}
        )
        run = await live.wait_until_done(prediction["id"])
        try:
            headers, body, query = await asyncio.wait_for(calls.get(), 60)
        except TimeoutError:
            yield LiveVerdict("a webhook comes", False, f"none within 60 s after {run.state}")
            return
    names = [name for name in headers if name.startswith("webhook-")]
    yield LiveVerdict("a webhook comes, with its query kept", query == "job=live", f"query {query!r}, headers {names}")
    given = {"webhook_id": headers.get("webhook-id", ""), "timestamp": headers.get("webhook-timestamp", "")}
    secret = await live.backend.client.get_webhook_secret()
    signed = is_signature_valid(body, signatures=headers.get("webhook-signature", ""), secret=secret, **given)
    recent = is_recent(given["timestamp"], time.time())
    yield LiveVerdict("its signature is as documented", signed and recent, f"{given}, recent: {recent}")


@asynccontextmanager
async def _serve(route: web.RouteDef, port: int) -> AsyncIterator[None]:
    app = web.Application(client_max_size=16 << 20)
    app.add_routes([route])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - Replicate has to reach it
    try:
        yield
    finally:
        await runner.cleanup()


async def run(
    base_url: str, token: str, report: Callable[[str], object], *, public_url: str = "", port: int = 0
) -> int:
    """Run all checks in sequence, and return the number of broken claims."""
    backend = ReplicateBackend(base_url, token, SystemClock())
    headers = {"Authorization": f"Bearer {token}"}
    broken = 0
    async with httpx.AsyncClient(base_url=f"{base_url.rstrip('/')}/v1/", headers=headers, timeout=30) as http:
        live = LiveCheck(backend, http)
        checks = [check_adoption(live), check_cancel_after(live), check_streams(live), check_backend(live)]
        if public_url:
            checks.append(check_webhook(live, public_url, port))
        try:
            report(await backend.probe())
            for check in checks:
                broken += await _report_verdicts(check, report)
        finally:
            await backend.close()
    report(
        "All hold."
        if not broken
        else f"{broken} did not hold: what is known of Replicate and the code that relies on it are wrong."
    )
    return broken


async def _report_verdicts(check: AsyncIterator[LiveVerdict], report: Callable[[str], object]) -> int:
    broken = 0
    try:
        async for verdict in check:
            broken += not verdict.holds
            report(str(verdict))
    except (EaselError, httpx.HTTPError, RuntimeError, TimeoutError) as error:
        broken += 1
        report(f"BROKEN  a check could not be finished\n        {type(error).__name__}: {error}")
    return broken


def main(arguments: Sequence[str], report: Callable[[str], object] = print) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.live_replicate", description=__doc__)
    parser.add_argument("--yes", action="store_true", help="spend it")
    parser.add_argument("--public-url", default="", help="an https address that leads to --port here")
    parser.add_argument("--port", type=int, default=8765)
    given = parser.parse_args(arguments)
    for what, usd in COSTS_USD.items():
        report(f"${usd:.4f}  {what}")
    report(f"${sum(COSTS_USD.values()):.4f}  at most")
    token = os.environ.get("REPLICATE_API_TOKEN", "")
    if not token or not given.yes:
        report("REPLICATE_API_TOKEN is missing." if not token else "Nothing was spent. Say --yes to spend it.")
        return 2
    base_url = os.environ.get("REPLICATE_BASE_URL", "https://api.replicate.com")
    return 1 if asyncio.run(run(base_url, token, report, public_url=given.public_url, port=given.port)) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
