"""Databases of earlier releases, as SQL text for both engines."""
