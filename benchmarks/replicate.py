"""Measure our Replicate client beside the official client (replicate 1.0.7) on one sandbox, in the same run.

    python -m benchmarks.replicate

The sandbox has a separate process. Every picture has the same prompt and seed, which the sandbox draws once and
remembers, so the figures are the clients'. Each client runs in a separate process for memory and CPU.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx
from aiohttp import web

from benchmarks.pipeline import RequestCounter, format_milliseconds
from bot.backends.replicate.backend import ReplicateBackend, make_webhook_url_builder
from bot.backends.replicate.watching import StreamAddresses
from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loading import load_catalogue
from bot.core.backend import PredictionState, RunEnded, RunNotification, RunSnapshot, TextDelta
from bot.core.clock import SystemClock
from bot.core.errors import BackendBusy
from bot.core.json import JSON
from bot.core.models import Model

ROOT = Path(__file__).resolve().parents[1]
RUNS = 20
STREAMS_ONE_BY_ONE = 10
AT_ONCE = 200
STREAMS_AT_ONCE = 500
SPEED = 4 / 3
"""flux-schnell takes 1.5 s of sandbox time: with this speed 2.00 s."""
SLOW = 8.0
"""For many streams at once: five words a second each, about twenty seconds long."""
LIMIT = {"enforced": True, "creates": {"per_minute": 600, "burst": 100}}
"""Replicate's documented limit on creates with a burst of a hundred: half of 200 creates have to wait."""

MODELS = Catalogue(load_catalogue())
PAINTER, WRITER = MODELS.get("flux-schnell"), MODELS.get("llama-3-8b")
PICTURE: dict[str, JSON] = {"prompt": "a lighthouse at dusk", "seed": 7, "megapixels": "0.25"}
QUESTION: dict[str, JSON] = {"prompt": "How do I connect Slack, and what does it cost?"}


