"""The whole MetaData: importing this file is what fills it."""

from bot.storage.tables import moderation, money, people, runs, talk, work
from bot.storage.tables.columns import metadata

__all__ = ["metadata", "moderation", "money", "people", "runs", "talk", "work"]
