"""Measure the first words on Discord: 50 commands a second beside 500 running pictures, 100 ms round trip.

    python -m benchmarks.discord_ack [--runs 3] [--in-flight 500]

The Discord emulator measures; the emulator and the bot have a process each. One round trip lies between a person's act
and the first words that the person can read: 50 ms through the gateway, 50 ms back. "is thinking…" is no word. Baseline
in the same run: a bare discord.py bot whose only action is to answer with a fixed sentence.
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

import discord
from discord import app_commands
from pydantic import SecretStr

from benchmarks.speech import compute_percentile
from bot.app import App
from bot.cli.run import freeze_startup_objects
from bot.core.backend import PredictionState, RunEnded, RunEvent, RunStarted
from bot.core.clock import SystemClock
from bot.core.models import Model
from bot.core.people import Workspace
from bot.platforms.discord.discord_py_internals import use_api, use_gateway
from bot.settings import Settings
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.interactions import DEFERRED_MESSAGE, MESSAGE, DiscordInteractionState
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordGuildState
from tests.fakes.backend import ScriptedBackend

ROOT = Path(__file__).parents[1]
ROUND_TRIP_SECONDS = 0.1
PER_SECOND = 50
MEASURED_SECONDS = 12.0
CHANNELS, PEOPLE = 20, 200
PAINTING_SECONDS = 1.0
ENDLESS = "an endless picture"
BOTS = ("bare", "easel")
PATIENCE_SECONDS = 60.0


# The bots, each in its own process: a bot obeys lines from standard input and reports its load at the end.


@dataclass(frozen=True)
class BotMeasurement:
    """The load of one bot: delays of the event loop in seconds, CPU seconds per second, seconds per second in which
    the loop's thread waited for a core, and runs at the backend.
    """

    lag_p99_seconds: float
    lag_worst_seconds: float
    cpu_share: float
    waiting_share: float
    in_flight: int


class PaintingBackend(ScriptedBackend):
    """A backend whose pictures take one second, and whose endless picture never finishes."""

    async def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        run = self.runs[backend_id]
        run.state = PredictionState.PROCESSING
        yield RunStarted()
        if run.inputs["prompt"] == ENDLESS:
            await run.released.wait()
        await asyncio.sleep(PAINTING_SECONDS)
        run.state = PredictionState.SUCCEEDED
        yield RunEnded(self._snapshot(run))

    @property
    def in_flight(self) -> int:
        return sum(run.state is PredictionState.PROCESSING for run in self.runs.values())


async def run_easel_bot(api_url: str, gateway_url: str, guild: str) -> BotMeasurement:
    """Run the whole bot on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_env_file=None).model_copy(
            update={
                "data_dir": Path(folder),
                "daily_credits": Decimal(10**9),
                "monthly_budget_usd": Decimal(10**6),
                "shutdown_grace_seconds": 0.0,
                "discord_token": SecretStr("local.bot.token"),
                "discord_api_url": api_url,
                "discord_gateway_url": gateway_url,
                "allowed_workspaces": (Workspace("discord", guild),),
            }
        )
        backend = PaintingBackend(SystemClock())
        app = App(settings, backends={backend.name: backend})
        await app.open(connections=app.make_connections())
        freeze_startup_objects()
        try:
            return await serve_commands(backend)
        finally:
            await app.drain()
            await app.close()


async def run_bare_bot(api_url: str, gateway_url: str, _: str) -> BotMeasurement:
    """Run a bot that only answers with a sentence."""
    use_api(api_url)
    use_gateway(gateway_url)
    client = discord.Client(intents=discord.Intents(guilds=True))
    tree = app_commands.CommandTree(client)

    @tree.command(name="imagine", description="Draw pictures from words.")
    async def imagine(interaction: discord.Interaction, prompt: str) -> None:
        await interaction.response.send_message("Waiting in line", allowed_mentions=discord.AllowedMentions.none())

    await client.login("local.bot.token")
    await tree.sync()
    running = asyncio.create_task(client.connect())
    try:
        return await serve_commands(None)
    finally:
        await client.close()
        await asyncio.gather(running, return_exceptions=True)


