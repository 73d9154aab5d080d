"""The sandbox server: opens the parts, joins the routes, closes in order; also in a thread for `demo`."""

import asyncio
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiohttp import web

from bot.sandbox.api.control import ControlRoutes
from bot.sandbox.api.deployments import AccountRoutes, DeploymentRoutes, SandboxDeployments
from bot.sandbox.api.files import FileApiRoutes, OutputFiles
from bot.sandbox.api.models import CollectionRoutes, ModelRoutes, SearchRoutes
from bot.sandbox.api.predictions import PredictionRoutes, StreamRoutes
from bot.sandbox.api.trainings import TrainingRoutes
from bot.sandbox.catalogue import ModelBodies, SandboxCatalogue, create_models
from bot.sandbox.clock import SandboxClock
from bot.sandbox.engine import PredictionEngine
from bot.sandbox.faults import FaultPlan
from bot.sandbox.guide import Guide
from bot.sandbox.ids import new_api_token, new_webhook_secret
from bot.sandbox.input_files import FileStore, InputFiles, ServerAddress
from bot.sandbox.middlewares import (
    CREATE_LIMIT,
    OTHER_LIMIT,
    SandboxRateLimit,
    SandboxRateLimits,
    add_rate_limit_headers,
    create_problem_middleware,
    create_rate_limit_middleware,
    create_token_middleware,
)
from bot.sandbox.prediction_store import SandboxPredictionStore
from bot.sandbox.webhooks import SandboxWebhooks

_JSON_MAX_BYTES = 16 << 20  # inputs may hold pictures as data URLs
_OUTPUTS_MAX_BYTES = 64 << 20
_UPLOADS_MAX_BYTES = 256 << 20
_DAY_SECONDS = 24 * 3600.0


class _RouteGroup(Protocol):
    def routes(self) -> list[web.RouteDef]: ...


