"""Models at Replicate: one, all, by words, by collection; their versions and what each takes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.backends.replicate.calls import Calls, named, objects, pages, part, single, words
from bot.backends.replicate.cog_schema import CogSchema
from bot.backends.replicate.schema import moment
from bot.core.errors import BackendError, PredictionGone
from bot.core.json import JSON
from bot.core.published import Published, PublishedField

MOST_FOUND = 50
"""/search gives no more at once."""


@dataclass(frozen=True, slots=True)
class Version:
    """One build of a model. `id` is 64 hex digits."""

    id: str
    created_at: datetime | None = None
    schema: CogSchema = field(default_factory=lambda: CogSchema({}))


@dataclass(frozen=True, slots=True)
class ModelPage:
    """A model's page. `newest` is None for one that has no version."""

    ref: str
    description: str = ""
    is_official: bool = False
    is_public: bool = True
    runs: int = 0
    newest: Version | None = None
    example: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collection:
    """Models under a heading. A list of collections leaves `models` empty."""

    slug: str
    name: str
    description: str = ""
    models: tuple[ModelPage, ...] = ()


class Models:
    """All raise a `BackendError`; what is not there raises `PredictionGone`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def get(self, ref: str) -> ModelPage:
        """GET /models/{owner}/{name}."""
        return _model(await self._calls.ask("GET", f"models/{named(ref)}"))

    async def list(self, *, sort_by: str = "", sort_direction: str = "") -> AsyncIterator[ModelPage]:
        """GET /models: every public model; by `model_created_at` or `latest_version_created_at`, `asc` or `desc`."""
        order = {"sort_by": sort_by, "sort_direction": sort_direction}
        async for item in pages(self._calls, "models", params={name: way for name, way in order.items() if way}):
            yield _model(item)

    async def search(self, text: str, *, limit: int = 20) -> Sequence[ModelPage]:
        """The models that fit these words best, at most 50: by /search, and by QUERY where that does not answer.

        /search is a beta of Replicate's: it knows more (tags, descriptions) and may be taken away.
        """
        limit = max(1, min(limit, MOST_FOUND))
        try:
            found = await self._calls.ask("GET", "search", params={"query": text, "limit": limit})
        except BackendError:
            return [page async for page in self.query(text, limit=limit)]
        return [_model(part(item, "model")) for item in objects(found, "models")][:limit]

    async def query(self, text: str, *, limit: int = MOST_FOUND) -> AsyncIterator[ModelPage]:
        """QUERY /models: what fits these words, at most `limit`."""
        headers = {"Content-Type": "text/plain"}
        found = pages(self._calls, "models", method="QUERY", content=text.encode(), headers=headers)
        async for item in found:
            if limit <= 0:
                return
            limit -= 1
            yield _model(item)

    async def versions(self, ref: str) -> Sequence[Version]:
        """GET …/versions, newest first; none for official models that show none."""
        try:
            return [_version(item) async for item in pages(self._calls, f"models/{named(ref)}/versions")]
        except PredictionGone:
            return []

    async def version(self, ref: str, version: str) -> Version:
        """GET …/versions/{id}."""
        return _version(await self._calls.ask("GET", f"models/{named(ref)}/versions/{single(version)}"))

    async def published(self, ref: str, version: str = "") -> Published:
        """What a model, or one version of it, takes and gives. Raises `PredictionGone` when either is not there."""
        page = await self.get(ref)
        newest = page.newest
        is_newest = not version or (newest is not None and newest.id == version)
        described = newest if is_newest else await self.version(ref, version)
        schema = described.schema if described else CogSchema({})
        return Published(
            ref=page.ref or ref,
            version=described.id if described else "",
            newest_version=newest.id if newest else "",
            is_official=page.is_official,
            fields=schema.fields(),
            output=schema.output(),
            description=page.description,
            usual_seconds=_example_seconds(page.example),
        )

    async def training_fields(self, ref: str, version: str) -> tuple[PublishedField, ...] | None:
        """What a training of this version takes; None when it cannot be trained."""
        return (await self.version(ref, version)).schema.fields("TrainingInput")

    async def collection(self, slug: str) -> Collection:
        """GET /collections/{slug}, with its models. `official` holds the official ones."""
        return _collection(await self._calls.ask("GET", f"collections/{single(slug)}"))


def _model(body: JSON) -> ModelPage:
    owner, name = words(body, "owner"), words(body, "name")
    told = body if isinstance(body, dict) else {}
    runs, newest = told.get("run_count"), part(told, "latest_version")
    return ModelPage(
        ref=f"{owner}/{name}" if owner and name else "",
        description=words(body, "description"),
        is_official=told.get("is_official") is True,
        is_public=told.get("visibility", "public") == "public",
        runs=runs if isinstance(runs, int) else 0,
        newest=_version(newest) if newest.get("id") else None,
        example=part(told, "default_example"),
    )


def _version(body: JSON) -> Version:
    created_at = body.get("created_at") if isinstance(body, dict) else None
    schema = CogSchema(part(body, "openapi_schema"), words(body, "cog_version"))
    return Version(words(body, "id"), moment(created_at), schema)


def _collection(body: JSON) -> Collection:
    models = tuple(_model(item) for item in objects(body, "models"))
    return Collection(words(body, "slug"), words(body, "name"), words(body, "description"), models)


def _example_seconds(example: Mapping[str, JSON]) -> float | None:
    seconds = part(dict(example), "metrics").get("predict_time")
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None
