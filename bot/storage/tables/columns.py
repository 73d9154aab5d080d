"""What all tables share: the one MetaData, and column types that mean the same on both engines."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
    }
)

BoundColumn: TypeAlias = "sa.Column[str]"


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC datetimes. SQLite keeps them without a zone, PostgreSQL as `timestamptz`."""

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


class Words(TypeDecorator[str]):
    """What people and models write. PostgreSQL takes no NUL and neither engine a lone surrogate, so both go."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "").encode("utf-8", "replace").decode()


class Identifier(Words):
    """Compared byte by byte on both engines, so that a range of ids is a prefix. People type these too."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[str]:
        return sa.Text(collation="C") if dialect.name == "postgresql" else sa.Text()


class Reference(Identifier):
    """A foreign key that may be empty: an empty string for us, NULL for the database."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return super().process_bind_param(value, dialect) or None

    def process_result_value(self, value: str | None, dialect: Dialect) -> str:
        return value or ""


# Plain JSON, not JSONB: inputs come back exactly as they were sent, and JSONB refuses "\u0000" in people's words.
Json = sa.JSON()
Key = Identifier()
Micros = sa.BigInteger()
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A number the database counts up: SQLite does so for its own INTEGER only."""


def key(name: str, *, is_primary: bool = False) -> BoundColumn:
    """An identifier, empty where there is none."""
    if is_primary:
        return sa.Column(name, Key, primary_key=True)
    return sa.Column(name, Key, nullable=False, server_default="")


def words(name: str) -> BoundColumn:
    """Free text, empty where there is none."""
    return sa.Column(name, Words, nullable=False, server_default="")


def flag(name: str) -> "sa.Column[bool]":
    """Yes or no; no unless said."""
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def count(name: str, *, default: int = 0) -> "sa.Column[int]":
    """A whole number that starts at `default`."""
    return sa.Column(name, sa.Integer, nullable=False, server_default=str(default))


def micros(name: str) -> "sa.Column[int]":
    """An amount of money, zero unless said."""
    return sa.Column(name, Micros, nullable=False, server_default="0")


def json_column(name: str, *, default: str) -> "sa.Column[object]":
    """A JSON value; `default` is its JSON text."""
    return sa.Column(name, Json, nullable=False, server_default=default)


def time(name: str, *, is_optional: bool = False) -> "sa.Column[datetime]":
    """An aware UTC datetime."""
    return sa.Column(name, UtcTime, nullable=is_optional)


def one_of(column: str, values: type[StrEnum]) -> str:
    """The CHECK that a column holds one of an enumeration's values."""
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"
