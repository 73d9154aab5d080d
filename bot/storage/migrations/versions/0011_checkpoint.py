"""Adds the checkpoint of `quota verify`."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"

_STATEMENTS = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Run the statements, separated by blank lines. Released SQL files never change."""
    connection = op.get_bind()
    text = (_STATEMENTS / f"{connection.dialect.name}.sql").read_text(encoding="utf-8")
    for statement in text.strip().split("\n\n"):
        connection.exec_driver_sql(statement)