@dataclass(frozen=True)
class Service:
    """A sandbox in a separate process."""

    url: str
    token: str

    def set_limits(self, limits: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        httpx.post(f"{self.url}/sandbox/limits", headers=headers, json=limits).raise_for_status()


@contextlib.contextmanager
def run_sandbox(speed: float) -> Iterator[Service]:
    command = [sys.executable, "-m", "bot", "sandbox", "--port", "0", "--speed", str(speed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        url, token = (process.stdout.readline().strip().partition("=")[2] for _ in range(2))
        try:
            yield Service(url, token)
        finally:
            process.terminate()


# The two clients, behind one protocol.


class BenchmarkClient(Protocol):
    """`run` returns the time at which the end was known and the id; `stream` the times of the first and last word."""

    async def run(self) -> tuple[datetime, str]: ...

    async def stream(self) -> tuple[float, float]: ...


class BackendClient:
    """The bot's backend, called as the bot calls the backend."""

    def __init__(self, backend: ReplicateBackend) -> None:
        self.backend = backend

    async def run(self) -> tuple[datetime, str]:
        backend_id = await self._submit(PAINTER, PICTURE)
        async with aclosing(self.backend.watch(PAINTER, backend_id)) as events:
            async for event in events:
                if isinstance(event, RunEnded):
                    known = datetime.now(UTC)
                    _expect_success(event.snapshot)
        return known, backend_id

    async def stream(self) -> tuple[float, float]:
        first = 0.0
        backend_id = await self._submit(WRITER, QUESTION)
        async with aclosing(self.backend.watch(WRITER, backend_id)) as events:
            async for event in events:
                if isinstance(event, TextDelta) and not first:
                    first = time.perf_counter()
                if isinstance(event, RunEnded):
                    _expect_success(event.snapshot)
        return first, time.perf_counter()

    async def _submit(self, model: Model, inputs: dict[str, JSON]) -> str:
        is_retry = False
        while True:
            async with self.backend.slot_for_create(is_retry=is_retry):
                try:
                    return await self.backend.submit(model, inputs, job="bench", run="bench", cancel_after_seconds=600)
                except BackendBusy:
                    is_retry = True


class NoStreams(StreamAddresses):
    """Poll, as for models without a stream."""

    def get(self, prediction_id: str) -> str | None:
        return ""


class OfficialClient:
    """Replicate's Python client with default settings."""

    def __init__(self, service: Service, *, is_blocking: bool) -> None:
        from replicate.client import Client as OfficialClient

        self.client: Any = OfficialClient(api_token=service.token, base_url=service.url)
        self._wait: dict[str, Any] = {"wait": True} if is_blocking else {}

    async def run(self) -> tuple[datetime, str]:
        prediction = await self.client.predictions.async_create(version=PAINTER.ref, input=PICTURE, **self._wait)
        if not self._wait:
            await prediction.async_wait()
        known = datetime.now(UTC)
        if prediction.output is None:
            raise RuntimeError(f"{prediction.status}: {prediction.error}")
        return known, prediction.id

    async def stream(self) -> tuple[float, float]:
        first = 0.0
        kind = ""
        async for event in await self.client.async_stream(WRITER.ref, input=QUESTION):
            kind = event.event.value
            if not first and kind == "output":
                first = time.perf_counter()
        if not first or kind != "done":
            raise RuntimeError("the stream did not come to its end")
        return first, time.perf_counter()


def _expect_success(snapshot: RunSnapshot) -> None:
    if snapshot.state is not PredictionState.SUCCEEDED:
        raise RuntimeError(f"{snapshot.state}: {snapshot.error}")


@asynccontextmanager
async def open_backend_client(service: Service, way: str) -> AsyncIterator[BackendClient]:
    """`way` names the source of an end: stream, webhook or poll."""
    if way == "webhook":
        async with _webhooks(service) as backend:
            yield BackendClient(backend)
        return
    backend = ReplicateBackend(service.url, service.token, SystemClock())
    if way == "poll":
        backend._stream_addresses = NoStreams(backend.client.api.origins)
    yield BackendClient(backend)
    await backend.close()


@asynccontextmanager
async def _webhooks(service: Service) -> AsyncIterator[ReplicateBackend]:
    """Open a client with the bot's own webhook route on a port of this process."""

    async def is_news(_: RunNotification) -> bool:
        return True

    address: list[str] = []
    backend = ReplicateBackend(
        service.url,
        service.token,
        SystemClock(),
        build_webhook_url=lambda job: make_webhook_url_builder(address[0])(job),
    )
    app = web.Application()
    app.add_routes(backend.routes(is_news))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield backend
    await backend.close()
    await runner.cleanup()


# Finished → known, and requests per job.


@dataclass(frozen=True)
class NoticeMeasurement:
    """Seconds from each end to the client's knowledge of the end, and requests per job."""

    gap_seconds: list[float]
    requests_per_job: float

    def __str__(self) -> str:
        return f"{format_milliseconds(self.gap_seconds)}; {self.requests_per_job:.2f} requests a job"


async def measure_notice_delay(client: BenchmarkClient, service: Service) -> NoticeMeasurement:
    """Measure twenty pictures of 2.00 s, asked a moment apart."""
    await client.run()  # connections opened, the picture painted
    counting = RequestCounter()
    tasks = []
    for _ in range(RUNS):
        tasks.append(asyncio.create_task(client.run()))
        await asyncio.sleep(0.11)
    known = await asyncio.gather(*tasks)
    logging.getLogger("httpx").removeHandler(counting)
    asked = sum(counting.counts.values()) / RUNS
    return NoticeMeasurement([await _gap(service, moment, run_id) for moment, run_id in known], asked)


async def _gap(service: Service, known: datetime, run_id: str) -> float:
    """Return seconds since the end in the sandbox's record; both processes read one clock."""
    headers = {"Authorization": f"Bearer {service.token}"}
    async with httpx.AsyncClient(headers=headers) as client:
        run = (await client.get(f"{service.url}/v1/predictions/{run_id}")).json()
    return (known - datetime.fromisoformat(run["completed_at"])).total_seconds()


async def compare_notice_delay(service: Service) -> None:
    print(f"finished → known, {RUNS} pictures of 2.00 s")
    medians = {}
    for way in ("stream", "webhook", "poll"):
        async with open_backend_client(service, way) as client:
            noticed = await measure_notice_delay(client, service)
        medians[way] = statistics.median(noticed.gap_seconds)
        print(f"  ours by {way:17} {noticed}")
    for name, is_blocking in (("blocking create", True), ("polling", False)):
        noticed = await measure_notice_delay(OfficialClient(service, is_blocking=is_blocking), service)
        medians[name] = statistics.median(noticed.gap_seconds)
        print(f"  official, {name:15} {noticed}")
    for way, name in (
        ("stream", "blocking create"),
        ("stream", "polling"),
        ("webhook", "polling"),
        ("poll", "polling"),
    ):
        print(f"  ratio, {way:18} {medians[way] / medians[name]:.3f} × its {name}")


# A single stream.


async def measure_streaming(client: BenchmarkClient) -> tuple[float, float]:
    """Print medians of the seconds to the first word and to the end."""
    firsts, totals = [], []
    for _ in range(STREAMS_ONE_BY_ONE):
        began = time.perf_counter()
        first, last = await client.stream()
        firsts.append(first - began)
        totals.append(last - began)
    return statistics.median(firsts), statistics.median(totals)


async def compare_streaming(service: Service) -> None:
    async with open_backend_client(service, "stream") as client:
        our_first, our_total = await measure_streaming(client)
    first, total = await measure_streaming(OfficialClient(service, is_blocking=False))
    print(f"a stream, median of {STREAMS_ONE_BY_ONE}: first word, total")
    print(f"  ours                      {our_first * 1000:.0f} ms, {our_total:.3f} s")
    print(f"  official                  {first * 1000:.0f} ms, {total:.3f} s")
    print(f"  ratio                     {our_first / first:.2f}, {our_total / total:.3f}")


# Two hundred at once.


async def measure_at_once(client: BenchmarkClient) -> tuple[float, int]:
    """Seconds until the last end is known, and the number of lost runs."""
    began = time.perf_counter()
    results = await asyncio.gather(*(client.run() for _ in range(AT_ONCE)), return_exceptions=True)
    return time.perf_counter() - began, sum(isinstance(result, BaseException) for result in results)


async def compare_at_once(service: Service, limits: dict[str, Any], title: str) -> None:
    print(f"{AT_ONCE} pictures of 2.00 s at once, {title}: until the last is known, lost")
    clients: dict[str, Callable[[], Awaitable[tuple[float, int]]]] = {
        "ours by stream": lambda: _at_once_ours(service, "stream"),
        "ours by webhook": lambda: _at_once_ours(service, "webhook"),
        "official, blocking create": lambda: measure_at_once(OfficialClient(service, is_blocking=True)),
        "official, polling": lambda: measure_at_once(OfficialClient(service, is_blocking=False)),
    }
    for name, measure in clients.items():
        service.set_limits(limits)  # full again
        seconds, lost = await measure()
        print(f"  {name:25} {seconds:.2f} s, {lost} lost", flush=True)
    service.set_limits({"enforced": False})


async def _at_once_ours(service: Service, way: str) -> tuple[float, int]:
    async with open_backend_client(service, way) as client:
        return await measure_at_once(client)


# Five hundred streams, each client in a separate process.


@dataclass(frozen=True)
class LoadMeasurement:
    """The load of many open streams on one process, in seconds and megabytes; `lag` is the delay of the event loop."""

    finished: int
    seconds: float
    cpu_seconds: float
    megabytes: float
    lag_p99_seconds: float
    first_word_seconds: float

    def __str__(self) -> str:
        ended = f"{self.finished} of {STREAMS_AT_ONCE} to their end in {self.seconds:.1f} s"
        cost = f"{self.cpu_seconds:.1f} s of CPU, +{self.megabytes:.0f} MB"
        lag = f"loop lag p99 {self.lag_p99_seconds * 1000:.0f} ms"
        return f"{ended}, {cost}, {lag}, first word {self.first_word_seconds:.2f} s"


async def measure_load(client: BenchmarkClient) -> LoadMeasurement:
    lags: list[float] = []
    watching = asyncio.create_task(_watch_lag(lags))
    before, began, cpu = _resident_megabytes("VmRSS"), time.perf_counter(), time.process_time()
    results = await asyncio.gather(*(client.stream() for _ in range(STREAMS_AT_ONCE)), return_exceptions=True)
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    watching.cancel()
    ended = [result for result in results if isinstance(result, tuple)]
    return LoadMeasurement(
        finished=len(ended),
        seconds=seconds,
        cpu_seconds=cpu,
        megabytes=_resident_megabytes("VmHWM") - before,
        lag_p99_seconds=statistics.quantiles(lags, n=100)[98],
        first_word_seconds=statistics.median(first for first, _ in ended) - began if ended else 0.0,
    )


async def _watch_lag(lags: list[float], every: float = 0.01) -> None:
    while True:
        due = time.perf_counter() + every
        await asyncio.sleep(every)
        lags.append(time.perf_counter() - due)


def _resident_megabytes(kind: str) -> float:
    """Return VmRSS (now) or VmHWM (highest) in MB; nan without /proc."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(kind):
                return int(line.split()[1]) / 1000
    return float("nan")


async def measure_load_in_process(name: str, service: Service) -> LoadMeasurement:
    """Measure streams in this fresh process."""
    if name == "official":
        client = OfficialClient(service, is_blocking=False)
        with contextlib.suppress(Exception):
            await client.client.models.async_get(WRITER.ref)  # imports and the first line
        return await measure_load(client)
    async with open_backend_client(service, "stream") as own:
        await own.backend.probe()
        return await measure_load(own)


def compare_load() -> None:
    print(f"{STREAMS_AT_ONCE} streams open at once, some twenty seconds each, five words a second")
    loads = {}
    for name in ("ours", "official"):
        with run_sandbox(SLOW) as service:
            command = [sys.executable, "-m", "benchmarks.replicate", "--load", name, service.url, service.token]
            told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        loads[name] = LoadMeasurement(**json.loads(told))
        print(f"  {name:25} {loads[name]}", flush=True)
    mine, theirs = loads["ours"], loads["official"]
    if theirs.finished:
        each = mine.cpu_seconds / mine.finished / (theirs.cpu_seconds / theirs.finished)
        print(f"  ratio                     {each:.2f} × its CPU for each stream that came to its end")


async def compare(service: Service) -> None:
    await compare_notice_delay(service)
    await compare_streaming(service)
    await compare_at_once(service, {"enforced": False}, "no limit")
    await compare_at_once(service, LIMIT, "creates limited to 600 a minute after the first 100")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", nargs=3, metavar=("CLIENT", "URL", "TOKEN"), help="one client's load, as JSON")
    given = parser.parse_args()
    if given.load:
        name, url, token = given.load
        print(json.dumps(asdict(asyncio.run(measure_load_in_process(name, Service(url, token))))))
        return
    with run_sandbox(SPEED) as service:
        asyncio.run(compare(service))
    compare_load()


if __name__ == "__main__":
    main()
