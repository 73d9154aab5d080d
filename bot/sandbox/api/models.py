"""Models to read: the list, the search in it, a model's page, its versions, its examples, its readme."""

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from bot.sandbox.api.model_bodies import ModelBodies
from bot.sandbox.api.pages import paginate as page_of
from bot.sandbox.api.search import rank_models
from bot.sandbox.catalogue import SandboxCatalogue
from bot.sandbox.listing import SandboxModelPage
from bot.sandbox.predictions import SandboxPrediction, SandboxStatus
from bot.sandbox.problems import Problem, make_not_found
from bot.sandbox.store import SandboxPredictionStore

_EXAMPLES_AT_MOST = 10


def _latest_version_created_at(page: SandboxModelPage) -> datetime:
    return page.latest.created_at if page.latest else page.created_at


_ORDERS: dict[str, Callable[[SandboxModelPage], datetime]] = {
    "latest_version_created_at": _latest_version_created_at,
    "model_created_at": lambda page: page.created_at,
}


class ModelReadRoutes:
    def __init__(self, catalogue: SandboxCatalogue, store: SandboxPredictionStore, bodies: ModelBodies) -> None:
        self._catalogue = catalogue
        self._store = store
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/models", self._list),
            web.route("QUERY", "/v1/models", self._query),
            web.get("/v1/models/{owner}/{name}", self._get),
            web.get("/v1/models/{owner}/{name}/versions", self._versions),
            web.get("/v1/models/{owner}/{name}/versions/{id}", self._version),
            web.get("/v1/models/{owner}/{name}/examples", self._examples),
            web.get("/v1/models/{owner}/{name}/readme", self._readme),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        sort_by = _choice(request, "sort_by", tuple(_ORDERS))
        direction = _choice(request, "sort_direction", ("desc", "asc"))
        public = [page for page in self._catalogue if page.visibility == "public"]
        pages = sorted(public, key=_ORDERS[sort_by], reverse=direction == "desc")
        return page_of(request, self._bodies.base_url, pages, _name, self._bodies.build_model)

    async def _query(self, request: web.Request) -> web.Response:
        """The text body is what to look for. A cursor of its list would have to be asked for with the same body."""
        found = [page for page, _ in rank_models(self._catalogue, await request.text())]
        return page_of(request, self._bodies.base_url, found, _name, self._bodies.build_model)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._bodies.build_model(self._find(request)))

    async def _versions(self, request: web.Request) -> web.Response:
        versions = self._find(request).versions
        return page_of(request, self._bodies.base_url, versions, lambda version: version.id, self._bodies.build_version)

    async def _version(self, request: web.Request) -> web.Response:
        version = self._find(request).find_version(request.match_info["id"])
        if version is None:
            raise make_not_found()
        return web.json_response(self._bodies.build_version(version))

    async def _examples(self, request: web.Request) -> web.Response:
        """Nobody picks examples here: the latest good runs stand in."""
        name, url = self._find(request).full_name, self._bodies.base_url
        good = [run for run in self._store.list_newest_first() if run.model == name and _is_worth_showing(run)]
        return page_of(request, url, good[:_EXAMPLES_AT_MOST], lambda run: run.id, lambda run: run.build_body(url))

    async def _readme(self, request: web.Request) -> web.Response:
        readme = self._find(request).readme
        if readme is None:
            raise make_not_found()
        return web.Response(text=readme, content_type="text/plain")

    def _find(self, request: web.Request) -> SandboxModelPage:
        return self._catalogue.find(f"{request.match_info['owner']}/{request.match_info['name']}")


def _name(page: SandboxModelPage) -> str:
    return page.full_name


def _is_worth_showing(run: SandboxPrediction) -> bool:
    return run.status is SandboxStatus.SUCCEEDED and not run.data_removed


def _choice(request: web.Request, name: str, choices: tuple[str, ...]) -> str:
    """The first is the default."""
    given = request.query.get(name, choices[0])
    if given not in choices:
        raise Problem(400, f"{name} must be one of {', '.join(choices)}")
    return given
