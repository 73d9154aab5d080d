"""A stand-in of a server, the backend of the example catalogue, and its two models."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bot.backends.comfyui.backend import ComfyUIBackend
from bot.catalogue.loading import load_backends, load_catalogue
from bot.core.backend import BackendConfig, Inputs, RunEnded, RunEvent, RunSnapshot
from bot.core.clock import SystemClock
from bot.core.models import Model
from tests.backends.clock import wait_until
from tests.emulators.comfyui.emulator import ComfyUIEmulator

EXAMPLES = Path("examples/comfyui/models.toml")
RUN = "abcdefghijklmnopqrs1"
KEY = "proxy-key-1"
FOX: Inputs = {"Prompt.text": "a fox", "Sampler.steps": 3, "Empty picture.width": 64, "Empty picture.height": 64}


@dataclass
class Rig:
    """A backend and its server. `open` gives another process's backend on the same server."""

    server: ComfyUIEmulator
    backend: ComfyUIBackend
    open: Callable[..., ComfyUIBackend]

    async def start(self, model: Model, inputs: Inputs = FOX, *, run: str = RUN) -> str:
        """Prepare and submit a run; return its id at the server."""
        prepared = await self.backend.prepare(model, inputs)
        return await self.backend.submit(model, prepared, job="job1", run=run, cancel_after_seconds=60)

    async def follow(self, model: Model, backend_id: str) -> list[RunEvent]:
        """Return all events of a run."""
        return [event async for event in self.backend.watch(model, backend_id)]

    async def finish(self, model: Model, backend_id: str) -> RunSnapshot:
        """Return the snapshot of an ended run."""
        last = (await self.follow(model, backend_id))[-1]
        assert isinstance(last, RunEnded)
        return last.snapshot

    async def release_slowly(self, backend_id: str) -> None:
        """Let a held run go on once a watch listens, so slowly that no look at the history overtakes the frames."""
        await wait_until(lambda: self.server.calls[f"GET /history/{backend_id}"] >= 5)
        self.server.step_seconds = 0.15
        self.server.release()

    def write_workflow(self, folder: Path, name: str, **nodes: object) -> None:
        """Write an example workflow with further or other nodes into a folder."""
        workflow = json.loads((EXAMPLES.parent / name).read_text())
        (folder / name).write_text(json.dumps({**workflow, **nodes}))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ComfyUIEmulator]:
    async with ComfyUIEmulator(tmp_path / "comfyui") as server:
        yield server
    assert server.violations == []


@pytest.fixture
async def rig(server: ComfyUIEmulator) -> AsyncIterator[Rig]:
    opened: list[ComfyUIBackend] = []

    def open_backend(*, url: str = "", key: str = "", folder: Path = EXAMPLES.parent) -> ComfyUIBackend:
        config: BackendConfig = replace(load_backends(EXAMPLES)[0], url=url or server.url, key=key, folder=folder)
        opened.append(ComfyUIBackend(config, SystemClock(), look_seconds=0.05))
        return opened[-1]

    yield Rig(server, open_backend(), open_backend)
    for backend in opened:
        await backend.close()


@pytest.fixture
def drawing() -> Model:
    return next(model for model in load_catalogue(EXAMPLES) if model.key == "sdxl-home")


@pytest.fixture
def editing() -> Model:
    return next(model for model in load_catalogue(EXAMPLES) if model.key == "sdxl-home-edit")
