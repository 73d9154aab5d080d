"""Trainings: the record with its JSON, the trainer that counts steps, and the routes.

A training is a prediction whose output is a new version of another model. No weights are learnt: the new version does
what its base does."""

import hashlib
import io
import tarfile
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from bot.sandbox.api.deployments import ACCOUNT_NAME
from bot.sandbox.api.requests import CreateRequest, paginate, read_create_request
from bot.sandbox.catalogue import SandboxCatalogue, SandboxVersion
from bot.sandbox.clock import SandboxClock
from bot.sandbox.engine import PredictionEngine
from bot.sandbox.faults import FaultPlan, SandboxModelFailed, raise_create_fault, raise_fault_after_create
from bot.sandbox.model import SandboxModel, SandboxOutputKind, SandboxRun, check_input, drop_unknown
from bot.sandbox.prediction_store import SandboxPrediction, SandboxPredictionStore
from bot.sandbox.problems import Problem, make_invalid_input, make_invalid_version, make_not_found

_ONLY_OF_PREDICTIONS = ("data_removed", "deployment")


@dataclass(eq=False)
class SandboxTraining(SandboxPrediction):
    """`destination` is the owner/name of the model that receives the version."""

    destination: str = ""

    def build_body(self, base_url: str) -> dict[str, Any]:
        """Return the JSON of GET /v1/trainings/{id}. The API description allows no null output."""
        body = super().build_body(base_url)
        left_out = [*_ONLY_OF_PREDICTIONS, *(["output"] if self.output is None else [])]
        return {name: value for name, value in body.items() if name not in left_out}

    def _build_urls(self, base_url: str) -> dict[str, str]:
        get = f"{base_url}/v1/trainings/{self.id}"
        return {"get": get, "cancel": f"{get}/cancel", "web": f"{base_url}/p/{self.id}"}


_STEPS, _SECONDS = 20, 5.0
_WEIGHTS_NOTE = "The sandbox trains nothing: this stands where a real training puts its weights.\n"


class Trainer:
    def __init__(self, clock: SandboxClock, catalogue: SandboxCatalogue) -> None:
        self._clock = clock
        self._catalogue = catalogue

    def create_training_model(self, base: SandboxModel, training: SandboxTraining) -> SandboxModel:
        """Build the model that the engine runs for `training`."""

        async def perform(run: SandboxRun) -> None:
            run.log("Sandbox trainer: counts steps by rules; no weights are learnt.")
            await run.run_steps(_STEPS, _SECONDS)
            version = self._publish(base, training)
            run.add_file(_build_weights(), "tar")
            run.text = f"{training.destination}:{version.id}"

        return replace(base, output=SandboxOutputKind.TRAINING, perform=perform)

    def _publish(self, base: SandboxModel, training: SandboxTraining) -> SandboxVersion:
        """Put the new version on top of the destination's page."""
        if training.destination not in self._catalogue:
            raise SandboxModelFailed("The training destination was deleted while the training ran.")
        page = self._catalogue.find(training.destination)
        version_id = hashlib.sha256(f"sandbox:training:{training.id}".encode()).hexdigest()
        trained = replace(base, owner=page.owner, name=page.name, version=version_id, is_official=False)
        version = SandboxVersion(trained, self._clock.now())
        page.versions.insert(0, version)
        return version


def _build_weights() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("README.txt")
        entry.size = len(_WEIGHTS_NOTE)
        archive.addfile(entry, io.BytesIO(_WEIGHTS_NOTE.encode()))
    return buffer.getvalue()


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
        base = self._find_base(request)
        create_request = await read_create_request(request, target="destination")
        if not self._is_own_model(create_request.target):
            raise make_not_found("The specified training destination does not exist")
        if errors := check_input(base.training_fields, create_request.input):
            raise make_invalid_input(errors)
        training = self._create_training(base, create_request)
        training.fault = self._faults.take(training.model, training.input, training.fingerprint)
        raise_create_fault(training.fault)
        self._engine.start(training, self._trainer.create_training_model(base, training))
        raise_fault_after_create(training.fault)
        return web.json_response(training.build_body(self._engine.base_url), status=201)

    async def _list(self, request: web.Request) -> web.Response:
        trainings = list(self._store.list_newest_first())
        return paginate(request, self._engine.base_url, trainings, lambda training: training.id, self._build_entry)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request).build_body(self._engine.base_url))

    async def _cancel(self, request: web.Request) -> web.Response:
        training = self._find(request)
        self._engine.cancel(training)
        return web.json_response(training.build_body(self._engine.base_url))

    def _create_training(self, base: SandboxModel, create_request: CreateRequest) -> SandboxTraining:
        return SandboxTraining(
            model=base.full_name,
            version=base.version,
            input=drop_unknown(base.training_fields, create_request.input),
            created_at=self._clock.now(),
            streams_files=True,
            webhook=create_request.webhook,
            webhook_events_filter=create_request.webhook_events_filter,
            destination=create_request.target,
        )

    def _find_base(self, request: web.Request) -> SandboxModel:
        """Return the base version. Replicate requires a trainable version; the text of the refusal is ours."""
        page = self._catalogue.find(f"{request.match_info['owner']}/{request.match_info['name']}")
        version = page.find_version(request.match_info["id"])
        if version is None:
            raise make_invalid_version()
        if not version.model.training_fields:
            raise Problem(422, "The specified version cannot be trained")
        return version.model

    def _is_own_model(self, destination: str) -> bool:
        return destination.startswith(f"{ACCOUNT_NAME}/") and destination in self._catalogue

    def _find(self, request: web.Request) -> SandboxPrediction:
        training = self._store.get(request.match_info["id"])
        if training is None:
            raise make_not_found()
        return training

    def _build_entry(self, training: SandboxPrediction) -> dict[str, object]:
        return training.build_list_entry(self._engine.base_url)
