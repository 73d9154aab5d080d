"""${message}"""

import sqlalchemy as sa
from alembic import op

revision = "${up_revision}"
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Never use `batch_alter_table` on accounts, jobs or ledger: on SQLite, their triggers would be dropped."""
