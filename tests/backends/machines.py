"""Backends with their servers, each as the contract suite drives it: one `open_…` function for each kind.

A further kind joins with a function here and a line in `MACHINES`.
"""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from bot.sandbox.server import Sandbox, SandboxOptions
from tests.backends.openai.catalogue import BY_PICTURE, BY_TOKENS, make_backend, make_chat_model, make_picture_models
from tests.backends.own_bench import make_sandbox_changes
from tests.emulators.a1111.server import CHECKPOINTS, A1111Server
from tests.emulators.comfyui.catalogue import write_catalogue
from tests.emulators.comfyui.emulator import ComfyUIEmulator
from tests.emulators.comfyui.runs import ExecutionError
from tests.emulators.openai.server import KEY, Flavour, OpenAIServer, open_openai_server
from tests.fakes.backend import make_png
from tests.servers.cog_server import serve


class Behaviour(Enum):
    """What the next run does."""

    ENDS = auto()
    HANGS = auto()
    FAILS = auto()


@dataclass(frozen=True)
class BackendMachine:
    """One kind of backend with a server that a test directs."""

    name: str
    """The backend's name in the catalogue."""
    catalogue: str
    direct: Callable[[Behaviour], str]
    """Direct the next run, and return the command that asks for it."""
    count_runs: Callable[[], int]
    """The number of runs that the server ever had."""
    count_open_runs: Callable[[], int]
    stop: Callable[[], Awaitable[None]]
    """Take the server away."""
    line_with_picture: str
    has_seen_picture: Callable[[], bool]
    """Whether a picture given with the last command reached the server."""
    price_micros: int | None
    """The exact price of a run that ends; None where the seconds decide."""
    adopts: bool
    """Whether the backend finds a run again after a restart."""
    repeats: bool = False
    """Whether a run that a restart lost is run once more: for servers that end a run with its connection."""
    changes: Mapping[str, object] = field(default_factory=dict)
    """Settings besides the catalogue."""

    @property
    def goes_on(self) -> bool:
        """Whether the job goes on after a restart."""
        return self.adopts or self.repeats


OpenMachine = Callable[[], AbstractAsyncContextManager[BackendMachine]]

REPLICATE_MODEL = """
[fox]
title = "Fox"
task = "imagine"
ref = "black-forest-labs/flux-dev"
output = "pictures"
usual_seconds = 1
max_seconds = 60
price = { tiers = [{ per = "image_output_count", usd = "0.025" }], source = "a page", read_on = 2026-12-01 }
inputs = { prompt = "prompt", image = { to = "image", file = true } }
"""


@asynccontextmanager
async def open_replicate_machine() -> AsyncIterator[BackendMachine]:
    """Replicate's API by the sandbox."""
    sandbox = Sandbox(SandboxOptions(speed=0, docs=(Path(__file__).parents[2] / "docs" / "running.md",)))
    await sandbox.start()
    lines = {
        Behaviour.ENDS: "/imagine a fox",
        Behaviour.HANGS: "/imagine a fox fault:hang",
        Behaviour.FAILS: "/imagine a fox fault:oom",
    }

    def list_runs() -> list[bool]:
        return [run.status.is_terminal for run in sandbox.store.list_newest_first()]

    try:
        yield BackendMachine(
            name="replicate",
            catalogue=REPLICATE_MODEL,
            direct=lines.__getitem__,
            count_runs=lambda: len(list_runs()),
            count_open_runs=lambda: list_runs().count(False),
            stop=sandbox.stop,
            line_with_picture="/imagine a fox",
            has_seen_picture=lambda: "image" in next(iter(sandbox.store.list_newest_first())).input,
            price_micros=25_000,
            adopts=True,
            changes=make_sandbox_changes(sandbox.url, sandbox.token),
        )
    finally:
        await sandbox.stop()


def _direct_stand_in(server: OpenAIServer, behaviour: Behaviour) -> None:
    server.script = type(server.script)(
        picture=make_png(),
        hangs_after=1 if behaviour is Behaviour.HANGS else None,
        status=500 if behaviour is Behaviour.FAILS else 200,
        error="CUDA out of memory",
    )


@asynccontextmanager
async def open_chat_machine() -> AsyncIterator[BackendMachine]:
    """Chat with OpenAI's API."""
    async with open_openai_server(Flavour.VLLM) as server:

        def direct(behaviour: Behaviour) -> str:
            _direct_stand_in(server, behaviour)
            return "/chat Hello"

        yield BackendMachine(
            name="home",
            catalogue=make_backend(server.url, key_env="MACHINE_KEY") + make_chat_model(BY_TOKENS),
            direct=direct,
            count_runs=lambda: len(server.requests),
            count_open_runs=lambda: server.running,
            stop=server.stop,
            line_with_picture="/chat What is this?",
            has_seen_picture=lambda: "data:image/png" in str(server.requests[-1]),
            price_micros=100,
            adopts=False,
        )


