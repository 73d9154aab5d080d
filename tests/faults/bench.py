"""The real bot with the real backend over HTTP, a sandbox, and one movable clock for both."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from pydantic import SecretStr

from bot.app import App
from bot.core.invocations import Invocation
from bot.core.jobs import Job
from bot.core.replies import Progress, Reply
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.parsing import parse_command
from bot.sandbox.clock import SandboxClock
from bot.sandbox.prediction_store import SandboxPrediction
from bot.sandbox.server import Sandbox, SandboxOptions
from bot.server.server import Server
from bot.storage.tables.jobs import predictions
from tests.bench import make_attachment
from tests.fakes.event_loop import get_outside_work
from tests.fakes.platform import FakePlatform, ShownMessage
from tests.fakes.samples import ANA, CHANNEL, DEFAULT_SETTINGS
from tests.ports import find_free_port
from tests.storage.empty_database import place_empty_database
from tests.storage.raw import list_jobs_with_open_holds

PATIENCE_SECONDS = 20.0
"""The longest wait of a test, on a real clock."""

STEP_SECONDS = 0.5
"""Seconds by which the clock moves in each step of a wait."""


class SharedClock:
    """The sandbox's clock as a `Clock` of the bot."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._began = clock.now()

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return (self._clock.now() - self._began).total_seconds()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


@dataclass
class FaultBench:
    """Commands by `ask`, `run` and `press`, waits by `wait_until`, and the user's message, predictions and spending."""

    app: App
    sandbox: Sandbox
    clock: SharedClock
    platform: FakePlatform
    url: str
    """Address of the bot's own server."""
    _keys: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def ask(self, line: str, **pictures: bytes) -> Reply | None:
        """Send a command with pictures by option; return the immediate reply, such as a refusal."""
        call = parse_command(line, self.app.dispatcher.services.menu)
        key = f"web:{next(self._keys)}"
        invocation = Invocation(
            user=ANA,
            channel=CHANNEL,
            command=call.command,
            request_key=key,
            options=call.options,
            attachments={name: make_attachment(content) for name, content in pictures.items()},
        )
        return await self.app.dispatcher.handle(invocation)

    async def run(self, line: str, **pictures: bytes) -> str:
        """Run a command to its end, and return the final text."""
        await self.ask(line, **pictures)
        await self.wait_until_done()
        return self.last.text

    async def press(self, action: str) -> None:
        """Press a button of the last message."""
        button = next(button for button in self.last.reply.buttons if button.action == action)
        press = ButtonPress(ANA, CHANNEL, action, button.job, button.n, f"web:{next(self._keys)}", self.last.ref.id)
        await self.app.dispatcher.handle_press(press)

    async def wait_until_done(self, step_seconds: float = STEP_SECONDS) -> None:
        """Move the clock until no job is left."""
        await self.wait_until(lambda: self.app.runner.running_count == 0, step_seconds)

    async def wait_until(self, condition: Callable[[], bool], step_seconds: float = STEP_SECONDS) -> None:
        """Move the clock, some fifty times as fast as real time, until a condition holds."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                await asyncio.sleep(0.01)  # requests travel on a real clock
                # Painting and decoding take real seconds: with a moving clock a busy machine would exceed limits.
                await get_outside_work().wait_until_done()
                self.sandbox.clock.advance(step_seconds)

    @property
    def last(self) -> ShownMessage:
        return self.platform.last_message

    @property
    def progress(self) -> list[Progress]:
        """Return every progress shown by the last message."""
        return [reply.progress for reply in self.last.history if reply.progress is not None]

    @property
    def predictions(self) -> list[SandboxPrediction]:
        """Return every prediction of the sandbox, oldest first."""
        return list(self.sandbox.store.list_newest_first())[::-1]

    async def last_job(self) -> Job:
        """Return the job of the last message."""
        job = await self.app.jobs.get(self.last.destination.nonce.partition(":")[0])
        assert job is not None
        return job

    async def spent_micros(self) -> int:
        """Return the user's spending in micros; assert that no hold is open and that each run belongs to one job."""
        assert await list_jobs_with_open_holds(self.app.database) == []
        assert sorted(await self._claimed()) == sorted(prediction.id for prediction in self.predictions)
        statement = await self.app.dispatcher.services.credits.get_statement(ANA)
        return self.app.settings.daily_micros - statement.today_available_micros

    async def _claimed(self) -> list[str]:
        engine = sa.create_engine(self.app.settings.database_address)
        with engine.connect() as connection:
            claimed = connection.execute(sa.select(predictions.c.backend_id).where(predictions.c.backend_id != ""))
            ids = list(claimed.scalars())
        engine.dispose()
        return ids


@asynccontextmanager
async def open_fault_bench(
    folder: Path, *, is_public: bool = False, changes: Mapping[str, object] | None = None, **options: object
) -> AsyncIterator[FaultBench]:
    """Open a bot with `changes` of its settings, and a sandbox with `options`. Webhooks can reach a public bot."""
    get_outside_work()  # counts from now on
    sandbox = Sandbox(SandboxOptions(speed=0, docs=(DOCUMENT,), **options))  # type: ignore[arg-type]  # checked there
    await sandbox.start()
    clock, port = SharedClock(sandbox.clock), find_free_port()
    plain: dict[str, object] = {
        "data_dir": folder,
        "database_url": None,
        "replicate_base_url": sandbox.url,
        "replicate_api_token": SecretStr(sandbox.token),
        "public_url": f"http://127.0.0.1:{port}" if is_public else None,
        # One person asks for everything here: the pace of a person has tests of its own.
        "jobs_at_once": 1_000,
        "jobs_per_minute": 1_000,
        **(changes or {}),
    }
    app = App(DEFAULT_SETTINGS.model_copy(update=plain), clock=clock)
    platform = FakePlatform("web", clock)
    await place_empty_database(app.settings.database_address)
    await app.open(platform)
    server = Server("127.0.0.1", port, app.routes(), app.list_health_checks())
    await server.start()
    try:
        yield FaultBench(app, sandbox, clock, platform, f"http://127.0.0.1:{port}")
    finally:
        await server.stop()
        await app.close()
        await sandbox.stop()


DOCUMENT = Path(__file__).parents[2] / "docs" / "running.md"
"""The text from which the sandbox's language model answers."""
