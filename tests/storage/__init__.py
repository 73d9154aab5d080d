"""The stores, their constraints and their engines, on SQLite and on PostgreSQL."""
