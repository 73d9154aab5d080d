"""Measure the way of a job: finished → known → delivered, requests per job, jobs per second on both engines.

    python -m benchmarks.pipeline

Baseline for finished → known in the same run: a client that polls every half second, like the official client.
"""

import asyncio
import itertools
import logging
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from pydantic import SecretStr

from bot.app import App
from bot.backends.replicate.backend import ReplicateBackend
from bot.core.backend import RunEnded, RunEvent
from bot.core.clock import SystemClock
from bot.core.invocations import Invocation
from bot.core.models import Model
from bot.core.people import User
from bot.core.replies import MessageRef, Reply, Tone
from bot.sandbox.server import SandboxOptions, SandboxThread
from bot.settings import Settings
from tests.fakes.backend import ScriptedBackend
from tests.fakes.platform import FakePlatform
from tests.fakes.samples import ANA, CHANNEL
from tests.postgres import find_binaries, run_server

JOBS = 20
THROUGHPUT_JOBS = 600
AT_ONCE = 50
POLL_SECONDS = 0.5
SPEED = 4 / 3
"""The sandbox's painter takes 1.5 s: with this speed 2.00 s."""


@dataclass
class RequestCounter(logging.Handler):
    """Counts the requests in httpx's log."""

    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__init__()
        logging.getLogger("httpx").addHandler(self)
        logging.getLogger("httpx").setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        method, url = record.args[0], str(record.args[1])  # type: ignore[index]  # httpx's argument tuple
        kind = "output" if "/pbxt/" in url else "stream" if "/v1/files/" in url or "/v1/streams/" in url else "api"
        self.counts[f"{method} {kind}"] += 1

    __hash__ = logging.Handler.__hash__


class ObservedBackend(ReplicateBackend):
    """The real backend, with the moment at which each end of a run became known."""

    def __init__(self, base_url: str, token: str) -> None:
        super().__init__(base_url, token, SystemClock())
        self.gaps: list[float] = []

    async def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        async for event in super().watch(model, backend_id):
            if isinstance(event, RunEnded) and event.snapshot.completed_at is not None:
                self.gaps.append((datetime.now(UTC) - event.snapshot.completed_at).total_seconds())
            yield event


@asynccontextmanager
async def open_app(url: str, backend: object, platform: FakePlatform) -> AsyncIterator[App]:
    """Open a bot whose people have enough credits."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_env_file=None).model_copy(
            update={
                "data_dir": Path(folder),
                "database_url": SecretStr(url) if url else None,
                "daily_credits": 10**9,
                "monthly_budget_usd": 10**6,
                "replicate_base_url": getattr(backend, "url", "https://api.replicate.com"),
            }
        )
        app = App(settings, backends={"replicate": backend})  # type: ignore[dict-item]  # both satisfy the protocol
        await app.open(platform)
        try:
            yield app
        finally:
            await app.close()


keys = itertools.count()


async def start_job(app: App, user: User = ANA, prompt: str = "a lighthouse at dusk") -> None:
    key = next(keys)  # a separate seed, as in requests of different people
    options: dict[str, str | int | float | bool] = {"prompt": prompt, "seed": key, "format": "jpg"}
    await app.dispatcher.handle(Invocation(user, CHANNEL, "imagine", f"web:{key}", options))


def format_milliseconds(seconds: list[float]) -> str:
    return f"median {statistics.median(seconds) * 1000:.1f} ms, worst {max(seconds) * 1000:.1f} ms"


async def measure_delivery(sandbox: SandboxThread) -> None:
    """Measure twenty pictures of two seconds each, asked a moment apart."""
    clock = SystemClock()
    platform = FakePlatform("web", clock)
    backend = ObservedBackend(sandbox.url, sandbox.token)
    backend.url = sandbox.url  # type: ignore[attr-defined]  # for the fetcher's allowed origins
    requests = RequestCounter()
    async with open_app("", backend, platform) as app:
        for _ in range(JOBS):
            await start_job(app)
            await asyncio.sleep(0.11)
        await app.runner.drain(60)
        delivered = [message.times[-1] for message in platform.messages.values()]
        assert all(message.reply.tone is Tone.DONE for message in platform.messages.values())  # noqa: S101 - or no figure
        known = [sent - gap for sent, gap in zip(delivered, backend.gaps, strict=True)]
    per_job = {kind: count / JOBS for kind, count in sorted(requests.counts.items())}
    api = sum(count for kind, count in per_job.items() if not kind.endswith("output"))
    logging.getLogger("httpx").removeHandler(requests)
    print(f"finished → known, {JOBS} × 2 s pictures by stream: {format_milliseconds(backend.gaps)}")
    del known
    print(f"requests to Replicate per picture job: {api:.2f} ({', '.join(f'{k} {v:.2f}' for k, v in per_job.items())})")


async def measure_final_message(sandbox: SandboxThread) -> None:
    """Measure from the end at the backend to the final message, one job at a time."""
    spans = []
    clock = SystemClock()
    for _ in range(8):
        platform = FakePlatform("web", clock)
        backend = ObservedBackend(sandbox.url, sandbox.token)
        backend.url = sandbox.url  # type: ignore[attr-defined]  # for the fetcher's allowed origins
        async with open_app("", backend, platform) as app:
            await start_job(app)
            await app.runner.drain(60)
            ended = time.monotonic() - (time.time() - _completed_at(sandbox))
            spans.append(platform.last_message.times[-1] - ended)
    print(f"finished → final message sent, 8 jobs: {format_milliseconds(spans)}")


def _completed_at(sandbox: SandboxThread) -> float:
    """Return the end of the sandbox's newest prediction, in seconds since 1970."""
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    newest = httpx.get(f"{sandbox.url}/v1/predictions", headers=headers).json()["results"][0]
    return datetime.fromisoformat(newest["completed_at"]).timestamp()