@dataclass(frozen=True)
class SandboxOptions:
    """`port` 0 takes a free port. `speed` multiplies the models' times; 0 is as fast as possible.

    `docs` are the Markdown files that the guide (the llamas) answers from. `deployments` maps a deployment's owner/name
    to a model's. `stream_logs` adds `logs` events to streams, known to clients and not promised by Replicate.
    `rate_limit` enforces `create_limit` and `other_limit`, which every reply names; `low_credit` enforces the 6
    creates a minute of an account with less than $5.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str = field(default_factory=new_api_token)
    webhook_secret: str = field(default_factory=new_webhook_secret)
    speed: float = 1.0
    docs: tuple[Path, ...] = ()
    output_lifetime_seconds: float = 3600.0
    data_lifetime_seconds: float = 3600.0
    deployments: Mapping[str, str] = field(default_factory=dict)
    stream_logs: bool = False
    rate_limit: bool = False
    create_limit: SandboxRateLimit = CREATE_LIMIT
    other_limit: SandboxRateLimit = OTHER_LIMIT
    low_credit: bool = False


class Sandbox:
    """A server on one event loop. `url` and `token` serve a client of Replicate between `start` and `stop`."""

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.token = options.token
        self._address = ServerAddress(options.host, options.port)
        self.clock = SandboxClock()
        self.faults = FaultPlan()
        self.store = SandboxPredictionStore(self.clock, lifetime_seconds=options.data_lifetime_seconds)
        self.trainings = SandboxPredictionStore(self.clock, lifetime_seconds=options.data_lifetime_seconds)
        self.rate_limits = SandboxRateLimits(self.clock, options.create_limit, options.other_limit)
        self.rate_limits.is_enforced, self.rate_limits.has_low_credit = options.rate_limit, options.low_credit
        # One thread: pictures queue instead of competing for the machine.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-model")
        self._outputs = FileStore(
            self.clock, lifetime_seconds=options.output_lifetime_seconds, max_bytes=_OUTPUTS_MAX_BYTES
        )
        self._uploads = FileStore(self.clock, lifetime_seconds=_DAY_SECONDS, max_bytes=_UPLOADS_MAX_BYTES)
        self._webhooks = SandboxWebhooks(self.clock, self._address, options.webhook_secret)
        self._output_files = OutputFiles(self._outputs, self._address)
        self._input_files = InputFiles(self._address, self._uploads, self._outputs)
        self._engine = self._create_engine(self.store)
        self._training_engine = self._create_engine(self.trainings)
        self._guide = Guide(options.docs)
        self.catalogue = SandboxCatalogue(create_models(self._guide), self.clock.now())
        self.files = FileApiRoutes(self.clock, self._uploads, self._address)
        self._model_bodies = ModelBodies(self.store, self._address)
        self._deployments = SandboxDeployments(options.deployments, self.catalogue, self.clock)
        self._deployment_routes = DeploymentRoutes(self._deployments, self._address)
        self.application = self._create_application()
        self._runner = web.AppRunner(self.application, access_log=None, shutdown_timeout=1.0)

    @property
    def url(self) -> str:
        """The base URL, without /v1, once the server listens."""
        return self._address.url

    async def start(self, listener: socket.socket | None = None) -> str:
        """Listen, or serve at a socket that listens already; return the base URL, without /v1."""
        await self._runner.setup()
        if listener is not None:
            await web.SockSite(self._runner, listener).start()
        else:
            await web.TCPSite(self._runner, self.options.host, self.options.port).start()
        self._address.listen_on(self._runner.addresses[0][1])
        return self.url

    async def stop(self) -> None:
        """Stop running predictions, close connections, erase the files."""
        await self._engine.close()
        await self._training_engine.close()
        await self._webhooks.close()
        await self._runner.cleanup()
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._guide.close()
        self._outputs.close()
        self._uploads.close()

    def _create_engine(self, store: SandboxPredictionStore) -> PredictionEngine:
        return PredictionEngine(
            self.clock,
            store,
            self._webhooks,
            self._input_files,
            self._output_files,
            self._address,
            self._worker,
            speed=self.options.speed,
            stream_logs=self.options.stream_logs,
        )

    def _create_application(self) -> web.Application:
        token = create_token_middleware(self.options.token)
        middlewares = [
            add_rate_limit_headers,
            create_problem_middleware(),
            token,
            create_rate_limit_middleware(self.rate_limits),
        ]
        app = web.Application(middlewares=middlewares, client_max_size=_JSON_MAX_BYTES)
        for group in self._list_route_groups():
            app.router.add_routes(group.routes())
        return app

    def _list_route_groups(self) -> list[_RouteGroup]:
        catalogue, bodies = self.catalogue, self._model_bodies
        return [
            PredictionRoutes(self.clock, catalogue, self._deployments, self.store, self._engine, self.faults),
            TrainingRoutes(self.clock, catalogue, self.trainings, self._training_engine, self.faults),
            StreamRoutes(self.clock, self.store),
            self.files,
            ModelRoutes(self.clock, catalogue, self._deployments, self.store, bodies),
            self._deployment_routes,
            SearchRoutes(catalogue, bodies),
            CollectionRoutes(catalogue, bodies),
            AccountRoutes(self.options.webhook_secret),
            ControlRoutes(self.clock, self.store, self.faults, self.rate_limits),
            self._output_files,
        ]


class SandboxThread:
    def __init__(self, options: SandboxOptions, listener: socket.socket | None = None) -> None:
        self.options = options
        self._listener = listener
        self.token = options.token
        self.url = ""
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._listening = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_requested: asyncio.Event | None = None

    def start(self) -> str:
        """Block until the server listens; return the base URL. Raise the error of a failed start, such as OSError."""
        self._thread.start()
        self._listening.wait()
        if self._failure:
            raise self._failure
        return self.url

    def stop(self) -> None:
        """Block until the server has stopped. Harmless before a start and after a stop."""
        if self._loop and self._stop_requested and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop_requested.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._listening.set()

    async def _serve(self) -> None:
        self._loop, self._stop_requested = asyncio.get_running_loop(), asyncio.Event()
        sandbox = Sandbox(self.options)
        try:
            self.url = await sandbox.start(self._listener)
            self._listening.set()
            await self._stop_requested.wait()
        finally:
            await sandbox.stop()
