"""Models: list, search, collections, pages, versions, examples, readmes; creation, change and deletion of own models.

The sandbox has no pages of documentation for GET /v1/search to list.
"""

import html
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from bot.sandbox.api.deployments import ACCOUNT_NAME, HARDWARE, SandboxDeployments
from bot.sandbox.api.requests import paginate, read_checked_object
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


# Collections and search.

_IMAGE_MODELS = ("black-forest-labs/", "stability-ai/sdxl")


@dataclass(frozen=True)
class SandboxCollection:
    """Holds each model whose full name begins with an entry of `names`; `official` holds official models."""

    slug: str
    name: str
    description: str
    names: tuple[str, ...] = ()

    def contains(self, page: SandboxModelPage) -> bool:
        return page.is_official if self.slug == "official" else page.full_name.startswith(self.names)


COLLECTIONS = (
    SandboxCollection("official", "Official models", "Always on, maintained, and called without a version."),
    SandboxCollection("text-to-image", "Generate images", "Models that draw pictures from words.", _IMAGE_MODELS),
    SandboxCollection("super-resolution", "Upscale images", "Models that enlarge pictures.", ("nightmareai/",)),
    SandboxCollection("language-models", "Use LLMs", "Models that answer in words.", ("meta/",)),
    SandboxCollection(
        "image-to-text", "Caption images", "Models that tell about pictures.", ("salesforce/", "andreasjansson/")
    ),
    SandboxCollection("sdxl-fine-tunes", "Train SDXL", "Models that trainings can begin from.", ("stability-ai/sdxl",)),
)


class CollectionRoutes:
    def __init__(self, catalogue: SandboxCatalogue, bodies: ModelBodies) -> None:
        self._catalogue = catalogue
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/collections", self._list), web.get("/v1/collections/{slug}", self._get)]

    async def _list(self, request: web.Request) -> web.Response:
        return paginate(request, self._bodies.base_url, COLLECTIONS, lambda entry: entry.slug, _describe_collection)

    async def _get(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        found = next((collection for collection in COLLECTIONS if collection.slug == slug), None)
        if found is None:
            raise make_not_found()
        models = [self._bodies.build_model(page) for page in self._catalogue if found.contains(page)]
        return web.json_response(_describe_collection(found) | {"full_description": None, "models": models})


def _describe_collection(collection: SandboxCollection) -> dict[str, Any]:
    return {"name": collection.name, "slug": collection.slug, "description": collection.description}


_DEFAULT_LIMIT, _LIMIT_AT_MOST = 20, 50
_WORD = re.compile(r"[^\W_]+")


class SearchRoutes:
    def __init__(self, catalogue: SandboxCatalogue, bodies: ModelBodies) -> None:
        self._catalogue = catalogue
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/search", self._search)]

    async def _search(self, request: web.Request) -> web.Response:
        query = request.query.get("query", "").strip()
        if not query:
            raise Problem(400, 'Query parameter "query" is required')
        found = rank_models(self._catalogue, query)[: _parse_limit(request.query.get("limit"))]
        body = {
            "query": query,
            "models": [
                {"model": self._bodies.build_model(page), "metadata": _build_metadata(page, score)}
                for page, score in found
            ],
            "collections": [self._build_collection(entry) for entry in COLLECTIONS if _matches(entry, query)],
            "pages": [],
        }
        return web.json_response(body)

    def _build_collection(self, collection: SandboxCollection) -> dict[str, Any]:
        return {
            "name": collection.name,
            "slug": collection.slug,
            "description": collection.description,
            "models": [page.full_name for page in self._catalogue if collection.contains(page)],
        }


def rank_models(pages: Iterable[SandboxModelPage], query: str) -> list[tuple[SandboxModelPage, float]]:
    """Return public models with a word of `query`, with the share of matching words, best first."""
    scored = [(page, _score(query, _join_text(page))) for page in pages if page.visibility == "public"]
    return sorted((pair for pair in scored if pair[1]), key=lambda pair: -pair[1])


def _score(query: str, text: str) -> float:
    words = _WORD.findall(query.lower())
    return sum(word in text for word in words) / len(words) if words else 0.0


def _join_text(page: SandboxModelPage) -> str:
    tags = " ".join(f"{entry.name} {entry.slug}" for entry in _find_collections(page))
    return f"{page.full_name} {page.full_name.replace('-', ' ')} {page.description} {tags}".lower()


def _find_collections(page: SandboxModelPage) -> list[SandboxCollection]:
    return [collection for collection in COLLECTIONS if collection.contains(page)]


def _build_metadata(page: SandboxModelPage, score: float) -> dict[str, Any]:
    tags = [collection.slug for collection in _find_collections(page)]
    return {"generated_description": page.readme, "tags": tags, "score": round(score, 4)}


def _matches(collection: SandboxCollection, query: str) -> bool:
    return _score(query, f"{collection.name} {collection.slug} {collection.description}".lower()) == 1


def _parse_limit(text: str | None) -> int:
    limit = int(text) if text and text.isdigit() else 0 if text else _DEFAULT_LIMIT
    if not 1 <= limit <= _LIMIT_AT_MOST:
        raise Problem(400, f"limit must be between 1 and {_LIMIT_AT_MOST}")
    return limit
