"""Models at Replicate: one, all, by words, by collection; their versions and what each takes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.backends.replicate.cog_schema import CogSchema
from bot.backends.replicate.json_fields import (
    ReplicateApi,
    get_object,
    get_objects,
    get_text,
    iterate_items,
    quote_id,
    quote_ref,
)
from bot.backends.replicate.outputs import parse_time
from bot.core.errors import BackendError
from bot.core.json import JSON
from bot.core.model_schema import ModelSchema, SchemaField

MAX_SEARCH_RESULTS = 50
"""/search gives no more at once."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
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
    run_count: int = 0
    newest_version: ModelVersion | None = None
    example: Mapping[str, JSON] = field(default_factory=dict)


class ReplicateModels:
    """All raise a `BackendError`; what is not there raises `PredictionGone`."""

    def __init__(self, api: ReplicateApi) -> None:
        self._api = api

    async def get(self, ref: str) -> ModelPage:
        """GET /models/{owner}/{name}."""
        return _parse_model_page(await self._api.request("GET", f"models/{quote_ref(ref)}"))

    async def search(self, text: str, *, limit: int = 20) -> Sequence[ModelPage]:
        """The models that fit these words best, at most 50: by /search, and by QUERY where that does not answer.

        /search is a beta of Replicate's: it knows more (tags, descriptions) and may be taken away.
        """
        limit = max(1, min(limit, MAX_SEARCH_RESULTS))
        try:
            found = await self._api.request("GET", "search", params={"query": text, "limit": limit})
        except BackendError:
            return [page async for page in self.query(text, limit=limit)]
        return [_parse_model_page(get_object(item, "model")) for item in get_objects(found, "models")][:limit]

    async def query(self, text: str, *, limit: int = MAX_SEARCH_RESULTS) -> AsyncIterator[ModelPage]:
        """QUERY /models: what fits these words, at most `limit`."""
        headers = {"Content-Type": "text/plain"}
        found = iterate_items(self._api, "models", method="QUERY", content=text.encode(), headers=headers)
        async for item in found:
            if limit <= 0:
                return
            limit -= 1
            yield _parse_model_page(item)

    async def get_version(self, ref: str, version: str) -> ModelVersion:
        """GET …/versions/{id}."""
        return _parse_version(await self._api.request("GET", f"models/{quote_ref(ref)}/versions/{quote_id(version)}"))

    async def get_schema(self, ref: str, version: str = "") -> ModelSchema:
        """What a model, or one version of it, takes and gives. Raises `PredictionGone` when either is not there."""
        page = await self.get(ref)
        newest = page.newest_version
        is_newest = not version or (newest is not None and newest.id == version)
        described = newest if is_newest else await self.get_version(ref, version)
        schema = described.schema if described else CogSchema({})
        return ModelSchema(
            ref=page.ref or ref,
            version=described.id if described else "",
            newest_version=newest.id if newest else "",
            is_official=page.is_official,
            fields=schema.read_fields(),
            output=schema.read_output_kind(),
            description=page.description,
            usual_seconds=_read_example_seconds(page.example),
        )

    async def get_training_fields(self, ref: str, version: str) -> tuple[SchemaField, ...] | None:
        """What a training of this version takes; None when it cannot be trained."""
        return (await self.get_version(ref, version)).schema.read_fields("TrainingInput")


def _parse_model_page(body: JSON) -> ModelPage:
    owner, name = get_text(body, "owner"), get_text(body, "name")
    told = body if isinstance(body, dict) else {}
    runs, newest = told.get("run_count"), get_object(told, "latest_version")
    return ModelPage(
        ref=f"{owner}/{name}" if owner and name else "",
        description=get_text(body, "description"),
        is_official=told.get("is_official") is True,
        is_public=told.get("visibility", "public") == "public",
        run_count=runs if isinstance(runs, int) else 0,
        newest_version=_parse_version(newest) if newest.get("id") else None,
        example=get_object(told, "default_example"),
    )


def _parse_version(body: JSON) -> ModelVersion:
    created_at = body.get("created_at") if isinstance(body, dict) else None
    schema = CogSchema(get_object(body, "openapi_schema"), get_text(body, "cog_version"))
    return ModelVersion(get_text(body, "id"), parse_time(created_at), schema)


def _read_example_seconds(example: Mapping[str, JSON]) -> float | None:
    seconds = get_object(dict(example), "metrics").get("predict_time")
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None
