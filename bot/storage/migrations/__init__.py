"""Alembic migrations: numbered files in `versions/`, each with a sentence."""
