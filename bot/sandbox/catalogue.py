"""The sandbox's models by name and by version id, with the JSON of their pages (GET /v1/models/…)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.sandbox.clock import format_timestamp
from bot.sandbox.guide import Guide
from bot.sandbox.input_files import ServerAddress
from bot.sandbox.model import SandboxModel
from bot.sandbox.models.blip import BLIP, BLIP_2
from bot.sandbox.models.chat import create_chat_models
from bot.sandbox.models.drawing import FLUX_DEV, FLUX_PRO, FLUX_SCHNELL, SDXL
from bot.sandbox.models.editing import CONTROLNET_CANNY, GFPGAN, KONTEXT_PRO, P_IMAGE_EDIT, REMBG, SD_INPAINTING
from bot.sandbox.models.films import create_film_models
from bot.sandbox.models.hosted import create_hosted_models
from bot.sandbox.models.real_esrgan import REAL_ESRGAN
from bot.sandbox.models.sounds import create_sound_models
from bot.sandbox.prediction_store import SandboxPredictionStore
from bot.sandbox.problems import make_invalid_version, make_not_found


@dataclass(frozen=True)
class SandboxVersion:
    """A version of a model. `model` performs the run; `model.version` is the id."""

    model: SandboxModel
    created_at: datetime

    @property
    def id(self) -> str:
        return self.model.version


@dataclass
class SandboxModelPage:
    """`versions` are newest first. `links` are the addresses on the page, by the API's key."""

    owner: str
    name: str
    description: str
    created_at: datetime
    visibility: str = "public"
    is_official: bool = False
    readme: str | None = None
    links: dict[str, str] = field(default_factory=dict)
    versions: list[SandboxVersion] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def latest(self) -> SandboxVersion | None:
        return self.versions[0] if self.versions else None

    def find_version(self, version_id: str) -> SandboxVersion | None:
        return next((version for version in self.versions if version.id == version_id), None)


def create_model_page(model: SandboxModel, released_at: datetime) -> SandboxModelPage:
    """Build the page of a built-in model."""
    return SandboxModelPage(
        model.owner,
        model.name,
        model.description,
        released_at,
        is_official=model.is_official,
        readme=f"# {model.name}\n\n{model.description}\n\nIts inputs and outputs are those of {model.full_name}.",
        versions=[SandboxVersion(model, released_at)],
    )


def create_models(guide: Guide) -> list[SandboxModel]:
    drawing = [FLUX_SCHNELL, FLUX_DEV, FLUX_PRO, SDXL]
    editing = [P_IMAGE_EDIT, KONTEXT_PRO, SD_INPAINTING, CONTROLNET_CANNY, REMBG, GFPGAN]
    captions = [BLIP, BLIP_2]
    hosted = [*create_hosted_models(), *create_sound_models(), *create_film_models()]
    return [*drawing, *editing, REAL_ESRGAN, *create_chat_models(guide), *captions, *hosted]


class SandboxCatalogue:
    """`models` are released a day apart; the first at `released_at`."""

    def __init__(self, models: Iterable[SandboxModel], released_at: datetime) -> None:
        pages = [create_model_page(model, released_at - timedelta(days=place)) for place, model in enumerate(models)]
        self._pages = {page.full_name: page for page in pages}

    def __iter__(self) -> Iterator[SandboxModelPage]:
        return iter(self._pages.values())

    def __contains__(self, full_name: str) -> bool:
        return full_name in self._pages

    def add(self, page: SandboxModelPage) -> None:
        self._pages[page.full_name] = page

    def remove(self, page: SandboxModelPage) -> None:
        del self._pages[page.full_name]

    def find(self, full_name: str) -> SandboxModelPage:
        """Return a model's page; raise the 404 of an unknown model."""
        page = self._pages.get(full_name)
        if page is None:
            raise make_not_found()
        return page

    def find_official(self, full_name: str) -> SandboxModel:
        """Return the model of POST /v1/models/…/predictions, a route for official models only."""
        page = self.find(full_name)
        if not page.is_official or page.latest is None:
            raise make_not_found()
        return page.latest.model

    def find_by_version(self, version: str) -> SandboxModel:
        """Find a version by `owner/name` (official), `owner/name:64hex` or 64 hex. Raise the 422 of a wrong id."""
        name, _, given = version.partition(":") if "/" in version else ("", "", version)
        pages = [self._pages[name]] if name in self._pages else [] if name else list(self)
        found = [page.find_version(given) if given else _find_official_version(page) for page in pages]
        for entry in found:
            if entry and (given or name):
                return entry.model
        raise make_invalid_version()


def _find_official_version(page: SandboxModelPage) -> SandboxVersion | None:
    return page.latest if page.is_official else None


LINKS = ("github_url", "paper_url", "license_url", "cover_image_url")


class ModelBodies:
    def __init__(self, store: SandboxPredictionStore, address: ServerAddress) -> None:
        self._store = store
        self._address = address

    @property
    def base_url(self) -> str:
        return self._address.url

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
