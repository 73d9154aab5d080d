"""The whole bot on the backends of a catalogue file, over real sockets and on the machine's clock."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from bot.app import App
from bot.core.clock import SystemClock
from bot.core.invocations import Invocation
from bot.core.jobs import Job, JobState
from bot.core.people import User
from bot.core.replies import Reply
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.parsing import parse_command
from tests.bench import make_attachment
from tests.fakes.platform import FakePlatform, ShownMessage
from tests.fakes.samples import ANA, CHANNEL, DEFAULT_SETTINGS
from tests.storage.empty_database import place_empty_database
from tests.storage.raw import list_jobs_with_open_holds

PATIENCE_SECONDS = 20.0


@dataclass
class OwnBench:
    """A bot in this process. `crash` and `open_own_bench` on the same folder are a restart in the middle."""

    app: App
    platform: FakePlatform
    _keys: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def ask(self, line: str, by: User = ANA, **pictures: bytes) -> Reply | None:
        """Send a command with pictures by option; return the immediate reply, such as a refusal."""
        call = parse_command(line, self.app.dispatcher.services.menu)
        invocation = Invocation(
            user=by,
            channel=CHANNEL,
            command=call.command,
            request_key=f"web:{id(self)}:{next(self._keys)}",
            options=call.options,
            attachments={name: make_attachment(content) for name, content in pictures.items()},
        )
        return await self.app.dispatcher.handle(invocation)

    async def run(self, line: str, by: User = ANA, **pictures: bytes) -> str:
        """Run a command to its end, and return the final text, or the text of a refusal."""
        reply = await self.ask(line, by, **pictures)
        await self.wait_until_done()
        return reply.text if reply is not None else self.last.text

    async def press(self, action: str, message: ShownMessage | None = None) -> None:
        """Press a button of a message, by default of the last one."""
        message = message or self.last
        button = next(button for button in message.reply.buttons if button.action == action)
        press = ButtonPress(ANA, CHANNEL, action, button.job, button.n, f"web:{next(self._keys)}", message.ref.id)
        await self.app.dispatcher.handle_press(press)

    async def wait_until_done(self) -> None:
        await self.wait_until(lambda: self.app.runner.running_count == 0)

    async def wait_until_running(self) -> None:
        """Wait until the rows know the run of the last job."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await self.last_job()).state is not JobState.RUNNING:  # noqa: ASYNC110 - rows have no event
                await asyncio.sleep(0.005)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():  # noqa: ASYNC110 - any condition
                await asyncio.sleep(0.005)

    @property
    def last(self) -> ShownMessage:
        return self.platform.last_message

    async def last_job(self) -> Job:
        job = await self.app.jobs.get(self.last.destination.nonce.partition(":")[0])
        assert job is not None
        return job

    async def paid_micros(self) -> int:
        """Return the user's spending; assert that no hold is open."""
        assert await list_jobs_with_open_holds(self.app.database) == []
        statement = await self.app.dispatcher.services.credits.get_statement(ANA)
        return self.app.settings.daily_micros - statement.today_available_micros


@asynccontextmanager
async def open_own_bench(
    folder: Path, catalogue: str, platform: FakePlatform | None = None, changes: Mapping[str, object] | None = None
) -> AsyncIterator[OwnBench]:
    """Open a bot on a catalogue file with this text. The end stops the bot at once, in the middle of its runs."""
    path = folder / "models.toml"
    path.write_text(catalogue, encoding="utf-8")
    plain: dict[str, object] = {
        "data_dir": folder,
        "database_url": None,
        "catalogue_path": path,
        "replicate_api_token": None,
        "public_url": None,
        "shutdown_grace_seconds": 0.0,
    }
    settings = DEFAULT_SETTINGS.model_copy(update={**plain, **(changes or {})})
    clock = SystemClock()
    app = App(settings, clock=clock)
    bench = OwnBench(app, platform or FakePlatform("web", clock))
    await place_empty_database(settings.database_address)
    await app.open(bench.platform)
    try:
        yield bench
    finally:
        await app.close()


def make_sandbox_changes(url: str, token: str) -> dict[str, object]:
    """Return the settings that put the sandbox in Replicate's place."""
    return {"replicate_base_url": url, "replicate_api_token": SecretStr(token)}
