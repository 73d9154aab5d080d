"""Trainings: create, list, read, cancel."""

from aiohttp import web

from bot.sandbox.api.create_request import CreateRequest, read_create_request
from bot.sandbox.api.pages import paginate as page_of
from bot.sandbox.catalogue import SandboxCatalogue
from bot.sandbox.clock import SandboxClock
from bot.sandbox.engine import PredictionEngine
from bot.sandbox.faults import FaultPlan
from bot.sandbox.fields import check_input, drop_unknown
from bot.sandbox.model import SandboxModel
from bot.sandbox.owner import ACCOUNT_NAME
from bot.sandbox.predictions import SandboxPrediction
from bot.sandbox.problems import Problem, make_invalid_input, make_invalid_version, make_not_found
from bot.sandbox.refusals import raise_create_fault, raise_fault_after_create
from bot.sandbox.store import SandboxPredictionStore
from bot.sandbox.trainer import Trainer
from bot.sandbox.training import SandboxTraining

_ONLY_ON_THE_RECORD = ("webhook", "webhook_events_filter")


class TrainingRoutes:
    def __init__(
        self,
        clock: SandboxClock,
        catalogue: SandboxCatalogue,
        store: SandboxPredictionStore,
        engine: PredictionEngine,
        faults: FaultPlan,
    ) -> None:
        self._clock = clock
        self._catalogue = catalogue
        self._store = store
        self._engine = engine
        self._faults = faults
        self._trainer = Trainer(clock, catalogue)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/models/{owner}/{name}/versions/{id}/trainings", self._create),
            web.get("/v1/trainings", self._list),
            web.get("/v1/trainings/{id}", self._get),
            web.post("/v1/trainings/{id}/cancel", self._cancel),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        base = self._base(request)
        asked = await read_create_request(request, target="destination")
        if not self._is_ours(asked.target):
            raise make_not_found("The specified training destination does not exist")
        if wrong := check_input(base.training_fields, asked.input):
            raise make_invalid_input(wrong)
        training = self._training(base, asked)
        training.fault = self._faults.take(training.model, training.input, training.fingerprint)
        raise_create_fault(training.fault)
        self._engine.start(training, self._trainer.create_training_model(base, training))
        raise_fault_after_create(training.fault)
        return web.json_response(training.build_body(self._engine.base_url), status=201)

    async def _list(self, request: web.Request) -> web.Response:
        trainings = list(self._store.list_newest_first())
        return page_of(request, self._engine.base_url, trainings, lambda training: training.id, self._listed)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request).build_body(self._engine.base_url))

    async def _cancel(self, request: web.Request) -> web.Response:
        training = self._find(request)
        self._engine.cancel(training)
        return web.json_response(training.build_body(self._engine.base_url))

    def _training(self, base: SandboxModel, asked: CreateRequest) -> SandboxTraining:
        return SandboxTraining(
            model=base.full_name,
            version=base.version,
            input=drop_unknown(base.training_fields, asked.input),
            created_at=self._clock.now(),
            streams_files=True,
            webhook=asked.webhook,
            webhook_events_filter=asked.webhook_events_filter,
            destination=asked.target,
        )

    def _base(self, request: web.Request) -> SandboxModel:
        """The version to begin from. That it must have a training is Replicate's rule; the words are our own."""
        page = self._catalogue.find(f"{request.match_info['owner']}/{request.match_info['name']}")
        version = page.find_version(request.match_info["id"])
        if version is None:
            raise make_invalid_version()
        if not version.model.training_fields:
            raise Problem(422, "The specified version cannot be trained")
        return version.model

    def _is_ours(self, destination: str) -> bool:
        return destination.startswith(f"{ACCOUNT_NAME}/") and destination in self._catalogue

    def _find(self, request: web.Request) -> SandboxPrediction:
        training = self._store.get(request.match_info["id"])
        if training is None:
            raise make_not_found()
        return training

    def _listed(self, training: SandboxPrediction) -> dict[str, object]:
        body = training.build_body(self._engine.base_url)
        return {name: value for name, value in body.items() if name not in _ONLY_ON_THE_RECORD}
