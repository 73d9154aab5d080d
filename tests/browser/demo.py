"""Runs the bot as `demo` does, in this process, with a sandbox and a temporary folder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from bot.app import App
from bot.cli.demo import BADGE
from bot.platforms.web.authenticators import DemoAuthenticator
from bot.platforms.web.platform import WebPlatform
from bot.sandbox.server import SandboxThread
from bot.settings import Settings
from tests.storage.empty_database import place_empty_database


@asynccontextmanager
async def open_demo(
    folder: Path, sandbox: SandboxThread, *, daily_credits: int = 1000, **changes: object
) -> AsyncIterator[str]:
    """Serve the page and yield the address. `changes` are settings."""
    settings = Settings(
        _env_file=None,
        replicate_base_url=sandbox.url,
        replicate_api_token=SecretStr(sandbox.token),
        data_dir=folder,
        http_host="127.0.0.1",
        http_port=0,
        daily_credits=daily_credits,
    ).model_copy(update=changes)
    app = App(settings, badge=BADGE)
    web = WebPlatform(app.database, app.clock)
    await place_empty_database(settings.database_address)
    await app.open(web)
    try:
        yield await app.serve(web, DemoAuthenticator())
    finally:
        await app.close()
