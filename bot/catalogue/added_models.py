"""Keeps the models that people add while the bot runs: reads changes of all processes, adds and withdraws models."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loading import CatalogueError, parse_model
from bot.core.caches import TtlCache
from bot.core.clock import Clock
from bot.core.errors import BadOption
from bot.core.json import JSON, as_object
from bot.core.models import AddedModel, FieldKind, Model, SchemaField
from bot.core.people import User
from bot.storage.database import Database, Transaction
from bot.storage.models import ModelRow

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
"""The longest delay until a model added by another process is offered."""

_MAX_NAMESAKES = 1_000


@dataclass(frozen=True, slots=True)
class ModelAddition:
    """A model to add: `table` is the entry as in the catalogue file, `fields` the inputs of the published schema.

    `place` is a platform and a workspace, or two empty texts for the whole bot. `agreed_micros` is the most that a run
    may cost; 0 where the price of the entry alone was agreed to.
    """

    key: str
    table: Mapping[str, JSON]
    fields: Sequence[SchemaField]
    place: tuple[str, str]
    agreed_micros: int


class AddedModels:
    """The models of the table, in the catalogue's mapping `added`."""

    def __init__(self, database: Database, clock: Clock, catalogue: Catalogue) -> None:
        self._database = database
        self._clock = clock
        self._catalogue = catalogue
        self._read: TtlCache[str, None] = TtlCache(clock, REFRESH_SECONDS)
        self._changes = (0, 0)

    async def refresh(self) -> None:
        """Read the changes of other processes, at most once per `REFRESH_SECONDS`."""
        await self._read.get("models", self._read_changes)

    async def add(self, addition: ModelAddition, by: User) -> AddedModel:
        """Store a model and offer it at once; return the model with its final key. Raise `CatalogueError`."""
        parse_table(addition.key, addition.table)  # refuse an entry that no process could load
        async with self._database.accept() as tx:
            row = await self._insert(tx, addition, by)
            await tx.audit.add(by.actor, "model.added", _list_facts(row), self._clock.now())
        await self.reload()
        return self._catalogue.added[row.key]

    async def remove(self, key: str, by: User) -> bool:
        """Withdraw a model at once; return false for a model that is withdrawn already. Jobs in progress go on."""
        async with self._database.accept() as tx:
            is_removed = await tx.models.remove(key, self._clock.now())
            if is_removed:
                await tx.audit.add(by.actor, "model.removed", {"model": key}, self._clock.now())
        await self.reload()
        return is_removed

    async def replace(self, key: str, addition: ModelAddition, by: User) -> AddedModel | None:
        """Withdraw a model and add its successor in one transaction; None if the model is withdrawn already."""
        parse_table(addition.key, addition.table)
        async with self._database.accept() as tx:
            if not await tx.models.remove(key, self._clock.now()):
                return None
            row = await self._insert(tx, addition, by)
            await tx.audit.add(by.actor, "model.updated", _list_facts(row) | {"before": key}, self._clock.now())
        await self.reload()
        return self._catalogue.added[row.key]

    async def _insert(self, tx: Transaction, addition: ModelAddition, by: User) -> ModelRow:
        """Insert a row under the first free key. A key is never given twice: jobs name their model by the key."""
        table = dict(addition.table)
        row = ModelRow(
            addition.key,
            *addition.place,
            ref=str(table["ref"]),
            version=str(table.get("version", "")),
            entry=table,
            fields=[field_to_json(field) for field in addition.fields],
            agreed_micros=addition.agreed_micros,
            by=by.actor,
            added_at=self._clock.now(),
        )
        for n in range(1, _MAX_NAMESAKES):
            candidate = replace(row, key=addition.key if n == 1 else f"{addition.key}-{n}")
            is_in_file = candidate.key in self._catalogue and candidate.key not in self._catalogue.added
            if not is_in_file and await tx.models.add(candidate):
                return candidate
        raise BadOption(f"There are too many models called {addition.key}. Give another key.", option="key")

    async def reload(self) -> None:
        """Read the changes of this and other processes now."""
        self._read.clear()
        await self.refresh()

    async def _read_changes(self) -> None:
        async with self._database.read() as tx:
            changes = await tx.models.count_changes()
            rows = await tx.models.list_rows() if changes != self._changes else []
        if changes == self._changes:
            return
        self._changes = changes
        self._catalogue.added.clear()
        for row in rows:
            try:
                self._catalogue.added[row.key] = _parse_row(row)
            except CatalogueError as error:  # of another version of Easel: the other models stay usable
                log.warning("model.unreadable", extra={"model": row.key, "reason": str(error)})


def _list_facts(row: ModelRow) -> dict[str, JSON]:
    return {"model": row.key, "ref": row.ref, "version": row.version, "agreed_micros": row.agreed_micros}


def _parse_row(row: ModelRow) -> AddedModel:
    model = replace(parse_table(row.key, row.entry), agreed_micros=row.agreed_micros or None)
    fields = tuple(field_from_json(as_object(field)) for field in row.fields)
    is_removed = row.removed_at is not None
    return AddedModel(model, fields, row.platform, row.workspace, row.added_at, is_removed)


def parse_table(key: str, table: Mapping[str, JSON]) -> Model:
    """Return the model of a stored entry. JSON knows no dates: `price.read_on` is text there."""
    price = as_object(table.get("price"))
    read_on = price.get("read_on")
    return parse_model(
        key, {**table, "price": {**price, "read_on": date.fromisoformat(read_on) if isinstance(read_on, str) else None}}
    )


def field_to_json(field: SchemaField) -> dict[str, JSON]:
    """Return a field for the table."""
    return {**asdict(field), "kinds": sorted(field.kinds), "choices": list(field.choices)}


def field_from_json(stored: Mapping[str, JSON]) -> SchemaField:
    """Return a field from the table; facts of a newer version of Easel are left out."""
    known: dict[str, Any] = {name: value for name, value in stored.items() if name in SchemaField.__slots__}
    tuples = {name: tuple(known.get(name) or ()) for name in ("choices", "aliases")}
    return SchemaField(**{**known, **tuples, "kinds": frozenset(map(FieldKind, known["kinds"]))})
