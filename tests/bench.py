"""The bench: the whole bot with a scripted backend, a fake platform and a manual clock.

Database, ledger, media and all parts between are the bot's own.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.app import App
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.jobs import Job
from bot.core.people import Channel, User
from bot.core.platform import MessageLimits
from bot.core.replies import Reply
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.declaration import Command
from bot.dispatch.parsing import parse_command
from bot.media.fetching import Fetcher
from bot.settings import Owner
from tests.fakes.backend import ScriptedBackend
from tests.fakes.clock import ManualClock
from tests.fakes.event_loop import TIMEOUT_SECONDS, get_outside_work, wait_until_idle
from tests.fakes.platform import FakePlatform, ShownMessage
from tests.fakes.samples import ANA, CHANNEL, DEFAULT_SETTINGS
from tests.storage.empty_database import place_empty_database
from tests.storage.raw import list_jobs_with_open_holds


class Bench:
    """A bot in this process. Act with `say`, `invoke` and `press`; assert on `last_message`, `balance`, `backend`."""

    def __init__(self, app: App, backend: ScriptedBackend, platform: FakePlatform, clock: ManualClock) -> None:
        self.app = app
        self.backend = backend
        self.platform = platform
        self.clock = clock
        self._keys = itertools.count(1)

    @classmethod
    async def open(
        cls,
        folder: Path,
        database_url: str = "",
        *,
        clock: ManualClock | None = None,
        backend: ScriptedBackend | None = None,
        platform: FakePlatform | None = None,
        limits: MessageLimits | None = None,
        fetcher: Fetcher | None = None,
        **changes: object,
    ) -> "Bench":
        """Start a bot on a folder. A second bot on the folder of a closed bot continues its jobs."""
        clock = clock or ManualClock()
        backend = backend or ScriptedBackend(clock)
        platform = platform or FakePlatform("web", clock, limits)
        plain = {
            "data_dir": folder,
            "database_url": SecretStr(database_url) if database_url else None,
            "shutdown_grace_seconds": 1.0,
            "replicate_api_token": None,
        }
        settings = DEFAULT_SETTINGS.model_copy(update={**plain, **changes})
        owners = (Owner("web", "page", "owner"),)
        app = App(settings, owners=owners, clock=clock, backends={backend.name: backend}, fetcher=fetcher)
        get_outside_work().count_transactions(app.database)
        bench = cls(app, backend, platform, clock)
        await place_empty_database(settings.database_address)
        await app.open(platform)
        return bench

    async def open_again(self, folder: Path, database_url: str = "", **changes: Any) -> "Bench":
        """Start another process on the same clock, backend and platform; usually after `close`."""
        world: dict[str, Any] = {"clock": self.clock, "backend": self.backend, "platform": self.platform}
        return await Bench.open(folder, database_url, **(world | changes))

    async def close(self) -> None:
        """Stop the bot in order, as a process stops. Jobs stay in their states."""
        await self.app.close()

    async def say(
        self,
        line: str,
        *,
        by: User = ANA,
        channel: Channel = CHANNEL,
        key: str = "",
        image: bytes | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> Reply | None:
        """Type a line and wait until the bot is idle; return the direct reply, such as an error."""
        call = parse_command(line, self.app.dispatcher.services.menu)
        given = {**(files or {}), **({} if image is None else {"image": image})}
        attachments = {name: make_attachment(content) for name, content in given.items()}
        invocation = Invocation(
            user=by,
            channel=channel,
            command=call.command,
            request_key=key or f"web:{next(self._keys)}",
            options=call.options,
            attachments=attachments,
        )
        return await self._wait_and_return(await self.app.dispatcher.handle(invocation))

    async def invoke(self, form: Command, *, by: User = ANA, channel: Channel = CHANNEL) -> Reply | None:
        """Submit a filled-in form and wait until the bot is idle; return the direct reply."""
        values: dict[str, Any] = {}
        for option in form.declaration.options:
            value = getattr(form, option.field)
            values |= dict(zip(option.file_names, value if option.is_list else (value,), strict=False))
        options = {name: value.url if isinstance(value, Link) else value for name, value in values.items()}
        attachments = {name: value for name, value in values.items() if isinstance(value, Attachment)}
        invocation = Invocation(
            user=by,
            channel=channel,
            command=form.declaration.name,
            request_key=f"web:{next(self._keys)}",
            options={k: v for k, v in options.items() if v is not None and k not in attachments},
            attachments=attachments,
        )
        return await self._wait_and_return(await self.app.dispatcher.handle(invocation))

    async def press(
        self, action: str, *, on: ShownMessage | None = None, n: int = 0, by: User = ANA, channel: Channel = CHANNEL
    ) -> Reply | None:
        """Press a button of a message, by default the last, and wait until the bot is idle; return the direct reply."""
        message = on or self.last_message
        button = next(button for button in message.reply.buttons if (button.action, button.n) == (action, n))
        press = ButtonPress(by, channel, action, button.job, n, f"web:press{next(self._keys)}", message.ref.id)
        return await self._wait_and_return(await self.app.dispatcher.handle_press(press))

    async def _wait_and_return(self, reply: Reply | None) -> Reply | None:
        await self.wait_until_idle()
        # No two asks come at one moment: rows keep the order of the asks.
        self.clock.tick()
        return reply

    async def wait_until_idle(self) -> None:
        """Wait until every task waits for the clock, the scripted backend, or the test."""
        await wait_until_idle()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait, on a real clock, until a condition is true. Raise `TimeoutError` after `TIMEOUT_SECONDS`."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not condition():  # noqa: ASYNC110 - any condition
                await asyncio.sleep(0.002)

    async def advance_time(self, seconds: float) -> None:
        """Let time pass. After each wake-up of a sleeper, all work is done before time moves on."""
        await self.clock.advance(seconds, wait_until_idle)

    @property
    def last_message(self) -> ShownMessage:
        return self.platform.last_message

    @property
    def last_text(self) -> str:
        return self.platform.last_message.text

    async def get_job(self, job_id: str = "") -> Job:
        """Return a job, by default the job of the last message."""
        job = await self.app.jobs.get(job_id or self.last_message.destination.nonce.partition(":")[0])
        assert job is not None
        return job

    async def balance(self, user: User = ANA) -> int:
        """Return the amount in micros that a user can still spend today."""
        statement = await self.app.dispatcher.services.credits.get_statement(user)
        return statement.today_available_micros + statement.extra_available_micros

    @property
    def starting_credits(self) -> int:
        """The amount in micros that a user has at the start of a day."""
        return self.app.settings.daily_micros

    async def get_bot_spent_micros(self) -> int:
        """Return the owner's cost of this month, in micros."""
        async with self.app.database.read() as tx:
            account = await tx.ledger.get_account(f"budget:bot:{self.clock.now():%Y-%m}")
        return account.granted_micros - account.balance_micros if account else 0

    async def list_open_holds(self) -> list[str]:
        return await list_jobs_with_open_holds(self.app.database)


def make_attachment(
    content: bytes, name: str = "a.png", mime: str = "image/png", size: int | None = None
) -> Attachment:
    """Return a file as a platform hands files over."""

    async def read() -> bytes:
        return content

    return Attachment(name, mime, len(content) if size is None else size, read)
