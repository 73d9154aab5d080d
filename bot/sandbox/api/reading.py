"""Predictions that exist: read one, list them, cancel one."""

from datetime import UTC, datetime

from aiohttp import web

from bot.sandbox.api.pages import paginate
from bot.sandbox.engine import PredictionEngine
from bot.sandbox.predictions import SandboxPrediction
from bot.sandbox.problems import Problem, make_not_found
from bot.sandbox.store import SandboxPredictionStore

_ONLY_ON_THE_RECORD = ("webhook", "webhook_events_filter")


class PredictionReadRoutes:
    def __init__(self, store: SandboxPredictionStore, engine: PredictionEngine) -> None:
        self._store = store
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/predictions", self._list),
            web.get("/v1/predictions/{id}", self._get),
            web.post("/v1/predictions/{id}/cancel", self._cancel),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request).build_body(self._engine.base_url))

    async def _cancel(self, request: web.Request) -> web.Response:
        prediction = self._find(request)
        self._engine.cancel(prediction)
        return web.json_response(prediction.build_body(self._engine.base_url))

    async def _list(self, request: web.Request) -> web.Response:
        after, before = (_moment(request, name) for name in ("created_after", "created_before"))
        found = [] if request.query.get("source") == "web" else self._store.list_created_between(after, before)
        return paginate(request, self._engine.base_url, found, lambda prediction: prediction.id, self._listed)

    def _listed(self, prediction: SandboxPrediction) -> dict[str, object]:
        body = prediction.build_body(self._engine.base_url)
        return {name: value for name, value in body.items() if name not in _ONLY_ON_THE_RECORD}

    def _find(self, request: web.Request) -> SandboxPrediction:
        prediction = self._store.get(request.match_info["id"])
        if prediction is None:
            raise make_not_found()
        return prediction


def _moment(request: web.Request, name: str) -> datetime | None:
    text = request.query.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Problem(400, f"{name} must be an ISO 8601 date-time") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
