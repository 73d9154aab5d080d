"""Models and their versions, with the schema of their inputs and outputs."""

from datetime import datetime
from typing import Any

from aiohttp import web

from bot.sandbox.api.pages import page
from bot.sandbox.catalogue import Catalogue
from bot.sandbox.clock import timestamp
from bot.sandbox.model import SandboxModel
from bot.sandbox.problems import not_found
from bot.sandbox.store import PredictionStore


class Models:
    def __init__(self, catalogue: Catalogue, store: PredictionStore, released_at: datetime) -> None:
        self.base_url = ""
        self._catalogue = catalogue
        self._store = store
        self._released_at = released_at

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/models", self._list),
            web.get("/v1/models/{owner}/{name}", self._get),
            web.get("/v1/models/{owner}/{name}/versions", self._versions),
            web.get("/v1/models/{owner}/{name}/versions/{id}", self._version),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return page(request, self.base_url, list(self._catalogue), lambda model: model.full_name, self._body)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._body(self._find(request)))

    async def _versions(self, request: web.Request) -> web.Response:
        return page(request, self.base_url, [self._find(request)], lambda model: model.version, self._version_body)

    async def _version(self, request: web.Request) -> web.Response:
        model = self._find(request)
        if request.match_info["id"] != model.version:
            raise not_found()
        return web.json_response(self._version_body(model))

    def _find(self, request: web.Request) -> SandboxModel:
        return self._catalogue.named(f"{request.match_info['owner']}/{request.match_info['name']}")

    def _body(self, model: SandboxModel) -> dict[str, Any]:
        return {
            "url": f"{self.base_url}/{model.full_name}",
            "owner": model.owner,
            "name": model.name,
            "description": model.description,
            "visibility": "public",
            "is_official": model.is_official,
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": sum(prediction.model == model.full_name for prediction in self._store.newest_first()),
            "cover_image_url": None,
            "default_example": None,
            "latest_version": self._version_body(model),
        }

    def _version_body(self, model: SandboxModel) -> dict[str, Any]:
        return {
            "id": model.version,
            "created_at": timestamp(self._released_at),
            "cog_version": "0.16.12",
            "openapi_schema": model.openapi_schema(),
        }
