"""Alembic migrations: numbered files under `versions/`, one sentence each."""
