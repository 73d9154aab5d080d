"""The JSON of a model and of its versions, wherever a reply shows one."""

from typing import Any

from bot.sandbox.clock import timestamp
from bot.sandbox.listing import Listing, Version
from bot.sandbox.store import PredictionStore

LINKS = ("github_url", "paper_url", "license_url", "cover_image_url")


class ModelBodies:
    def __init__(self, store: PredictionStore) -> None:
        self.base_url = ""
        self._store = store

    def model(self, page: Listing) -> dict[str, Any]:
        return {
            "url": f"{self.base_url}/{page.full_name}",
            "owner": page.owner,
            "name": page.name,
            "description": page.description,
            "visibility": page.visibility,
            "is_official": page.is_official,
            **{name: page.links.get(name) for name in LINKS},
            "run_count": sum(prediction.model == page.full_name for prediction in self._store.newest_first()),
            "default_example": None,
            "latest_version": self.version(page.latest) if page.latest else None,
        }

    def version(self, version: Version) -> dict[str, Any]:
        return {
            "id": version.id,
            "created_at": timestamp(version.created_at),
            "cog_version": "0.16.12",
            "openapi_schema": version.model.openapi_schema(),
        }
