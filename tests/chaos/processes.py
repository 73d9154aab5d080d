"""Starts, kills and restarts the bot and the sandbox as processes."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import aiohttp

from bot.cli import main
from tests.ports import find_free_port

ROOT = Path(__file__).parents[2]
TOKEN = "r8_" + "c" * 37
START_SECONDS = 90.0


# Imports are nine tenths of a start's CPU time: each process is forked from one that has imported the bot.
_FORKS = multiprocessing.get_context("forkserver")
_PLATFORMS = ("bot.platforms.discord.connection", "bot.platforms.slack.connection")
_FORKS.set_forkserver_preload(["bot.cli.run", "bot.cli.sandbox", "bot.cli.quota", *_PLATFORMS, __name__])


@dataclass
class VerbProcess:
    """`python -m bot VERB …` as a process of its own, with the lines that the process prints."""

    _process: BaseProcess
    lines: asyncio.StreamReader
    """Output and errors."""
    _transport: asyncio.BaseTransport

    @classmethod
    async def start(cls, arguments: Sequence[str], environment: Mapping[str, str]) -> "VerbProcess":
        reader, writer = _FORKS.Pipe(duplex=False)
        cores = os.sched_getaffinity(0) if sys.platform == "linux" else set[int]()
        process = _FORKS.Process(target=_run_verb, args=(arguments, dict(environment), cores, writer), daemon=True)
        process.start()
        writer.close()
        lines = asyncio.StreamReader()
        pipe = open(os.dup(reader.fileno()), "rb", buffering=0)  # noqa: ASYNC230, SIM115 - the transport closes the pipe
        reader.close()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), pipe
        )
        return cls(process, lines, transport)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.exitcode is None

    async def end(self, with_signal: signal.Signals) -> int:
        """Send a signal, and return the exit code of the ended process."""
        if self.is_running:
            os.kill(self.pid, with_signal)
        return await self.wait()

    async def wait(self) -> int:
        """Return the exit code, negative after a signal."""
        await asyncio.to_thread(self._process.join)
        self._transport.close()
        assert self._process.exitcode is not None
        return self._process.exitcode


def _run_verb(arguments: Sequence[str], environment: Mapping[str, str], cores: set[int], output: Connection) -> None:
    """Be the process of a verb, as a shell would start the process."""
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    if cores:
        os.sched_setaffinity(0, cores)
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    output.close()
    sys.exit(main(arguments))


@contextlib.asynccontextmanager
async def sandbox(speed: float) -> AsyncIterator[str]:
    """Run a sandbox and yield the base URL."""
    port = find_free_port()
    arguments = ["sandbox", "--port", str(port), "--token", TOKEN, "--speed", str(speed)]
    process = await VerbProcess.start(arguments, os.environ)
    try:
        async with asyncio.timeout(START_SECONDS):
            await process.lines.readline()
        yield f"http://127.0.0.1:{port}"
    finally:
        await process.end(signal.SIGTERM)


@dataclass
class BotProcess:
    """The bot on a data folder, started and killed by the test."""

    folder: Path
    sandbox_url: str
    grace_seconds: float = 5.0
    port: int = field(default_factory=find_free_port)
    log: list[bytes] = field(default_factory=list)
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables."""
    _process: VerbProcess | None = None
    _reading: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.is_running

    async def start(self) -> None:
        """Start and wait until the page is served."""
        self._process = await VerbProcess.start(["run"], self.environment)
        served = asyncio.Event()
        self._reading = asyncio.create_task(self._read(served))
        async with asyncio.timeout(START_SECONDS):
            await served.wait()

    async def kill(self) -> None:
        """Send SIGKILL, without a chance to clean up."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """Send SIGTERM and return the exit code after the drain."""
        return await self._end(signal.SIGTERM)

    async def _end(self, with_signal: signal.Signals) -> int:
        assert self._process is not None
        assert self._reading is not None
        code = await self._process.end(with_signal)
        await self._reading
        return code

    async def _read(self, served: asyncio.Event) -> None:
        assert self._process is not None
        async for line in self._process.lines:
            self.log.append(line)
            if b"Easel is at" in line:
                served.set()

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of the bot."""
        ours = ("REPLICATE_", "DISCORD_", "SLACK_", "EASEL_")
        plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return plain | {
            "REPLICATE_BASE_URL": self.sandbox_url,
            "REPLICATE_API_TOKEN": TOKEN,
            "DATA_DIR": str(self.folder),
            "HTTP_PORT": str(self.port),
            "DAILY_CREDITS": "100000",
            "MONTHLY_BUDGET_USD": "1000",
            "SHUTDOWN_GRACE_SECONDS": str(self.grace_seconds),
            **self.settings,
        }


class PageUser:
    """A user of the page. Requests are repeated with the same id until accepted, as the page does."""

    def __init__(self, http: aiohttp.ClientSession, bot: BotProcess) -> None:
        self._http = http
        self._bot = bot

    async def send_request(self, text: str, request_id: str, channel: str, picture: bytes | None = None) -> None:
        """Send a request until accepted; the bot may die meanwhile."""
        while True:
            try:
                async with self._http.post(
                    f"{self._bot.url}/api/say",
                    data=_build_form(text, request_id, channel, picture),
                    headers={"X-Easel": "1", "Origin": self._bot.url},
                ) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)

    async def list_bot_messages(self, channel: str) -> list[dict[str, object]]:
        """Return the bot's messages in a channel."""
        async with self._http.get(f"{self._bot.url}/api/messages", params={"channel": channel}) as response:
            return [message for message in await response.json() if message["who"] == "bot"]


def _build_form(text: str, request_id: str, channel: str, picture: bytes | None) -> aiohttp.MultipartWriter:
    writer = aiohttp.MultipartWriter("form-data")
    request = writer.append_json({"channel": channel, "text": text, "request_id": request_id})
    request.set_content_disposition("form-data", name="ask")
    if picture is not None:
        part = writer.append(picture, {"Content-Type": "image/png"})
        part.set_content_disposition("form-data", name="image", filename="a.png")
    return writer
