"""Opens a town: a server with people on a local Discord, and the real bot on a scripted backend."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.app import App
from bot.core.jobs import JobState
from bot.core.people import BOT, Workspace
from bot.platforms.discord.channels import NAME
from bot.platforms.discord.connection import DiscordConnection
from bot.settings import Owner
from bot.storage.policies import Policy
from tests.catalogue.samples import names_servers
from tests.emulators.discord.emulator import MESSAGE_CONTENT_ALLOWED, DiscordEmulator
from tests.emulators.discord.interactions import DiscordInteractionState
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordChannelState, DiscordGuildState
from tests.fakes.backend import ScriptedBackend
from tests.fakes.clock import OffsetClock
from tests.fakes.samples import DEFAULT_SETTINGS
from tests.storage.empty_database import place_empty_database


@dataclass
class Town:
    """One server with Ana and Ben in #general, and the bot."""

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
        """Start the bot and wait until the gateway is connected."""
        self.app = self.create_app(self.folder, **changes)
        await place_empty_database(self.app.settings.database_address)
        await self.app.open(connections=self.app.make_connections())
        await self.emulator.wait_for_connections()

    async def restart(self) -> None:
        """Stop the bot as a process stops, and start a new bot on the same folder."""
        self.restarts += 1
        await self.app.close()
        await self.open()

    def create_app(self, folder: Path, **changes: Any) -> App:
        """Return a bot on this Discord with its database in the folder."""
        allowed = (Workspace(NAME, str(self.guild.id)),) if self.is_allowed else ()
        plain = {
            "data_dir": folder,
            "shutdown_grace_seconds": 1.0,
            "replicate_api_token": None,
            "discord_token": SecretStr(self.emulator.token),
            "discord_api_url": self.emulator.api_url,
            "discord_gateway_url": self.emulator.gateway_url,
            "discord_cdn_url": self.emulator.cdn_url,
            "allowed_workspaces": allowed,
            "admin_users": (Owner(NAME, "", str(self.emulator.owner.id)),),
        }
        settings = DEFAULT_SETTINGS.model_copy(update={**plain, **self.changes, **changes})
        is_scripted = settings.replicate_api_token is None and not names_servers(settings.catalogue_path)
        backends = {self.backend.name: self.backend} if is_scripted else None
        return App(settings, clock=self.clock, backends=backends)

    async def advance_time(self, seconds: float) -> None:
        """Advance the clocks of Discord and of the bot."""
        self.emulator.clock.advance(seconds)
        self.clock.ahead += seconds

    async def wait_until_ready(self) -> None:
        """Wait until discord.py counts the guild list as complete: a later server is a joined server."""
        (connection,) = self.app.connections
        assert isinstance(connection, DiscordConnection)
        await connection._client.wait_until_ready()

    async def wait_until(self, condition: Callable[[], Any], timeout_seconds: float = 5.0) -> Any:
        """Wait until the condition is true and return its value."""
        async with asyncio.timeout(timeout_seconds):
            while not (found := condition()):  # noqa: ASYNC110 - any condition
                await asyncio.sleep(0.005)
        return found

    async def get_job_id(self, message: DiscordMessageState) -> str:
        """Return the id of a message's job, from the buttons."""
        return next(button.custom_id.split(":")[2] for button in message.buttons if button.custom_id)

    @property
    def owner(self) -> DiscordPerson:
        """The owner of the application and so of the bot."""
        return self.owner_of(self.guild)

    def owner_of(self, guild: DiscordGuildState) -> DiscordPerson:
        """Return the owner of the bot, acting in a server."""
        return DiscordPerson(self.emulator, self.emulator.owner, guild)

    def owner_in_the_guild(self) -> DiscordPerson:
        """Return the owner of the bot as a plain member of the server."""
        self.emulator.state.add_member(self.guild, self.emulator.owner)
        return self.owner

    async def set(self, setting: str, value: Any) -> None:
        """Set one setting of this server."""
        now = self.clock.now()
        policy = Policy(NAME, str(self.guild.id), "workspace", "", f"setting:{setting}", value, BOT, now)
        async with self.app.database.write() as tx:
            await tx.policies.put(policy)
        self.clock.ahead += 2.0

    async def add_word(self, word: str) -> None:
        """Refuse a word in this server."""
        async with self.app.database.write() as tx:
            await tx.moderation.add_word(NAME, str(self.guild.id), word, "test")
        self.clock.ahead += 2.0

    def list_kept_files(self) -> list[Path]:
        """Return the files in the media store."""
        return [path for path in (self.folder / "media").rglob("*") if path.is_file()]

    def expect_violation(self, *parts: str) -> None:
        """Remove the violations that contain all of these words: the test provokes them."""
        violations = self.emulator.request_log.violations
        expected = [one for one in violations if all(part in one for part in parts)]
        violations[:] = [one for one in violations if one not in expected]

    async def wait_until_running(self, message: DiscordMessageState) -> None:
        """Wait until the job of a message is running in the database."""
        job = await self.get_job_id(message)
        async with asyncio.timeout(5.0):
            while (row := await self.app.jobs.get(job)) is None or row.state is not JobState.RUNNING:  # noqa: ASYNC110 - a row
                await asyncio.sleep(0.01)

    async def wait_until_idle(self) -> None:
        """Wait until no job runs."""
        await self.wait_until(lambda: not self.app.runner.running_count)


@asynccontextmanager
async def open_town(
    folder: Path, *, is_allowed: bool = True, flags: int = MESSAGE_CONTENT_ALLOWED, **changes: Any
) -> AsyncIterator[Town]:
    """Yield a town with a connected bot. `flags` are the application's, `changes` are settings.

    At the end assert that Discord recorded no violations and no edits without a change.
    """
    async with DiscordEmulator(application_flags=flags) as emulator:
        town = Town(folder, emulator, changes, is_allowed)
        with count_repeated_responses() as repeats:
            await town.open()
            try:
                yield town
            finally:
                await town.app.close()
        assert list_unprovoked_violations(emulator, repeats.count) == []
        # A restarted bot does not know the shown text and may send the last edit again.
        assert town.restarts or emulator.redundant_edits == []


class RepeatedResponses(logging.Handler):
    """Counts the log lines with which the bot announces that it sends a first response again."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.msg == "discord.acknowledging_again"


@contextmanager
def count_repeated_responses() -> Iterator[RepeatedResponses]:
    """Count the first responses that the bot repeats."""
    repeats = RepeatedResponses()
    logger = logging.getLogger("bot.platforms.discord.responses")
    logger.addHandler(repeats)
    try:
        yield repeats
    finally:
        logger.removeHandler(repeats)


def list_unprovoked_violations(emulator: DiscordEmulator, repeats: int) -> list[str]:
    """Return the violations, without a second first response for each repeat that the bot's log announces.

    Discord waits three seconds at most, so the bot sends a first response again whose confirmation comes late. A
    machine that is busy for a second delays any confirmation.
    """
    twice = [violation for violation in emulator.violations if "acknowledged twice" in violation]
    return [*(violation for violation in emulator.violations if violation not in twice), *twice[repeats:]]


def is_done(message: DiscordMessageState) -> bool:
    """Whether a message shows a finished job."""
    return bool(message.button_labels) and "Stop" not in message.button_labels


async def finish(interaction: DiscordInteractionState) -> DiscordMessageState:
    """Wait for the job of an interaction and return its public message."""
    return await (await interaction.wait_for_message()).wait_until(is_done)
