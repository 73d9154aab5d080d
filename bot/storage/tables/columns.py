"""Defines the shared MetaData and the column types, which mean the same on both engines."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from bot.core.people import Actor

metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
    }
)

StringColumn: TypeAlias = "sa.Column[str]"


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC datetimes, stored as `timestamptz` on PostgreSQL and without a zone on SQLite.

    Raises `ValueError` for a datetime without a time zone.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        in_utc = value.astimezone(UTC)
        return in_utc if dialect.name == "postgresql" else in_utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


class FreeText(TypeDecorator[str]):
    """Text written by people or models, stored without NUL and with lone surrogates replaced by `?`."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else _clean(value)


class Identifier(FreeText):
    """A key, compared byte by byte on both engines.

    Byte order makes a range of keys a prefix search. Identifiers are cleaned as text is: people type some of them.
    """

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[str]:
        return sa.Text(collation="C") if dialect.name == "postgresql" else sa.Text()


class Reference(Identifier):
    """An optional foreign key: an empty string in Python, NULL in the database."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return super().process_bind_param(value, dialect) or None

    def process_result_value(self, value: str | None, dialect: Dialect) -> str:
        return value or ""


class ActorText(TypeDecorator[Actor]):
    """The author of a change, as one identifier: see `format_actor`."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[str]:
        return Key.load_dialect_impl(dialect)

    def process_bind_param(self, value: Actor | None, dialect: Dialect) -> str | None:
        return None if value is None else _clean(format_actor(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Actor | None:
        return parse_actor(value or "")


def format_actor(actor: Actor) -> str:
    """Give the stored text of an actor: `platform:workspace:user`, the name of a part of the bot, or an empty text."""
    if actor.part or not (actor.platform or actor.workspace or actor.user):
        return _escape_part(actor.part)
    # The user is last: a colon in the user's id needs no escape.
    return f"{_escape_part(actor.platform)}:{_escape_part(actor.workspace)}:{actor.user}"


def parse_actor(text: str) -> Actor:
    """Give the actor of a stored text."""
    parts = text.split(":", 2)
    if len(parts) < 3:
        return Actor(part=_unescape_part(text))
    return Actor(_unescape_part(parts[0]), _unescape_part(parts[1]), parts[2])


def _escape_part(text: str) -> str:
    """Give a text without colons. Ids of platforms have neither colon nor percent sign, and stay as they are."""
    return text.replace("%", "%25").replace(":", "%3A")


def _unescape_part(text: str) -> str:
    return text.replace("%3A", ":").replace("%25", "%")


def _clean(text: str) -> str:
    # PostgreSQL refuses NUL in text, and neither engine encodes a lone surrogate. ASCII is the fast way out.
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


# JSON instead of JSONB: JSONB reorders keys, and inputs must be read exactly as sent. JSONB also refuses "\u0000".
Json = sa.JSON()
Key = Identifier()
Micros = sa.BigInteger()
# SQLite counts up only columns of the type INTEGER.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def key_column(name: str, *, is_primary: bool = False) -> StringColumn:
    """Define an identifier; empty means no identifier."""
    if is_primary:
        return sa.Column(name, Key, primary_key=True)
    return sa.Column(name, Key, nullable=False, server_default="")


def actor_column(name: str) -> "sa.Column[Actor]":
    """Define the author of a change; empty without an author."""
    return sa.Column(name, ActorText, nullable=False, server_default="")


def text_column(name: str) -> StringColumn:
    """Define free text, empty by default."""
    return sa.Column(name, FreeText, nullable=False, server_default="")


def flag_column(name: str) -> "sa.Column[bool]":
    """Define a boolean, false by default."""
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def count_column(name: str, *, default: int = 0) -> "sa.Column[int]":
    """Define a whole number."""
    return sa.Column(name, sa.Integer, nullable=False, server_default=str(default))


def micros_column(name: str) -> "sa.Column[int]":
    """Define an amount of money in micros, zero by default."""
    return sa.Column(name, Micros, nullable=False, server_default="0")


def json_column(name: str, *, default: str) -> "sa.Column[object]":
    """Define a JSON value; `default` is JSON text."""
    return sa.Column(name, Json, nullable=False, server_default=default)


def time_column(name: str, *, is_optional: bool = False) -> "sa.Column[datetime]":
    """Define an aware UTC datetime."""
    return sa.Column(name, UtcTime, nullable=is_optional)


def format_enum_check(column: str, values: type[StrEnum]) -> str:
    """Give the SQL of a CHECK: the column holds a value of the enumeration."""
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"
