"""A server with people in it, a local Discord around it, and the real bot in it on a scripted backend."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.app import App
from bot.core.clock import SystemClock
from bot.core.people import Workspace
from bot.platforms.discord.places import NAME
from bot.settings import Owner, Settings
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.messages import Message
from tests.emulators.discord.people import Person
from tests.emulators.discord.world import Channel, Guild
from tests.fakes.backend import ScriptedBackend


class LaterClock(SystemClock):
    """The machine's clock, some seconds ahead: so that minutes pass at once."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)


@dataclass
class Town:
    """Ana and Ben in #general of one server, and the bot. `open` and `restart` it, `pass_time`, look at `app`."""

    folder: Path
    emulator: DiscordEmulator
    changes: dict[str, Any] = field(default_factory=dict)
    is_allowed: bool = True
    guild: Guild = field(init=False)
    general: Channel = field(init=False)
    ana: Person = field(init=False)
    ben: Person = field(init=False)
    app: App = field(init=False)
    clock: LaterClock = field(default_factory=LaterClock)
    backend: ScriptedBackend = field(init=False)

    def __post_init__(self) -> None:
        self.guild = self.emulator.add_guild("Foxes", channels=("general", "random"))
        self.general = self.guild.channels[0]
        self.ana, self.ben = self.guild.member("Ana"), self.guild.member("Ben")
        self.backend = ScriptedBackend(self.clock)

    async def open(self, **changes: Any) -> None:
        """Start the bot; it is connected and its commands are known then."""
        self.app = self.another(self.folder, **changes)
        await self.app.open(connections=self.app.connections_chosen())
        await self.emulator.connected()

    async def restart(self) -> None:
        """Stop as a process stops, and start another one on what it left."""
        await self.app.close()
        await self.open()

    def another(self, folder: Path, **changes: Any) -> App:
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

    async def pass_time(self, seconds: float) -> None:
        """Let time go by for Discord and for the bot's calendar."""
        self.emulator.clock.advance(seconds)
        self.clock.ahead += seconds

    async def until(self, look: Callable[[], Any], patience: float = 5.0) -> Any:
        """Wait for something that the bot does by itself."""
        async with asyncio.timeout(patience):
            while not (found := look()):  # noqa: ASYNC110 - any condition
                await asyncio.sleep(0.005)
        return found

    async def job_of(self, message: Message) -> str:
        """The id of the job that a message belongs to, from its buttons."""
        return next(button.custom_id.split(":")[2] for button in message.buttons if button.custom_id)

    async def settled(self) -> None:
        """Until no job runs."""
        await self.until(lambda: not self.app.runner.running)


def is_done(message: Message) -> bool:
    """Whether a job's message shows its end."""
    return bool(message.labels) and "Stop" not in message.labels
