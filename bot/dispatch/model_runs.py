"""Finds the model of a `/run`: one of the catalogue, one that was approved, or any that the backend publishes."""

import asyncio
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from bot.catalogue.added_models import AddedModels, ModelAddition, parse_table
from bot.catalogue.catalogue import Catalogue
from bot.catalogue.drafting import DraftingError, derive_key, draft_entry
from bot.catalogue.running import derive_run_model, list_run_fields, make_run_table
from bot.core.backend import Deployments, ModelDirectory
from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.errors import BackendError, BadOption, PredictionGone, UnknownName
from bot.core.json import JSON, as_object
from bot.core.models import Model, ModelListing, ModelSchema, SchemaField, Task
from bot.storage.database import Database

_REF = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::([0-9a-f]{64}))?")
_DIRECTORY_BACKEND = "replicate"
# Discord drops suggestions after three seconds.
_SEARCH_SECONDS = 1.5
_MIN_SEARCH_CHARACTERS = 3
_MAX_FOUND = 10
_MAX_REMEMBERED_SEARCHES = 500


@dataclass(frozen=True, slots=True)
class RunTarget:
    """A model to run with its own inputs. `table` is set for a model without approval: the entry to add."""

    model: Model
    fields: tuple[SchemaField, ...]
    published: ModelSchema | None = None
    table: dict[str, JSON] | None = None

    @property
    def is_approved(self) -> bool:
        return self.table is None

    def build_addition(self, place: tuple[str, str], agreed_micros: int) -> ModelAddition:
        """Return the entry to add after an approval for a place."""
        return ModelAddition(self.model.key, self.table or {}, self.fields, place, agreed_micros)


class ModelRuns:
    """Finds targets. `directory` is the backend that publishes models, None for a bot without one."""

    def __init__(self, added: AddedModels, directory: ModelDirectory | None, database: Database, clock: Clock) -> None:
        self.added = added
        self.database = database
        self.clock = clock
        self._directory = directory
        self._found: RecentItems[str, Sequence[ModelListing]] = RecentItems(_MAX_REMEMBERED_SEARCHES)

    @property
    def directory(self) -> ModelDirectory:
        """The backend's directory. Raise `BadOption` without one."""
        if self._directory is None:
            raise BadOption("No backend here publishes models: /models lists those on offer.", option="model")
        return self._directory

    @property
    def has_deployments(self) -> bool:
        """Whether a backend runs deployments."""
        return self._directory is not None

    @property
    def deployments(self) -> Deployments:
        """The deployments of the owner's account. Raise `BadOption` without a backend that runs deployments."""
        if self._directory is None:
            raise BadOption("No backend here runs deployments.")
        return self._directory.deployments

    async def find(self, catalogue: Catalogue, name: str, *, max_seconds: int = 0) -> RunTarget:
        """Return the target of a name, by the catalogue of the caller's workspace, or by `owner/name[:version]`.

        Raise a `UserError` with one sentence for a model that cannot be run.
        """
        model = catalogue.find(name)
        if model is not None:
            return await self._find_offered(catalogue, model)
        match = _REF.fullmatch(name.strip().removeprefix("https://replicate.com/"))
        if match is None:
            keys = [known.key for known in catalogue.list_all()]
            raise UnknownName("model", name, keys, advice="Give owner/name, or find one with /model search.")
        published = await self.read_schema(match[1], match[2] or "")
        return self.make_target(published, max_seconds=max_seconds)

    def make_target(self, published: ModelSchema, *, max_seconds: int = 0) -> RunTarget:
        """Return the target of a published model without approval. Raise `BadOption` if no form can run the model."""
        try:
            fields = list_run_fields(published)
            table = make_run_table(published, fields, today=self.clock.now().date(), max_seconds=max_seconds)
        except DraftingError as error:
            raise BadOption(str(error), option="model") from error
        return RunTarget(parse_table(derive_key(published.ref), table), fields, published, table)

    async def _find_offered(self, catalogue: Catalogue, model: Model) -> RunTarget:
        if (added := catalogue.added.get(model.key)) is not None and catalogue.get(model.key) is added.model:
            return RunTarget(derive_run_model(model, added.fields), added.fields)
        if model.task is Task.TRAIN:
            raise BadOption(f"{model.title} makes a model of pictures: use it with /train.", option="model")
        if model.price.objection:
            raise BadOption(f"{model.title} is off until my owner agrees to its price.", option="model")
        if model.backend != _DIRECTORY_BACKEND:
            raise BadOption(f"{model.title} publishes no inputs: use it with /{model.task}.", option="model")
        published = await self.read_schema(model.ref, model.version)
        try:
            fields = list_run_fields(published)
        except DraftingError as error:
            raise BadOption(str(error), option="model") from error
        return RunTarget(derive_run_model(model, fields), fields, published)

    async def read_schema(self, ref: str, version: str = "") -> ModelSchema:
        """Return a published schema. Raise `BadOption` for a model or version that is not published."""
        try:
            return await self.directory.get_schema(ref, version)
        except PredictionGone as error:
            raise BadOption(
                f"Replicate shows no model {ref}{' of that version' * bool(version)}.", option="model"
            ) from error

    async def search_ahead(self, typed: str) -> None:
        """Search for typed words, so that suggestions know the results; without a result in time nothing changes."""
        words = typed.strip().lower()
        if len(words) < _MIN_SEARCH_CHARACTERS or words in self._found or self._directory is None:
            return
        try:
            async with asyncio.timeout(_SEARCH_SECONDS):
                found = await self._directory.search_models(words, limit=_MAX_FOUND)
        except (TimeoutError, BackendError):
            return  # the catalogue's models are suggested all the same
        self._found[words] = found

    def list_found(self, typed: str) -> Sequence[ModelListing]:
        """Return the results that `search_ahead` found for typed words."""
        return self._found.get(typed.strip().lower(), ())


def draft_for_task(target: RunTarget, task: Task) -> RunTarget:
    """Return the target as an entry for a command, at the price of the target's table.

    Raise `BadOption` where the schema leaves something to fill in.
    """
    assert target.published is not None  # noqa: S101 - a target without approval was read a moment ago
    price = as_object((target.table or {}).get("price"))
    try:
        draft = draft_entry(target.published, today=date.fromisoformat(str(price.get("read_on"))), task=task)
    except DraftingError as error:
        raise BadOption(str(error), option="task") from error
    # The price is that of the bound; any other gap is the owner's to fill in, in the catalogue file.
    gaps = [sentence for sentence in draft.todo if "price" not in sentence]
    if gaps:
        raise BadOption(f"{target.model.ref} does not fit /{task}: {gaps[0]}", option="task")
    table: dict[str, JSON] = {
        **tomllib.loads(draft.text)[draft.key],
        "price": price,
        "max_seconds": target.model.max_seconds,
    }
    return RunTarget(parse_table(draft.key, table), target.fields, target.published, table)
