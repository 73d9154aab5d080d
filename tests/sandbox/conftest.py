"""Fixtures: a fast sandbox on a real socket, and a client with its token."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.sandbox.server import Sandbox, SandboxOptions
from tests.sandbox.exchange_recorder import ExchangeRecorder
from tests.sandbox.webhook_receiver import WebhookReceiver

RUNNING = """# Running Easel

## Budgets

`MONTHLY_BUDGET_USD` is the ceiling for the whole bot. Nothing is spent beyond it.

```ini
MONTHLY_BUDGET_USD=25

DAILY_CREDITS=200
```

## Backups

Copy the folder that `DATA_DIR` names while the bot is stopped.
"""
SLACK = """# Slack

## Connect a workspace

Create an app from the manifest, then set `SLACK_BOT_TOKEN` and `SLACK_APP_TOKEN`.
"""


@dataclass
class SandboxResponse:
    status: int
    body: Any
    headers: dict[str, str]
    content: bytes


class SandboxClient:
    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session

    async def request(self, method: str, path: str, **options: Any) -> SandboxResponse:
        """Send a request with the token; `path` may be a whole URL."""
        url = path if path.startswith("http") else self.sandbox.url + path
        headers = {"Authorization": f"Bearer {self.sandbox.token}", **options.pop("headers", {})}
        async with self.session.request(method, url, headers=headers, **options) as reply:
            content = await reply.read()
            body = json.loads(content) if "json" in reply.content_type else None
            return SandboxResponse(
                reply.status, body, {name.lower(): value for name, value in reply.headers.items()}, content
            )

    async def create(self, version: str, model_input: dict[str, Any], **options: Any) -> Any:
        """Create a prediction without waiting; return its body."""
        body = {"version": version, "input": model_input, **options.pop("body", {})}
        reply = await self.request("POST", "/v1/predictions", json=body, **options)
        assert reply.status == 201, reply.body
        return reply.body

    async def run(self, version: str, model_input: dict[str, Any]) -> Any:
        """Create a prediction; return its body once finished."""
        body = await self.create(version, model_input)
        while body["status"] in ("starting", "processing"):
            # A stream that is silent for 30 s ends before the run, as at Replicate.
            await self.stream(body["urls"]["stream"])
            body = (await self.request("GET", body["urls"]["get"])).body
        return body

    async def stream(self, url: str, last_event_id: str | None = None) -> bytes:
        """Return the whole stream up to its end, without a token."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        async with self.session.get(url, headers=headers) as reply:
            assert reply.status == 200
            return await reply.read()


@pytest.fixture
def docs(tmp_path: Path) -> tuple[Path, ...]:
    (tmp_path / "running.md").write_text(RUNNING)
    (tmp_path / "slack.md").write_text(SLACK)
    return tmp_path / "running.md", tmp_path / "slack.md"


@pytest.fixture
def options(docs: tuple[Path, ...]) -> SandboxOptions:
    """Return options for the fastest sandbox; modules override the fixture for other options."""
    return SandboxOptions(speed=0, docs=docs, deployments={"acme/fast": "black-forest-labs/flux-schnell"})


@pytest.fixture
def unstarted(options: SandboxOptions) -> Sandbox:
    return Sandbox(options)


@pytest.fixture
def recorder(unstarted: Sandbox) -> ExchangeRecorder:
    return ExchangeRecorder(unstarted.application)


@pytest.fixture
async def sandbox(unstarted: Sandbox, recorder: ExchangeRecorder) -> AsyncIterator[Sandbox]:
    """A running sandbox; every exchange is validated against Replicate's document."""
    await unstarted.start()
    yield unstarted
    await unstarted.stop()
    assert recorder.faults == []


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[SandboxClient]:
    async with aiohttp.ClientSession() as session:
        yield SandboxClient(sandbox, session)


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook?job=7"))
        yield receiver
