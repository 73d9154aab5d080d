"""Predictions: creation by version, official model or deployment; read, list and cancel."""

import asyncio
from datetime import UTC, datetime, timedelta

from aiohttp import web

from bot.core.background_tasks import first_completed
from bot.sandbox.api.deployments import SandboxDeployments
from bot.sandbox.api.requests import (
    CreateRequest,
    paginate,
    parse_lifetime_seconds,
    parse_wait_seconds,
    read_create_request,
)
from bot.sandbox.catalogue import SandboxCatalogue
from bot.sandbox.clock import SandboxClock
from bot.sandbox.engine import PredictionEngine
from bot.sandbox.faults import FaultPlan, raise_create_fault, raise_fault_after_create
from bot.sandbox.model import SandboxModel, check_input, drop_unknown
from bot.sandbox.prediction_store import SandboxPrediction, SandboxPredictionStore
from bot.sandbox.problems import Problem, make_invalid_input, make_not_found


class PredictionRoutes:
    def __init__(
        self,
        clock: SandboxClock,
        catalogue: SandboxCatalogue,
        deployments: SandboxDeployments,
        store: SandboxPredictionStore,
        engine: PredictionEngine,
        faults: FaultPlan,
    ) -> None:
        self._clock = clock
        self._catalogue = catalogue
        self._deployments = deployments
        self._store = store
        self._engine = engine
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/predictions", self._create_by_version),
            web.post("/v1/models/{owner}/{name}/predictions", self._create_by_model),
            web.post("/v1/deployments/{owner}/{name}/predictions", self._create_by_deployment),
            web.get("/v1/predictions", self._list),
            web.get("/v1/predictions/{id}", self._get),
            web.post("/v1/predictions/{id}/cancel", self._cancel),
        ]

    async def _create_by_version(self, request: web.Request) -> web.Response:
        create_request = await read_create_request(request, target="version")
        return await self._create(request, create_request, self._catalogue.find_by_version(create_request.target))

    async def _create_by_model(self, request: web.Request) -> web.Response:
        model = self._catalogue.find_official(_full_name(request))
        return await self._create(request, await read_create_request(request), model)

    async def _create_by_deployment(self, request: web.Request) -> web.Response:
        model = self._deployments.mark_used(_full_name(request))
        create_request = await read_create_request(request)
        return await self._create(request, create_request, model, deployment=_full_name(request))

    async def _create(
        self, request: web.Request, create_request: CreateRequest, model: SandboxModel, deployment: str | None = None
    ) -> web.Response:
        hold_seconds = parse_wait_seconds(request.headers.get("Prefer"))
        lifetime_seconds = parse_lifetime_seconds(request.headers.get("Cancel-After"))
        if errors := check_input(model.fields, create_request.input):
            raise make_invalid_input(errors)
        now = self._clock.now()
        prediction = SandboxPrediction(
            model=model.full_name,
            version=model.shown_version,
            input=drop_unknown(model.fields, create_request.input),
            created_at=now,
            streams_files=model.output.is_files,
            webhook=create_request.webhook,
            webhook_events_filter=create_request.webhook_events_filter,
            deployment=deployment,
            deadline=now + timedelta(seconds=lifetime_seconds) if lifetime_seconds else None,
        )
        prediction.fault = self._faults.take(prediction.model, prediction.input, prediction.fingerprint)
        raise_create_fault(prediction.fault)
        self._engine.start(prediction, model)
        raise_fault_after_create(prediction.fault)
        return await self._respond(prediction, hold_seconds)

    async def _respond(self, prediction: SandboxPrediction, hold_seconds: int | None) -> web.Response:
        body = prediction.build_body(self._engine.base_url)
        headers = {"Location": body["urls"]["get"]}
        if hold_seconds:
            headers["Preference-Applied"] = f"wait={hold_seconds}"
            # Shielded: the end of the wait must not cancel the future that the run completes.
            await first_completed(asyncio.shield(prediction.ready), self._clock.sleep(hold_seconds))
            body = (
                prediction.ready.result() if prediction.ready.done() else prediction.build_body(self._engine.base_url)
            )
        return web.json_response(body, status=201, headers=headers)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request).build_body(self._engine.base_url))

    async def _cancel(self, request: web.Request) -> web.Response:
        prediction = self._find(request)
        self._engine.cancel(prediction)
        return web.json_response(prediction.build_body(self._engine.base_url))

    async def _list(self, request: web.Request) -> web.Response:
        after, before = (_parse_moment(request, name) for name in ("created_after", "created_before"))
        predictions = [] if request.query.get("source") == "web" else self._store.list_created_between(after, before)
        return paginate(
            request, self._engine.base_url, predictions, lambda prediction: prediction.id, self._build_entry
        )

    def _build_entry(self, prediction: SandboxPrediction) -> dict[str, object]:
        return prediction.build_list_entry(self._engine.base_url)

    def _find(self, request: web.Request) -> SandboxPrediction:
        prediction = self._store.get(request.match_info["id"])
        if prediction is None:
            raise make_not_found()
        return prediction


def _full_name(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['name']}"


def _parse_moment(request: web.Request, name: str) -> datetime | None:
    text = request.query.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Problem(400, f"{name} must be an ISO 8601 date-time") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
