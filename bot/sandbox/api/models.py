"""Models: list, search, pages, versions, examples and readmes; creation, change and deletion of own models."""

import html
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiohttp import web

from bot.sandbox.api.account import ACCOUNT_NAME, HARDWARE
from bot.sandbox.api.deployments import SandboxDeployments
from bot.sandbox.api.requests import paginate, read_checked_object
from bot.sandbox.api.search import rank_models
from bot.sandbox.catalogue import LINKS, ModelBodies, SandboxCatalogue, SandboxModelPage
from bot.sandbox.clock import SandboxClock
from bot.sandbox.middlewares import allow_without_token
from bot.sandbox.model import InputField
from bot.sandbox.prediction_store import SandboxPrediction, SandboxPredictionStore, SandboxStatus
from bot.sandbox.problems import Problem, make_not_found

_MAX_EXAMPLES = 10


def _get_latest_version_created_at(page: SandboxModelPage) -> datetime:
    return page.latest.created_at if page.latest else page.created_at


_ORDERS: dict[str, Callable[[SandboxModelPage], datetime]] = {
    "latest_version_created_at": _get_latest_version_created_at,
    "model_created_at": lambda page: page.created_at,
}

_LINK_FIELDS = tuple(InputField(name, "string") for name in LINKS)
_NEW = (
    InputField("owner", "string", required=True),
    InputField("name", "string", required=True),
    InputField("visibility", "string", required=True, choices=("public", "private")),
    InputField("hardware", "string", required=True, choices=tuple(HARDWARE)),
    InputField("description", "string"),
    *_LINK_FIELDS,
)
_CHANGES = (
    InputField("description", "string"),
    InputField("readme", "string"),
    InputField("weights_url", "string"),
    *_LINK_FIELDS[:-1],  # the document does not let the cover be changed
)