async def serve_commands(backend: PaintingBackend | None) -> BotMeasurement:
    """Start measuring at the first input line, and print the load at the end of the input."""
    loop, lags = asyncio.get_running_loop(), [0.0]
    watching = asyncio.create_task(watch_lag(lags))
    await loop.run_in_executor(None, sys.stdin.readline)
    lags.clear()
    began, cpu, waited = time.perf_counter(), time.process_time(), read_core_wait_seconds()
    await loop.run_in_executor(None, sys.stdin.read)
    took, cpu, waited = time.perf_counter() - began, time.process_time() - cpu, read_core_wait_seconds() - waited
    watching.cancel()
    return BotMeasurement(
        compute_percentile(lags, 99), max(lags), cpu / took, waited / took, backend.in_flight if backend else 0
    )


def read_core_wait_seconds() -> float:
    """Return the seconds in which the main thread was ready but not running; nan without /proc."""
    with suppress(OSError):
        return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    return float("nan")


async def watch_lag(lags: list[float], every: float = 0.01) -> None:
    """Record the delay of the event loop again and again."""
    while True:
        due = time.perf_counter() + every
        await asyncio.sleep(every)
        lags.append(time.perf_counter() - due)


# The emulator's side, which measures.


@dataclass(frozen=True)
class AckMeasurement:
    """Seconds from each act to the first words. `lags` are delays of the emulator's own loop, not the bot's.

    `deferred` counts the asks that showed "is thinking…" first.
    """

    delay_seconds: Sequence[float]
    deferred: int
    lag_seconds: Sequence[float]
    bot: BotMeasurement

    @property
    def p50(self) -> float:
        return compute_percentile(self.delay_seconds, 50)

    @property
    def p99(self) -> float:
        return compute_percentile(self.delay_seconds, 99)

    def __str__(self) -> str:
        fared = self.bot
        return (
            f"p50 {self.p50 * 1000:.0f} ms, p99 {self.p99 * 1000:.0f} ms, "
            f"worst {max(self.delay_seconds) * 1000:.0f} ms, {self.deferred} of {len(self.delay_seconds)} deferred; "
            f"loop lag p99 {fared.lag_p99_seconds * 1000:.0f} ms, worst {fared.lag_worst_seconds * 1000:.0f} ms, "
            f"{fared.cpu_share:.0%} of a core, {fared.waiting_share:.0%} waiting for one, {fared.in_flight} in flight; "
            f"loop lag p99 of the local Discord {compute_percentile(self.lag_seconds, 99) * 1000:.0f} ms"
        )


class AckPeople:
    """Discord with people in channels, who ask in turn."""

    def __init__(self, emulator: DiscordEmulator) -> None:
        self.emulator = emulator
        self.guild: DiscordGuildState = emulator.add_guild(
            "Foxes", channels=tuple(f"channel-{n}" for n in range(CHANNELS))
        )
        self.people: list[DiscordPerson] = [self.guild.add_member(f"Person {n}") for n in range(PEOPLE)]

    async def ask(self, n: int, prompt: str) -> DiscordInteractionState:
        channel = self.guild.channels[n % CHANNELS]
        return await self.people[n % PEOPLE].use_command("imagine", {"prompt": prompt}, channel=channel)

    async def ask_steadily(self, times: int, prompt: str) -> list[DiscordInteractionState]:
        """Ask `times` times at `PER_SECOND`, without waiting for earlier asks; return all once answered in words."""
        began, asked = time.perf_counter(), []
        for n in range(times):
            await asyncio.sleep(began + n / PER_SECOND - time.perf_counter())
            asked.append(await self.ask(n, prompt))
        for one in asked:
            await one.wait_for_message(PATIENCE_SECONDS)
        return asked


