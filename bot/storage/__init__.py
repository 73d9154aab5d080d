"""Stores rows in SQLite or PostgreSQL: the one package that imports SQLAlchemy and Alembic."""