async def measure_polling(sandbox: SandboxThread) -> None:
    """Measure the baseline: create, then GET every half second."""
    gaps = []
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    async with httpx.AsyncClient(base_url=sandbox.url, headers=headers) as client:

        async def one() -> None:
            body = {"version": "black-forest-labs/flux-schnell", "input": {"prompt": "a lighthouse at dusk", "seed": 7}}
            prediction = (await client.post("/v1/predictions", json=body)).json()
            while prediction["status"] not in ("succeeded", "failed"):
                await asyncio.sleep(POLL_SECONDS)
                prediction = (await client.get(f"/v1/predictions/{prediction['id']}")).json()
            gaps.append((datetime.now(UTC) - datetime.fromisoformat(prediction["completed_at"])).total_seconds())

        tasks = []
        for _ in range(JOBS):
            tasks.append(asyncio.create_task(one()))
            await asyncio.sleep(0.11)
        await asyncio.gather(*tasks)
    print(f"baseline, polling every {POLL_SECONDS} s: {format_milliseconds(gaps)}")


class FinishRecorder(FakePlatform):
    """A platform that reports the moment of a job's last edit, without polling."""

    def __init__(self) -> None:
        super().__init__("web", SystemClock())
        self.ended: dict[str, asyncio.Event] = {}

    async def edit(self, message: MessageRef, reply: Reply) -> None:
        await super().edit(message, reply)
        if reply.tone is not Tone.WORKING:
            self.event_for(message.id.partition(":")[0]).set()

    def event_for(self, job: str) -> asyncio.Event:
        return self.ended.setdefault(job, asyncio.Event())


async def measure_throughput(name: str, url: str) -> None:
    """Measure jobs per second from accepted to delivered, with predictions that end at once."""
    platform = FinishRecorder()
    backend = ScriptedBackend(SystemClock())
    backend.will(words=("done",))
    async with open_app(url, backend, platform) as app:
        users = [User("web", "page", f"user{n}", f"User {n}") for n in range(AT_ONCE)]
        await asyncio.gather(*(_run_jobs(app, platform, user, 2) for user in users))
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(_run_jobs(app, platform, user, THROUGHPUT_JOBS // AT_ONCE) for user in users))
        await app.runner.drain(60)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"{name}: {THROUGHPUT_JOBS / took:.0f} jobs/s, {cpu / THROUGHPUT_JOBS * 1000:.1f} ms of CPU a job")


async def _run_jobs(app: App, platform: FinishRecorder, user: User, jobs: int) -> None:
    """Run jobs in sequence."""
    for _ in range(jobs):
        options = {"prompt": "Hi", "temperature": None, "max_tokens": 16}
        call = Invocation(user, CHANNEL, "chat", f"web:{next(keys)}")
        job = await app.jobs.start(call, app.dispatcher.services.catalogue.get("llama-3-8b"), options)
        await platform.event_for(job.id).wait()


async def main() -> None:
    sandbox = SandboxThread(SandboxOptions(speed=SPEED))
    sandbox.start()
    await measure_delivery(sandbox)
    await measure_polling(sandbox)
    await measure_final_message(sandbox)
    sandbox.stop()
    await measure_throughput("SQLite", "")
    async with AsyncExitStack() as stack:
        binaries = find_binaries()
        if binaries is None:
            print("PostgreSQL: not measured, there is no server here")
            return
        server = stack.enter_context(run_server(binaries))
        await measure_throughput("PostgreSQL (fsync off)", await server.create_database())


if __name__ == "__main__":
    asyncio.run(main())
