"""Collections of models: the list of them, and one with its models."""

from typing import Any

from aiohttp import web

from bot.sandbox.api.model_bodies import ModelBodies
from bot.sandbox.api.pages import paginate as page_of
from bot.sandbox.catalogue import SandboxCatalogue
from bot.sandbox.collections import COLLECTIONS, SandboxCollection
from bot.sandbox.problems import make_not_found


class CollectionRoutes:
    def __init__(self, catalogue: SandboxCatalogue, bodies: ModelBodies) -> None:
        self._catalogue = catalogue
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/collections", self._list), web.get("/v1/collections/{slug}", self._get)]

    async def _list(self, request: web.Request) -> web.Response:
        return page_of(request, self._bodies.base_url, COLLECTIONS, lambda entry: entry.slug, _describe_collection)

    async def _get(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        found = next((collection for collection in COLLECTIONS if collection.slug == slug), None)
        if found is None:
            raise make_not_found()
        models = [self._bodies.build_model(page) for page in self._catalogue if found.contains(page)]
        return web.json_response(_describe_collection(found) | {"full_description": None, "models": models})


def _describe_collection(collection: SandboxCollection) -> dict[str, Any]:
    return {"name": collection.name, "slug": collection.slug, "description": collection.description}
