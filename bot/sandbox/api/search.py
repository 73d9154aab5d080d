"""Collections (lists of models under a heading) and GET /v1/search over models and collections.

The sandbox has no pages of documentation to list."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.sandbox.api.requests import paginate
from bot.sandbox.catalogue import ModelBodies, SandboxCatalogue, SandboxModelPage
from bot.sandbox.problems import Problem, make_not_found

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
