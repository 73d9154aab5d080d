"""Real model servers, one process each for the session."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import is_required
from tests.servers.tiny_model import write_tiny_model

LLAMA_KEY = "sk-tiny-llama-12345"


def require_package(name: str, config: pytest.Config) -> None:
    """Skip without a package of requirements-servers.lock; fail if --require-servers is given."""
    if importlib.util.find_spec(name) is not None:
        return
    reason = f"{name} is not installed (pip install -r requirements-servers.lock)"
    if is_required("servers", config):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def llama_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base address of llama.cpp's server with a tiny model."""
    require_package("xllamacpp", request.config)
    require_package("gguf", request.config)
    folder = tmp_path_factory.mktemp("llama")
    write_tiny_model(folder / "tiny.gguf")
    command = [sys.executable, "-m", "tests.servers.llama_server", str(folder / "tiny.gguf"), LLAMA_KEY]
    root = Path(__file__).parents[2]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=root, env=dict(os.environ)) as process,
    ):
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        assert address.startswith("http://127.0.0.1:"), (folder / "log").read_text()
        yield f"{address}/v1"
        process.kill()
