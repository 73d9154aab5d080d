"""Starts Cog's own server (coglet, from requirements-servers.lock) on a model of the tests, as a process."""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.ports import find_free_port

MODELS = Path(__file__).with_name("cog_models")
EXAMPLE = Path(__file__).parents[2] / "examples" / "cog" / "run.py"
START_INTERVAL_SECONDS = 0.05
START_ATTEMPTS = 600


@dataclass
class CogServer:
    """A server in a folder of its own. `kill` and `start` again on the same port."""

    folder: Path
    model: str
    """`file.py:Class`, as in cog.yaml."""
    port: int
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start, and wait until the server answers; the model may still load."""
        # coglet starts the worker as `python` from PATH.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PORT": str(self.port), "COG_PREDICT_TYPE_STUB": self.model}
        arguments = ["-m", "cog.server.http", "--host", "127.0.0.1"]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=self.folder,
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        async with aiohttp.ClientSession() as session:
            for _ in range(START_ATTEMPTS):
                if await self.read_status(session) not in ("", "STARTING"):
                    return
                await asyncio.sleep(START_INTERVAL_SECONDS)
        raise AssertionError(f"Cog's server did not load {self.model}")

    async def kill(self) -> None:
        """Kill the server and its worker, which are one process group."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            await self.process.wait()

    def read_log(self) -> list[str]:
        """Return the lines that a model of `MODELS` wrote at the begin and at the end of each run."""
        path = self.folder / "runs.log"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    async def read_status(self, session: aiohttp.ClientSession) -> str:
        """Return the status of /health-check, empty while the port is closed."""
        try:
            async with session.get(f"{self.url}/health-check") as response:
                return str((await response.json())["status"])
        except aiohttp.ClientError:
            return ""


@contextlib.asynccontextmanager
async def serve(folder: Path, model: str) -> AsyncIterator[CogServer]:
    """Run a server on `file.py:Class` of `MODELS`, or on the example `run.py:Runner`, with its schema."""
    name = model.partition(":")[0]
    source = EXAMPLE if name == EXAMPLE.name else MODELS / name
    _copy_model(source, MODELS / ("example.json" if source is EXAMPLE else f"{source.stem}.json"), folder)
    server = CogServer(folder, model, find_free_port())
    try:
        await server.start()
        yield server
    finally:
        await server.kill()


def _copy_model(source: Path, schema: Path, folder: Path) -> None:
    shutil.copy(source, folder)
    if schema.exists():
        (folder / ".cog").mkdir()
        shutil.copy(schema, folder / ".cog" / "openapi_schema.json")
