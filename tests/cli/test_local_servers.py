"""The demo's search: servers at their usual ports are offered, other programs and silent ports are not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from bot.catalogue.loading import load_backends, load_catalogue
from bot.cli import main
from bot.cli.own_servers import find_local_servers, write_catalogue
from bot.core.backend import BackendConfig, BackendKind
from bot.core.models import Task
from bot.platforms.web.commands import menu_to_json
from tests.backends.openai.catalogue import make_backend, make_chat_model
from tests.backends.own_bench import make_sandbox_changes, open_own_bench
from tests.emulators.a1111.server import A1111Server
from tests.emulators.openai.server import CHAT_MODEL, open_openai_server
from tests.ports import find_free_port


@asynccontextmanager
async def serve(handler: str) -> AsyncIterator[str]:
    """Serve another program: one that answers with a page, or one that never answers."""
    released = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if handler == "silent":
            await released.wait()
        return web.Response(text="<html>It works</html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    released.set()
    await runner.cleanup()


def make_config(name: str, url: str) -> BackendConfig:
    return BackendConfig(name, BackendKind.OPENAI, url)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine answer late: no test may depend on the search's usual 0.3 seconds."""
    monkeypatch.setattr("bot.cli.own_servers.SEARCH_SECONDS", 20.0)
    monkeypatch.setattr("bot.cli.own_servers._CONNECT_SECONDS", 20.0)


async def test_servers_are_found_among_other_programs_and_closed_ports(tmp_path: Path) -> None:
    async with open_openai_server() as server, serve("page") as page:
        closed = f"http://127.0.0.1:{find_free_port()}/v1"
        addresses = {"llama-cpp": page, "comfyui": closed, "ollama": server.url}
        configs = [make_config(name, url) for name, url in addresses.items()]
        found = await find_local_servers(configs)

        assert [server.config.name for server in found] == ["ollama"]
        assert write_catalogue(tmp_path / "models.toml", found) == 2


async def test_a_silent_port_does_not_hold_the_search_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.cli.own_servers.SEARCH_SECONDS", 0.1)
    async with serve("silent") as silent:
        assert await find_local_servers([make_config("lm-studio", silent)]) == []


async def test_found_models_are_offered_behind_the_others_and_answer(tmp_path: Path) -> None:
    async with open_openai_server() as server:
        found = await find_local_servers([make_config("ollama", server.url)])
        path = tmp_path / "found.toml"
        write_catalogue(path, found)
        built_in, offered = load_catalogue(), load_catalogue(path)
        assert offered[: len(built_in)] == built_in
        assert [backend.name for backend in load_backends(path)] == ["ollama"]
        assert offered[len(built_in)].ref == CHAT_MODEL

        changes = make_sandbox_changes("http://127.0.0.1:9", "r8_not_used")
        async with open_own_bench(tmp_path, path.read_text(encoding="utf-8"), changes=changes) as bench:
            text = await bench.run(f"/chat Hello --model {offered[len(built_in)].key}")
            menu = menu_to_json(bench.app.dispatcher.services)

            assert text == "A short answer."
            assert "on ollama" in bench.last.reply.note
            assert await bench.paid_micros() == 0
        assert isinstance(menu, dict)
        assert menu["offer"] == ("Also on our own machines: Talker (ollama, /chat), Acme image 1 (ollama, /imagine).")


async def test_a_found_stable_diffusion_server_draws(tmp_path: Path) -> None:
    path = tmp_path / "found.toml"
    async with A1111Server().serve() as server:
        found = await find_local_servers([BackendConfig("a1111", BackendKind.A1111, server.url, at_once=1)])
        write_catalogue(path, found)
        offered = {model.task: model for model in load_catalogue(path) if model.backend == "a1111"}
        async with open_own_bench(tmp_path, path.read_text(encoding="utf-8")) as bench:
            await bench.run(f"/imagine a fox --model {offered[Task.IMAGINE].key} --count 2")

            assert len(bench.last.reply.pictures) == 2
            assert await bench.paid_micros() == 0

    assert {Task.IMAGINE, Task.UPSCALE, Task.CAPTION} == offered.keys()
    assert server.list_requests == ["sd-models", "upscalers", "samplers", "sd-models"]


async def test_without_servers_nothing_is_found() -> None:
    assert await find_local_servers([make_config("ollama", f"http://127.0.0.1:{find_free_port()}/v1")]) == []


def test_the_demo_leaves_servers_of_an_own_catalogue_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    paid = make_backend("https://paid.test/v1", key_env="PAID_KEY") + make_chat_model(key="costly")
    (tmp_path / "own.toml").write_text(paid, encoding="utf-8")
    monkeypatch.setenv("CATALOGUE_PATH", str(tmp_path / "own.toml"))

    assert main(["demo", "--once", "/models chat"]) == 0

    assert "costly" not in capsys.readouterr().out