@asynccontextmanager
async def run_bot_process(name: str, town: AckPeople) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a bot; return once the bot is connected and Discord knows the commands."""
    pipe = asyncio.subprocess.PIPE
    emulator = town.emulator
    addresses = (emulator.api_url, emulator.gateway_url, str(town.guild.id))
    command = (sys.executable, "-m", "benchmarks.discord_ack", "--bot", name, *addresses)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        await emulator.wait_for_connections(timeout_seconds=PATIENCE_SECONDS)
        await town.emulator.wait_for(lambda: town.emulator.state.commands, "commands", PATIENCE_SECONDS)
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def measure(name: str, in_flight: int) -> AckMeasurement:
    """Measure one bot on a fresh emulator."""
    async with DiscordEmulator(
        latency_seconds=ROUND_TRIP_SECONDS, gateway_latency_seconds=ROUND_TRIP_SECONDS / 2
    ) as emulator:
        town = AckPeople(emulator)
        async with run_bot_process(name, town) as process:
            assert process.stdin is not None  # noqa: S101 - a pipe was asked for
            await town.ask_steadily(in_flight, ENDLESS)
            process.stdin.write(b"measure\n")
            lags: list[float] = []
            watching = asyncio.create_task(watch_lag(lags))
            gc.disable()  # a pause of the collector here would count against the bot
            asked = await town.ask_steadily(int(MEASURED_SECONDS * PER_SECOND), "a lighthouse at dusk")
            gc.enable()
            watching.cancel()
            told, _ = await process.communicate(b"")  # end the bot's input
        if emulator.violations:
            raise RuntimeError(str(emulator.violations[:5]))
    deferred = sum(one.response_kind == DEFERRED_MESSAGE for one in asked)
    return AckMeasurement(_read_delays(emulator, asked), deferred, lags, BotMeasurement(**json.loads(told)))


def _read_delays(emulator: DiscordEmulator, asked: Sequence[DiscordInteractionState]) -> list[float]:
    """Return seconds from each act to the arrival of the first words, half a round trip after the sending.

    The emulator sleeps for the first half, and on a busy machine for longer: the excess is not the bot's delay.
    """
    sent_at: dict[str, float] = {}
    for request in emulator.find_requests():
        is_message = request.operation == "create_interaction_response" and request.body["type"] == MESSAGE
        if is_message or request.operation == "update_original_webhook_message":
            sent_at.setdefault(request.path.split("/")[3], request.received_at)  # by the interaction's token
    return [sent_at[one.token] - one.sent_at + ROUND_TRIP_SECONDS / 2 for one in asked]


async def compare(runs: int, in_flight: int) -> None:
    title = f"{PER_SECOND} commands/s for {MEASURED_SECONDS:.0f} s, {ROUND_TRIP_SECONDS * 1000:.0f} ms round trip"
    print(f"{title}: act → first words")
    p99s: dict[str, list[float]] = {}
    for run in range(runs):
        for name in BOTS:
            measured = await measure(name, in_flight if name == "easel" else 0)
            p99s.setdefault(name, []).append(measured.p99)
            print(f"  {run + 1} {name:6} {measured}; load {os.getloadavg()[0]:.1f}", flush=True)
    for name, found in p99s.items():
        print(f"  {name:8} p99 {statistics.median(found) * 1000:.0f} ms, median of {runs}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--in-flight", type=int, default=500)
    parser.add_argument("--bot", nargs=4, metavar=("NAME", "API", "GATEWAY", "GUILD"), help="be one of the bots")
    given = parser.parse_args()
    if given.bot:
        name, *addresses = given.bot
        be = {"bare": run_bare_bot, "easel": run_easel_bot}[name]
        print(json.dumps(asdict(asyncio.run(be(*addresses)))))
        return
    freeze_startup_objects()
    asyncio.run(compare(given.runs, given.in_flight))


if __name__ == "__main__":
    main()
