"""The sandbox: opens its parts, joins their routes into one server, closes them in order."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiohttp import web

from bot.sandbox.access import problems_as_json, rate_limit_headers, token_required
from bot.sandbox.api.account import Account
from bot.sandbox.api.control import Control
from bot.sandbox.api.creating import Creating
from bot.sandbox.api.files import Files
from bot.sandbox.api.models import Models
from bot.sandbox.api.reading import Reading
from bot.sandbox.api.streams import Streams
from bot.sandbox.catalogue import Catalogue
from bot.sandbox.clock import SandboxClock
from bot.sandbox.delivery import Delivery
from bot.sandbox.deployments import Deployments
from bot.sandbox.engine import Engine
from bot.sandbox.faults import FaultPlan
from bot.sandbox.guide import Guide
from bot.sandbox.ids import api_token, webhook_secret
from bot.sandbox.input_files import InputFiles
from bot.sandbox.models.lineup import lineup
from bot.sandbox.rate_headers import RateHeaders
from bot.sandbox.shelf import Shelf
from bot.sandbox.store import PredictionStore
from bot.sandbox.webhooks import Webhooks

_JSON_MAX_BYTES = 16 << 20  # inputs may hold pictures as data URLs
_OUTPUTS_MAX_BYTES = 64 << 20
_UPLOADS_MAX_BYTES = 256 << 20
_DAY_SECONDS = 24 * 3600.0


class _Part(Protocol):
    def routes(self) -> list[web.RouteDef]: ...


@dataclass(frozen=True)
class SandboxOptions:
    """`port` 0 takes a free one. `speed` multiplies the models' times; 0 is as fast as possible.

    `docs` are the Markdown files that the guide (the llamas) answers from. `deployments` maps a deployment's owner/name
    to a model's. `stream_logs` adds `logs` events to streams, which clients know and Replicate does not promise.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str = field(default_factory=api_token)
    webhook_secret: str = field(default_factory=webhook_secret)
    speed: float = 1.0
    docs: tuple[Path, ...] = ()
    output_lifetime_seconds: float = 3600.0
    data_lifetime_seconds: float = 3600.0
    deployments: Mapping[str, str] = field(default_factory=dict)
    stream_logs: bool = False


class Sandbox:
    """Lives on one event loop: start it, use `url` and `token` as a client of Replicate would, stop it."""

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.token = options.token
        self.url = ""
        self.clock = SandboxClock()
        self.faults = FaultPlan()
        self.store = PredictionStore(self.clock, lifetime_seconds=options.data_lifetime_seconds)
        # One thread: pictures queue for it instead of competing for the machine.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-model")
        self._outputs = Shelf(
            self.clock, lifetime_seconds=options.output_lifetime_seconds, max_bytes=_OUTPUTS_MAX_BYTES
        )
        self._uploads = Shelf(self.clock, lifetime_seconds=_DAY_SECONDS, max_bytes=_UPLOADS_MAX_BYTES)
        self._webhooks = Webhooks(self.clock, options.webhook_secret)
        self._delivery = Delivery(self._outputs)
        self._engine = Engine(
            self.clock,
            self.store,
            self._webhooks,
            self._delivery,
            self._worker,
            speed=options.speed,
            stream_logs=options.stream_logs,
        )
        self._guide = Guide(options.docs)
        self._catalogue = Catalogue(lineup(self._guide))
        self.files = Files(self.clock, self._uploads)
        self._models = Models(self._catalogue, self.store, self.clock.now())
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)

    async def start(self) -> str:
        """Listen; gives the base URL, without /v1."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self.options.host, self.options.port).start()
        port: int = self._runner.addresses[0][1]
        self.url = f"http://{self.options.host}:{port}"
        self._engine.input_files = InputFiles(port, self._uploads, self._outputs)
        for part in (self._engine, self._webhooks, self._delivery, self.files, self._models):
            part.base_url = self.url
        return self.url

    async def stop(self) -> None:
        """Stop running predictions, close connections, erase the files."""
        await self._engine.close()
        await self._webhooks.close()
        await self._runner.cleanup()
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._guide.close()
        self._outputs.close()
        self._uploads.close()

    def _application(self) -> web.Application:
        options = self.options
        middlewares = [rate_limit_headers(RateHeaders(self.clock)), problems_as_json(), token_required(options.token)]
        app = web.Application(middlewares=middlewares, client_max_size=_JSON_MAX_BYTES)
        deployments = Deployments(options.deployments, self._catalogue)
        parts: list[_Part] = [
            Creating(self.clock, self._catalogue, deployments, self._engine, self.faults),
            Reading(self.store, self._engine),
            Streams(self.clock, self.store),
            self.files,
            self._models,
            Account(options.webhook_secret),
            Control(self.clock, self.store, self.faults),
            self._delivery,
        ]
        for part in parts:
            app.router.add_routes(part.routes())
        return app