@asynccontextmanager
async def open_pictures_machine() -> AsyncIterator[BackendMachine]:
    """Pictures with OpenAI's API."""
    async with open_openai_server(Flavour.OPENAI) as server:

        def direct(behaviour: Behaviour) -> str:
            _direct_stand_in(server, behaviour)
            return "/imagine a fox"

        yield BackendMachine(
            name="home",
            catalogue=make_backend(server.url, key_env="MACHINE_KEY") + make_picture_models(BY_PICTURE),
            direct=direct,
            count_runs=lambda: len(server.requests),
            count_open_runs=lambda: server.running,
            stop=server.stop,
            line_with_picture="/edit make it snow",
            has_seen_picture=lambda: bool(server.uploads),
            price_micros=20_000,
            adopts=False,
        )


OWN_PAINTER = """
[backends.home]
kind = "{kind}"
url = "{url}"
at_once = 1
{key}

[fox]
title = "Fox"
task = "imagine"
backend = "home"
ref = "{ref}"
output = "pictures"
usual_seconds = 1
max_seconds = 60
price = {{ tiers = [{{ per = "run", usd = "0.01" }}], source = "a test", read_on = 2026-12-01 }}
inputs = {{ prompt = "prompt", image = {{ to = "{image}", file = true }} }}
"""


@asynccontextmanager
async def open_cog_machine() -> AsyncIterator[BackendMachine]:
    """Cog's own server, with a model of the tests."""
    lines = {
        Behaviour.ENDS: "/imagine a fox",
        Behaviour.HANGS: "/imagine hang",
        Behaviour.FAILS: "/imagine fail: CUDA out of memory",
    }
    with tempfile.TemporaryDirectory() as folder:
        async with serve(Path(folder), "painter.py:Painter") as server:

            def count(word: str) -> int:
                return sum(line.startswith(word) for line in server.read_log())

            yield BackendMachine(
                name="home",
                catalogue=OWN_PAINTER.format(kind="cog", url=server.url, key="", ref="painter", image="image"),
                direct=lines.__getitem__,
                count_runs=lambda: count("begin"),
                count_open_runs=lambda: count("begin") - count("end"),
                stop=server.kill,
                line_with_picture="/imagine a fox",
                has_seen_picture=lambda: "with a picture" in server.read_log()[0],
                price_micros=10_000,
                adopts=False,
                repeats=True,
            )


@asynccontextmanager
async def open_a1111_machine() -> AsyncIterator[BackendMachine]:
    """A1111's API by a stand-in."""
    async with A1111Server(login=KEY).serve() as server:

        def direct(behaviour: Behaviour) -> str:
            server.holds_runs = behaviour is Behaviour.HANGS
            server.fails_with = "CUDA out of memory" if behaviour is Behaviour.FAILS else ""
            return "/imagine a fox"

        yield BackendMachine(
            name="home",
            catalogue=OWN_PAINTER.format(
                kind="a1111", url=server.url, key='key_env = "MACHINE_KEY"', ref=CHECKPOINTS[0], image="init_images"
            ),
            direct=direct,
            count_runs=lambda: len(server.runs),
            count_open_runs=lambda: int(server.is_working),
            stop=server.stop,
            line_with_picture="/imagine a fox",
            has_seen_picture=lambda: server.runs[-1].route == "img2img",
            price_micros=10_000,
            adopts=False,
        )


@asynccontextmanager
async def open_comfyui_machine() -> AsyncIterator[BackendMachine]:
    """ComfyUI's API by a stand-in, with the workflows of the examples."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with ComfyUIEmulator(folder / "server", key=KEY) as server:

            def direct(behaviour: Behaviour) -> str:
                if behaviour is Behaviour.HANGS:
                    server.hold()
                if behaviour is Behaviour.FAILS:
                    server.failures["KSampler"] = ExecutionError("torch.OutOfMemoryError", "CUDA out of memory")
                return "/imagine a fox"

            path = write_catalogue(folder / "catalogue", server.url, backend='key_env = "MACHINE_KEY"')
            catalogue = path.read_text().replace('usd = "0"', 'usd = "0.01"')
            yield BackendMachine(
                name="comfyui",
                catalogue=catalogue.replace('ref = "', f'ref = "{path.parent}/'),
                direct=direct,
                count_runs=lambda: len(server.runs.started),
                count_open_runs=lambda: len(server.runs.pending) + (server.runs.running is not None),
                stop=server.stop,
                line_with_picture="/edit make it snow",
                has_seen_picture=lambda: any((server.folder / "input" / "easel").iterdir()),
                price_micros=10_000,
                adopts=True,
            )
        assert server.violations == []


MACHINE_KEY = KEY
"""The key of each machine's server, in the variable `MACHINE_KEY`."""
MACHINES: Mapping[str, OpenMachine] = {
    "replicate": open_replicate_machine,
    "openai chat": open_chat_machine,
    "openai pictures": open_pictures_machine,
    "cog": open_cog_machine,
    "a1111": open_a1111_machine,
    "comfyui": open_comfyui_machine,
}
MACHINES_WITH_KEYS = ("openai chat", "openai pictures", "a1111", "comfyui")
MACHINES_THAT_FORGET = ("openai chat", "openai pictures", "cog", "a1111")
"""Their runs end with the server. Of the others the bot waits for the server to come back."""
