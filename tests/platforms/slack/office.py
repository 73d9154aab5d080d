"""An office: a local Slack with a workspace, and the whole bot on the real slack-bolt.

The backend is scripted; the database, ledger, media and all else are real, on the real clock.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.app import App
from bot.commands import MENU
from bot.core.clock import SystemClock
from bot.core.people import User, Workspace
from bot.platforms.slack.manifest import create_manifest
from bot.server.server import Server
from bot.settings import Settings
from tests.catalogue.samples import names_servers
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.manifest import build_options
from tests.emulators.slack.options import SlackOptions
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.state import SlackChannelState, SlackTeamState
from tests.fakes.backend import ScriptedBackend, ScriptedRun
from tests.fakes.clock import OffsetClock
from tests.fakes.samples import DEFAULT_SETTINGS
from tests.storage.empty_database import place_empty_database
from tests.storage.raw import list_jobs_with_open_holds


class PausingBackend(ScriptedBackend):
    """A scripted backend with `pauses`: after each of these numbers of words a run waits for `resume`."""

    pauses: tuple[int, ...] = ()
    _gate: asyncio.Event | None = None

    def resume(self) -> None:
        """Continue up to the next pause."""
        if self._gate is not None:
            self._gate.set()

    async def _wait_if_hanging(self, run: ScriptedRun, words: int) -> None:
        if words in self.pauses:
            self._gate = asyncio.Event()
            waits = [asyncio.ensure_future(self._gate.wait()), asyncio.ensure_future(run.released.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        await super()._wait_if_hanging(run, words)


OPTIONS = build_options(create_manifest(MENU))
"""A Slack with exactly the permissions of our manifest."""

TIMEOUT_SECONDS = 10.0


class OfficeClock(OffsetClock):
    """The machine's clock, put forward together with Slack's; the date stays the machine's."""

    def now(self) -> datetime:
        return SystemClock().now()


@dataclass
class Office:
    """A workspace with the channel #general, Ana (a plain member) and Otto (an administrator), and the bot in it."""

    slack: SlackEmulator
    folder: Path
    settings: Settings
    team: SlackTeamState
    general: SlackChannelState
    ana: SlackPerson
    otto: SlackPerson
    transport: str = "socket"
    clock: OfficeClock = field(default_factory=OfficeClock)
    app: App = field(init=False)
    backend: PausingBackend = field(init=False)
    server: Server | None = None
    port: int = 0
    """Where the bot serves HTTP; 0 takes any."""

    def __post_init__(self) -> None:
        self.backend = PausingBackend(self.clock)

    async def open(self) -> "Office":
        """Start the bot; a restarted bot finds the same database."""
        settings = self.settings
        is_scripted = settings.replicate_api_token is None and not names_servers(settings.catalogue_path)
        backends = {self.backend.name: self.backend} if is_scripted else None
        self.app = App(settings, clock=self.clock, backends=backends)
        await place_empty_database(self.settings.database_address)
        await self.app.open(connections=self.app.make_connections())
        if self.transport == "http":
            self.server = Server(
                "127.0.0.1", self.port, self.app.routes(), self.app.list_health_checks(), shutdown_seconds=0.1
            )
            host, port = await self.server.start()
            self.slack.deliver_over_http(f"http://{host}:{port}/slack/events")
        else:
            await self.slack.sockets.wait_for_connections()
        return self

    async def close(self) -> None:
        """Stop as a process stops: in order, with unfinished jobs left in the database."""
        for connection in self.app.connections:
            await connection.stop_listening()
        if self.server is not None:
            await self.server.stop()
        await self.app.close()

    async def balance(self, person: SlackPerson) -> int:
        """Return the micros that a person can still spend today."""
        user = User("slack", person.team.id, person.id, person.name)
        statement = await self.app.dispatcher.services.credits.get_statement(user)
        return statement.today_available_micros + statement.extra_available_micros

    @property
    def daily_micros(self) -> int:
        """The micros of each person at the start of a day."""
        return self.settings.daily_micros

    async def open_holds(self) -> list[str]:
        return await list_jobs_with_open_holds(self.app.database)

    async def wait_until_idle(self) -> None:
        """Wait until no job runs."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while self.app.runner.running_count:  # noqa: ASYNC110 - the runner has no such event
                await asyncio.sleep(0.01)

    async def wait_until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a condition in the bot holds."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not await holds():  # noqa: ASYNC110 - any condition
                await asyncio.sleep(0.01)

    def advance_time(self, seconds: float) -> None:
        """Put both clocks forward."""
        self.clock.ahead += seconds
        self.slack.clock.advance(seconds)


def create_settings(slack: SlackEmulator, folder: Path, team: SlackTeamState, **changes: Any) -> Settings:
    """Return settings for a bot of a single, allowed workspace, updated with `changes`."""
    defaults: Mapping[str, Any] = {
        "data_dir": folder,
        "slack_api_url": slack.api_url,
        "slack_bot_token": SecretStr(team.bot_token),
        "slack_app_token": SecretStr(slack.app_token),
        "allowed_workspaces": (Workspace("slack", team.id),),
        "shutdown_grace_seconds": 1.0,
        "replicate_api_token": None,
    }
    return DEFAULT_SETTINGS.model_copy(update={**defaults, **changes})


async def create_office(
    folder: Path, *, transport: str = "socket", options: SlackOptions = OPTIONS, **changes: Any
) -> Office:
    """Return an office whose bot is not started yet: call `open`."""
    slack = await SlackEmulator(options).start()
    team = slack.add_team("Acme")
    general, ana = team.add_channel("general"), team.add_person("Ana")
    otto = team.add_person("Otto", is_admin=True)
    if transport == "http":
        secret = SecretStr(slack.signing_secret)
        changes = {"slack_app_token": None, "slack_signing_secret": secret, **changes}
    return Office(slack, folder, create_settings(slack, folder, team, **changes), team, general, ana, otto, transport)


def create_options(**changes: Any) -> SlackOptions:
    return replace(OPTIONS, **changes)
