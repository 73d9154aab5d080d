"""Adds an index of granted wallets by workspace: a grant sums the grants that nobody has spent yet."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"

_STATEMENTS = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Run the statements, separated by blank lines. Released SQL files never change."""
    connection = op.get_bind()
    text = (_STATEMENTS / f"{connection.dialect.name}.sql").read_text(encoding="utf-8")
    for statement in text.strip().split("\n\n"):
        connection.exec_driver_sql(statement)