class ModelRoutes:
    """The API description sets the permissions of changes; codes and texts of refusals are guesses."""

    def __init__(
        self,
        clock: SandboxClock,
        catalogue: SandboxCatalogue,
        deployments: SandboxDeployments,
        store: SandboxPredictionStore,
        bodies: ModelBodies,
    ) -> None:
        self._clock = clock
        self._catalogue = catalogue
        self._deployments = deployments
        self._store = store
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/models", self._list),
            web.route("QUERY", "/v1/models", self._query),
            web.get("/v1/models/{owner}/{name}", self._get),
            web.get("/v1/models/{owner}/{name}/versions", self._list_versions),
            web.get("/v1/models/{owner}/{name}/versions/{id}", self._get_version),
            web.get("/v1/models/{owner}/{name}/examples", self._list_examples),
            web.get("/v1/models/{owner}/{name}/readme", self._get_readme),
            web.post("/v1/models", self._create),
            web.patch("/v1/models/{owner}/{name}", self._update),
            web.delete("/v1/models/{owner}/{name}", self._delete),
            web.delete("/v1/models/{owner}/{name}/versions/{id}", self._delete_version),
            web.get("/{owner}/{name}/api/schema", self._show_price_page),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        sort_by = _parse_choice(request, "sort_by", tuple(_ORDERS))
        direction = _parse_choice(request, "sort_direction", ("desc", "asc"))
        public = [page for page in self._catalogue if page.visibility == "public"]
        pages = sorted(public, key=_ORDERS[sort_by], reverse=direction == "desc")
        return paginate(request, self._bodies.base_url, pages, _get_full_name, self._bodies.build_model)

    async def _query(self, request: web.Request) -> web.Response:
        """Search with the text body. A later page would need the same body, so the reply has no cursor."""
        found = [page for page, _ in rank_models(self._catalogue, await request.text())]
        return paginate(request, self._bodies.base_url, found, _get_full_name, self._bodies.build_model)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._bodies.build_model(self._find(request)))

    @allow_without_token
    async def _show_price_page(self, request: web.Request) -> web.Response:
        """Return the page that replicate.com shows to browsers, of which only the embedded price is served."""
        page = self._find(request)
        tiers = [tier.build_body() for tier in page.latest.model.billing] if page.latest else []
        config = json.dumps({"billingConfig": {"current_tiers": tiers} if tiers else None})
        # The page's data as an attribute: escaped, it may hold any text.
        text = f'<!doctype html><title>{html.escape(page.full_name)}</title><main data-props="{html.escape(config)}">'
        return web.Response(text=text, content_type="text/html")

    async def _list_versions(self, request: web.Request) -> web.Response:
        versions = self._find(request).versions
        return paginate(
            request, self._bodies.base_url, versions, lambda version: version.id, self._bodies.build_version
        )

    async def _get_version(self, request: web.Request) -> web.Response:
        version = self._find(request).find_version(request.match_info["id"])
        if version is None:
            raise make_not_found()
        return web.json_response(self._bodies.build_version(version))

    async def _list_examples(self, request: web.Request) -> web.Response:
        """Return the latest successful runs as examples."""
        name, url = self._find(request).full_name, self._bodies.base_url
        runs = [run for run in self._store.list_newest_first() if run.model == name and _is_worth_showing(run)]
        return paginate(request, url, runs[:_MAX_EXAMPLES], lambda run: run.id, lambda run: run.build_body(url))

    async def _get_readme(self, request: web.Request) -> web.Response:
        readme = self._find(request).readme
        if readme is None:
            raise make_not_found()
        return web.Response(text=readme, content_type="text/plain")

    def _find(self, request: web.Request) -> SandboxModelPage:
        return self._catalogue.find(f"{request.match_info['owner']}/{request.match_info['name']}")

    async def _create(self, request: web.Request) -> web.Response:
        body = await read_checked_object(request, _NEW)
        if body["owner"] != ACCOUNT_NAME:
            raise Problem(403, f"You can only create models as {ACCOUNT_NAME}.")
        page = SandboxModelPage(
            ACCOUNT_NAME,
            body["name"],
            body.get("description", ""),
            self._clock.now(),
            body["visibility"],
            links=_extract_links(body),
        )
        if page.full_name in self._catalogue:
            raise Problem(409, "A model with that name and owner already exists")
        self._catalogue.add(page)
        return web.json_response(self._bodies.build_model(page), status=201)

    async def _update(self, request: web.Request) -> web.Response:
        page = self._find_own(request)
        body = await read_checked_object(request, _CHANGES)
        page.description = body.get("description", page.description)
        page.readme = body.get("readme", page.readme)
        page.links |= _extract_links(body)
        return web.json_response(self._bodies.build_model(page))

    async def _delete(self, request: web.Request) -> web.Response:
        page = self._find_private(request)
        if page.versions:
            raise Problem(400, "You can only delete models that have no versions associated with them.")
        self._catalogue.remove(page)
        return web.Response(status=204)

    async def _delete_version(self, request: web.Request) -> web.Response:
        """Delete a version with its predictions."""
        page = self._find_private(request)
        version = page.find_version(request.match_info["id"])
        if version is None:
            raise make_not_found()
        if self._deployments.has_version(version.id):
            raise Problem(400, "You cannot delete a version if it has an associated deployment.")
        page.versions.remove(version)
        self._store.forget_version(version.id)
        return web.Response(status=202)

    def _find_own(self, request: web.Request) -> SandboxModelPage:
        page = self._catalogue.find(f"{request.match_info['owner']}/{request.match_info['name']}")
        if page.owner != ACCOUNT_NAME:
            raise Problem(403, "You can only change models you own.")
        return page

    def _find_private(self, request: web.Request) -> SandboxModelPage:
        page = self._find_own(request)
        if page.visibility != "private":
            raise Problem(400, "You can only delete private models and their versions.")
        return page


def _get_full_name(page: SandboxModelPage) -> str:
    return page.full_name


def _is_worth_showing(run: SandboxPrediction) -> bool:
    return run.status is SandboxStatus.SUCCEEDED and not run.data_removed


def _parse_choice(request: web.Request, name: str, choices: tuple[str, ...]) -> str:
    """Return a query parameter; the first choice is the default. Raise `Problem` for any other value."""
    given = request.query.get(name, choices[0])
    if given not in choices:
        raise Problem(400, f"{name} must be one of {', '.join(choices)}")
    return given


def _extract_links(body: dict[str, Any]) -> dict[str, str]:
    return {name: body[name] for name in LINKS if name in body}
