"""Stores rows in SQLite or PostgreSQL. No other package imports SQLAlchemy, Alembic or a driver."""
