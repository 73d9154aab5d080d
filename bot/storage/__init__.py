"""The database: one MetaData, one file per store, for SQLite and PostgreSQL."""
