"""Collections of models: the list of them, and one with its models."""

from typing import Any

from aiohttp import web

from bot.sandbox.api.model_bodies import ModelBodies
from bot.sandbox.api.pages import page as page_of
from bot.sandbox.catalogue import Catalogue
from bot.sandbox.collections import COLLECTIONS, Collection
from bot.sandbox.problems import not_found


class Collections:
    def __init__(self, catalogue: Catalogue, bodies: ModelBodies) -> None:
        self._catalogue = catalogue
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/collections", self._list), web.get("/v1/collections/{slug}", self._get)]

    async def _list(self, request: web.Request) -> web.Response:
        return page_of(request, self._bodies.base_url, COLLECTIONS, lambda entry: entry.slug, _heading)

    async def _get(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        found = next((collection for collection in COLLECTIONS if collection.slug == slug), None)
        if found is None:
            raise not_found()
        models = [self._bodies.model(page) for page in self._catalogue if found.holds(page)]
        return web.json_response(_heading(found) | {"full_description": None, "models": models})


def _heading(collection: Collection) -> dict[str, Any]:
    return {"name": collection.name, "slug": collection.slug, "description": collection.description}
