"""The JSON of a model and of its versions, wherever a reply shows one."""

from typing import Any

from bot.sandbox.clock import format_timestamp
from bot.sandbox.listing import SandboxModelPage, SandboxVersion
from bot.sandbox.store import SandboxPredictionStore

LINKS = ("github_url", "paper_url", "license_url", "cover_image_url")


class ModelBodies:
    def __init__(self, store: SandboxPredictionStore) -> None:
        self.base_url = ""
        self._store = store

    def build_model(self, page: SandboxModelPage) -> dict[str, Any]:
        return {
            "url": f"{self.base_url}/{page.full_name}",
            "owner": page.owner,
            "name": page.name,
            "description": page.description,
            "visibility": page.visibility,
            "is_official": page.is_official,
            **{name: page.links.get(name) for name in LINKS},
            "run_count": sum(prediction.model == page.full_name for prediction in self._store.list_newest_first()),
            "default_example": None,
            "latest_version": self.build_version(page.latest) if page.latest else None,
        }

    def build_version(self, version: SandboxVersion) -> dict[str, Any]:
        return {
            "id": version.id,
            "created_at": format_timestamp(version.created_at),
            "cog_version": "0.16.12",
            "openapi_schema": version.model.openapi_schema(),
        }
