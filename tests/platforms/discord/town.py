"""A server with people in it, a local Discord around it, and the real bot in it on a scripted backend."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.app import App
from bot.core.clock import SystemClock
from bot.core.jobs import JobState
from bot.core.people import Workspace
from bot.platforms.discord.channels import NAME
from bot.platforms.discord.connection import DiscordConnection
from bot.settings import Owner, Settings
from bot.storage.policies import Policy
from tests.emulators.discord.emulator import MESSAGE_CONTENT_ALLOWED, DiscordEmulator
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordChannelState, DiscordGuildState
from tests.fakes.backend import ScriptedBackend


class OffsetClock(SystemClock):
    """The machine's clock, some seconds ahead: so that minutes pass at once."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@dataclass
class Town:
    """Ana and Ben in #general of one server, and the bot. `open` and `restart` it, `pass_time`, look at `app`."""

    folder: Path
    emulator: DiscordEmulator
    changes: dict[str, Any] = field(default_factory=dict)
    is_allowed: bool = True
    restarts: int = 0
    guild: DiscordGuildState = field(init=False)
    general: DiscordChannelState = field(init=False)
    ana: DiscordPerson = field(init=False)
    ben: DiscordPerson = field(init=False)
    app: App = field(init=False)
    clock: OffsetClock = field(default_factory=OffsetClock)
    backend: ScriptedBackend = field(init=False)

    def __post_init__(self) -> None:
        self.guild = self.emulator.add_guild("Foxes", channels=("general", "random"))
        self.general = self.guild.channels[0]
        self.ana, self.ben = self.guild.add_member("Ana"), self.guild.add_member("Ben")
        self.backend = ScriptedBackend(self.clock)

    async def open(self, **changes: Any) -> None:
        """Start the bot; it is connected and its commands are known then."""
        self.app = self.create_app(self.folder, **changes)
        await self.app.open(connections=self.app.make_connections())
        await self.emulator.wait_for_connections()

    async def restart(self) -> None:
        """Stop as a process stops, and start another one on what it left."""
        self.restarts += 1
        await self.app.close()
        await self.open()

    def create_app(self, folder: Path, **changes: Any) -> App:
        """A bot on this Discord with a database of its own."""
        allowed = (Workspace(NAME, str(self.guild.id)),) if self.is_allowed else ()
        plain = {
            "data_dir": folder,
            "shutdown_grace_seconds": 1.0,
            "discord_token": SecretStr(self.emulator.token),
            "discord_api_url": self.emulator.api_url,
            "discord_gateway_url": self.emulator.gateway_url,
            "discord_cdn_url": self.emulator.cdn_url,
            "allowed_workspaces": allowed,
            "admin_users": (Owner(NAME, "", str(self.emulator.owner.id)),),
        }
        settings = Settings(_env_file=None).model_copy(update={**plain, **self.changes, **changes})
        return App(settings, clock=self.clock, backends={self.backend.name: self.backend})

    async def advance_time(self, seconds: float) -> None:
        """Let time go by for Discord and for the bot's calendar."""
        self.emulator.clock.advance(seconds)
        self.clock.ahead += seconds

    async def wait_until_ready(self) -> None:
        """Until discord.py takes it that all servers have arrived: what comes then was joined."""
        (connection,) = self.app.connections
        assert isinstance(connection, DiscordConnection)
        await connection._client.wait_until_ready()

    async def wait_until(self, look: Callable[[], Any], patience: float = 5.0) -> Any:
        """Wait for something that the bot does by itself."""
        async with asyncio.timeout(patience):
            while not (found := look()):  # noqa: ASYNC110 - any condition
                await asyncio.sleep(0.005)
        return found

    async def get_job_id(self, message: DiscordMessageState) -> str:
        """The id of the job that a message belongs to, from its buttons."""
        return next(button.custom_id.split(":")[2] for button in message.buttons if button.custom_id)

    @property
    def owner(self) -> DiscordPerson:
        """The owner of the application, who owns the bot."""
        return self.owner_of(self.guild)

    def owner_of(self, guild: DiscordGuildState) -> DiscordPerson:
        """The owner of the bot, who acts in this server."""
        return DiscordPerson(self.emulator, self.emulator.owner, guild)

    def owner_in_the_guild(self) -> DiscordPerson:
        """The owner of the bot, as a plain member of the server."""
        self.emulator.state.add_member(self.guild, self.emulator.owner)
        return self.owner

    async def set(self, setting: str, value: Any) -> None:
        """Set one setting of this server."""
        now = self.clock.now()
        policy = Policy(NAME, str(self.guild.id), "workspace", "", f"setting:{setting}", value, "test", now)
        async with self.app.database.write() as tx:
            await tx.policies.put(policy)
        self.clock.ahead += 2.0

    async def add_word(self, word: str) -> None:
        """Refuse a word in this server."""
        async with self.app.database.write() as tx:
            await tx.moderation.add_word(NAME, str(self.guild.id), word, "test")
        self.clock.ahead += 2.0

    def kept_files(self) -> list[Path]:
        """The pictures that the bot keeps."""
        return [path for path in (self.folder / "media").rglob("*") if path.is_file()]

    def expect_violation(self, *parts: str) -> None:
        """Some complaints were meant: those that hold all of these words are taken off Discord's list."""
        violations = self.emulator.request_log.violations
        meant = [one for one in violations if all(part in one for part in parts)]
        violations[:] = [one for one in violations if one not in meant]

    async def wait_until_running(self, message: DiscordMessageState) -> None:
        """Until the backend works on the job of a message, and its row says so."""
        job = await self.get_job_id(message)
        async with asyncio.timeout(5.0):
            while (row := await self.app.jobs.get(job)) is None or row.state is not JobState.RUNNING:  # noqa: ASYNC110 - a row
                await asyncio.sleep(0.01)

    async def wait_until_idle(self) -> None:
        """Until no job runs."""
        await self.wait_until(lambda: not self.app.runner.running_count)


@asynccontextmanager
async def open_town(
    folder: Path, *, is_allowed: bool = True, flags: int = MESSAGE_CONTENT_ALLOWED, **changes: Any
) -> AsyncIterator[Town]:
    """A town whose bot is connected; `flags` are the application's, `changes` are settings.

    At the end Discord must have nothing to complain of.
    """
    async with DiscordEmulator(application_flags=flags) as emulator:
        town = Town(folder, emulator, changes, is_allowed)
        await town.open()
        try:
            yield town
        finally:
            await town.app.close()
        assert emulator.violations == []
        # After a restart nobody remembers what is shown: showing the last word once more makes sure of it.
        assert town.restarts or emulator.redundant_edits == []


def is_done(message: DiscordMessageState) -> bool:
    """Whether a job's message shows its end."""
    return bool(message.button_labels) and "Stop" not in message.button_labels
