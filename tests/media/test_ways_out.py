"""The ways out of the bot: files are downloaded by the guarded fetcher alone, and other connections are listed here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "bot").rglob("*.py"))

CONNECTIONS = {
    "bot/backends/http.py": "the API of a backend, at the owner's address",
    "bot/backends/comfyui/client.py": "the WebSocket of a backend, at the owner's address",
    "bot/cli/doctor.py": "the doctor's checks of the owner's settings",
    "bot/cli/health.py": "the bot's own /readyz",
    "bot/cli/own_servers.py": "the usual ports of model servers on this machine; nothing is sent",
    "bot/cli/web.py": "the bot's own page",
    "bot/media/fetching.py": "the guarded fetcher: downloads, and posts to the webhooks of workspaces",
    "bot/platforms/slack/connection.py": "Slack's Web API, at the owner's address",
    "bot/sandbox/webhooks.py": "webhooks of the sandbox, which holds no secrets",
}
"""Modules that may open connections."""

SESSIONS = {
    "bot/backends/comfyui/client.py": "the WebSocket of a backend, at the owner's address",
    "bot/backends/replicate/api.py": "the API of the backend",
    "bot/backends/replicate/watching.py": "the event streams of the backend",
    "bot/backends/replicate/models.py": "the models' pages of the backend, without the token and within a bound",
    "bot/cli/doctor.py": "the doctor's checks of the owner's settings",
    "bot/jobs/webhooks.py": "signed posts to a workspace's own webhook, by the guarded fetcher",
    "bot/platforms/slack/ephemeral.py": "the response address of an interaction, from a signed request of Slack's",
    "bot/platforms/slack/uploads.py": "bytes sent to an upload address of Slack's",
}
"""Modules that may send requests over a session or fetcher opened elsewhere. Only Slack's uploads send files."""

_CLIENT_MODULES = {"requests", "urllib3", "urllib.request", "http.client", "ftplib", "telnetlib", "pycurl"}
_CLIENT_NAMES = {
    *("ClientSession", "TCPConnector", "AsyncClient", "HTTPTransport", "AsyncHTTPTransport", "urlopen", "urlretrieve"),
    *("open_connection", "create_connection", "create_datagram_endpoint", "sock_connect", "open_unix_connection"),
}
_REQUEST_METHODS = {"get", "post", "put", "patch", "head", "options", "request", "stream", "ws_connect"}
_DISCORD_DOWNLOADS = {"get_from_cdn", "read", "save", "to_file"}
"""discord.py downloads attachments, pictures and media items by these methods, with its own session."""


def list_ways_out(source: str) -> Iterator[str]:
    """Yield each import and name by which a module opens connections."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in _CLIENT_MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            if node.module in _CLIENT_MODULES:
                yield node.module
            yield from (alias.name for alias in node.names if f"{node.module}.{alias.name}" in _CLIENT_MODULES)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            module, _, name = called.rpartition(".")
            is_request = module in ("httpx", "aiohttp") and name in _REQUEST_METHODS
            if is_request or name in _CLIENT_NAMES or called == "socket.socket":
                yield called


def list_requests(source: str) -> Iterator[str]:
    """Yield each call by which a module sends a request over a session or client."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _REQUEST_METHODS:
            target = ast.unparse(node.func.value)
            if target.rpartition(".")[2].strip("_") in ("session", "http", "http_client", "fetcher"):
                yield f"{target}.{node.func.attr}"


def list_discord_downloads(source: str) -> Iterator[str]:
    """Yield each call by which discord.py may download a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in _DISCORD_DOWNLOADS:
            target = ast.unparse(node.value)
            if not target.endswith("database"):
                yield f"{target}.{node.attr}"


def get_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.untraced
@pytest.mark.parametrize("path", MODULES, ids=get_name)
def test_a_module_opens_no_connection_besides_the_listed(path: Path) -> None:
    source = path.read_text(encoding="utf-8")

    assert get_name(path) in CONNECTIONS or list(list_ways_out(source)) == []
    # discord.py's HTTP client carries Discord's API under the same name.
    is_discord = get_name(path).startswith("bot/platforms/discord/")
    assert is_discord or get_name(path) in SESSIONS or list(list_requests(source)) == []


@pytest.mark.parametrize("path", [path for path in MODULES if "discord" in path.parts], ids=get_name)
def test_discord_py_downloads_no_file(path: Path) -> None:
    assert list(list_discord_downloads(path.read_text(encoding="utf-8"))) == []


def test_each_listed_module_needs_its_exception() -> None:
    sources = {name: (ROOT / name).read_text(encoding="utf-8") for name in {**CONNECTIONS, **SESSIONS}}

    assert [name for name in CONNECTIONS if not list(list_ways_out(sources[name]))] == []
    assert [name for name in SESSIONS if not list(list_requests(sources[name]))] == []


@pytest.mark.parametrize(
    "source",
    [
        "import requests",
        "import urllib.request",
        "from urllib import request",
        "from http.client import HTTPConnection",
        "socket.create_connection((host, 80))",
        "socket.socket()",
        "ClientSession()",
        "session = aiohttp.ClientSession()",
        "httpx.get(url)",
        "client = httpx.AsyncClient()",
        "await asyncio.open_connection(host, 80)",
    ],
)
def test_the_walk_finds_every_way_out(source: str) -> None:
    assert list(list_ways_out(source))


@pytest.mark.parametrize(
    "source", ["await attachment.read()", "item.media.save(path)", "client.http.get_from_cdn(url)", "read = file.read"]
)
def test_the_walk_finds_downloads_by_discord_py(source: str) -> None:
    assert list(list_discord_downloads(source))


@pytest.mark.parametrize("source", ["self._session.get(url)", "web_api.session.post(url)", "client.http.request(url)"])
def test_the_walk_finds_requests_over_sessions(source: str) -> None:
    assert list(list_requests(source))
