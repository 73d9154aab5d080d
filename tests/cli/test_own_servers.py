"""`doctor`, `models add` and `models check` on servers of the owner: each fault in a sentence, with its remedy."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import pytest

from bot.catalogue.loading import load_catalogue
from bot.cli import main
from bot.core.models import Task
from tests.backends.conftest import require_package
from tests.backends.openai.catalogue import make_backend, make_chat_model
from tests.emulators.a1111.server import A1111Server
from tests.emulators.openai.server import CHAT_MODEL, KEY, Flavour, OpenAIServer, open_openai_server
from tests.ports import find_free_port
from tests.servers.cog_server import CogServer
from tests.servers.cog_server import serve as serve_cog


@contextmanager
def serve(opened: AbstractAsyncContextManager[OpenAIServer | A1111Server | CogServer]) -> Iterator[str]:
    """Serve in a thread: each verb runs an event loop of its own."""
    address: list[str] = []
    started, loop = threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def run() -> None:
        async with opened as server:
            address.append(server.url)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    started.wait()
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def router() -> Iterator[str]:
    with serve(open_openai_server(Flavour.OPENROUTER)) as url:
        yield url


@pytest.fixture(scope="module")
def ollama() -> Iterator[str]:
    with serve(open_openai_server(Flavour.OLLAMA)) as url:
        yield url


class OwnTerminal:
    """The owner at a terminal, with a catalogue file."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def write(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")

    def run(self, line: str, *, code: int = 0) -> str:
        return self.run_words(*line.split(), code=code)

    def run_words(self, *words: str, code: int = 0) -> str:
        assert main(words) == code, self._capsys.readouterr()
        output = self._capsys.readouterr()
        return output.out + output.err


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> OwnTerminal:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATALOGUE_PATH", str(tmp_path / "models.toml"))
    monkeypatch.setenv("HOME_KEY", KEY)
    monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)
    return OwnTerminal(tmp_path / "models.toml", capsys)


def test_doctor_probes_each_server_and_names_the_remedy(terminal: OwnTerminal, router: str, ollama: str) -> None:
    terminal.write(
        make_backend(router, name="good", key_env="HOME_KEY")
        + make_backend(router, name="keyless")
        + make_backend(router, name="unset", key_env="UNSET_KEY")
        + make_backend(ollama.removesuffix("/v1"), name="short")
        + make_backend(f"http://127.0.0.1:{find_free_port()}/v1", name="away")
        + make_backend(ollama, name="home")
        + make_chat_model(ref="acme/absent")
    )

    output = terminal.run("doctor", code=1)

    assert "ok    The model server good answers, with 2 models." in output
    assert (
        "does not accept the bot's key. My owner has to set a working one.\n      Put the key into a variable" in output
    )
    assert "UNSET_KEY is not set, which should hold the key.\n      Set UNSET_KEY, or UNSET_KEY_FILE" in output
    assert "A server with OpenAI's API often needs /v1." in output
    assert "The model server away cannot be reached" in output
    assert "home does not have acme/absent, which the catalogue names." in output
    assert "REPLICATE_API_TOKEN" not in output
    assert KEY not in output


def test_doctor_names_a_mistake_in_the_file(terminal: OwnTerminal) -> None:
    terminal.write('[backends.home]\nkind = "openai"\nurl = "nowhere"\n')

    assert "fail  [backends.home] is wrong: url is an address" in terminal.run("doctor", code=1)


def test_add_lists_drafts_and_writes_an_entry_that_works(terminal: OwnTerminal, ollama: str) -> None:
    terminal.write(make_backend(ollama))

    assert terminal.run("models add home").splitlines() == [CHAT_MODEL, "acme-image-1"]
    assert "There is no model gone there: home has acme/talker" in terminal.run("models add home gone", code=1)
    terminal.run(f"models add home {CHAT_MODEL} --write")
    (model,) = load_catalogue(terminal.path)
    assert (model.backend, model.ref, model.price.objection) == ("home", CHAT_MODEL, "")
    assert {"messages", "max_tokens", "temperature"} <= model.inputs.keys()
    assert terminal.run("models check") == "ok     talker\n1 of 1 entries fit.\n"
    assert "acme/talker at home" in terminal.run("models list")


def test_add_takes_over_published_prices(terminal: OwnTerminal, router: str) -> None:
    terminal.write(make_backend(router, key_env="HOME_KEY"))

    drafted = terminal.run(f"models add home {CHAT_MODEL}")

    assert '{per = "token_input_count", usd = "2", units = 1000000}' in drafted
    assert '{per = "token_output_count", usd = "8", units = 1000000}' in drafted
    assert 'image = {to = "images", files = 4}' in drafted


def test_check_names_a_model_that_the_server_lacks(terminal: OwnTerminal, ollama: str) -> None:
    terminal.write(make_backend(ollama) + make_chat_model(ref="acme/absent"))

    assert "wrong  talker names acme/absent, and home has acme/talker, acme-image-1." in terminal.run(
        "models check", code=1
    )


def test_an_unknown_server_is_named(terminal: OwnTerminal) -> None:
    terminal.write("")

    assert "no table [backends.home]: it has none; see docs/backends.md" in terminal.run("models add home x", code=1)


def test_entries_for_stable_diffusion_are_drafted_for_each_purpose(terminal: OwnTerminal) -> None:
    with serve(A1111Server().serve()) as url:
        terminal.write(f'[backends.sd]\nkind = "a1111"\nurl = "{url}"\nat_once = 1\n')

        for ref in ("v1-5-pruned.safetensors", "R-ESRGAN 4x+", "clip"):
            terminal.run_words("models", "add", "sd", ref, "--write")
        models = {model.task: model for model in load_catalogue(terminal.path)}
        checked, doctor = terminal.run("models check"), terminal.run("doctor")
        terminal.write(f'[backends.sd]\nkind = "a1111"\nurl = "{url}/elsewhere"\n')
        wrong = terminal.run("doctor", code=1)

    assert {"prompt", "count", "image", "strength", "scheduler"} <= models[Task.IMAGINE].inputs.keys()
    assert {"image", "scale"} == models[Task.UPSCALE].inputs.keys()
    assert models[Task.CAPTION].backend == "sd"
    assert "3 of 3 entries fit." in checked
    assert "ok    The model server sd has 2 checkpoints." in doctor
    assert "has no /sdapi/v1: it was started without --api." in wrong


@pytest.mark.servers
def test_the_entry_of_a_cog_model_is_drawn_from_its_schema(
    terminal: OwnTerminal, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    require_package("cog", request.config)
    (tmp_path / "cog").mkdir()
    with serve(serve_cog(tmp_path / "cog", "run.py:Runner")) as url:
        terminal.write(f'[backends.gpu]\nkind = "cog"\nurl = "{url}"\n')

        terminal.run("models add gpu poster --write")
        (model,) = load_catalogue(terminal.path)
        checked, doctor = terminal.run("models check"), terminal.run("doctor")
        terminal.write(f'[backends.gpu]\nkind = "cog"\nurl = "{url}/elsewhere"\n')
        wrong = terminal.run("doctor", code=1)

    assert {"prompt", "seed", "aspect"} == model.inputs.keys()
    assert model.inputs["aspect"].expands["16:9"] == {"width": 1024, "height": 576}
    assert "1 of 1 entries fit." in checked
    assert "ok    The model server gpu (Cog 0.23.1) is ready." in doctor
    assert "is no Cog server" in wrong
