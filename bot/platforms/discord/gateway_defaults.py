"""What the gateway tells, made whole: discord.py falls over what is missing in an event, and is deaf after that."""

import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

GatewayEvent = dict[str, Any]
EventParser = Callable[[Any], None]

_TEXT, _DIRECT = 0, 1
_THREADS = (10, 11, 12)
_LARGEST_FILE_BYTES = 10 * 1024 * 1024
_LONG_AGO = "1970-01-01T00:00:00+00:00"


def make_parsers_tolerant(readers: dict[str, EventParser]) -> None:
    """Put what arrives in order before discord.py reads it; of what cannot be read all the same, only a log is left."""
    for name, reader in list(readers.items()):
        readers[name] = _make_tolerant(name, reader)


def _make_tolerant(name: str, reader: EventParser) -> EventParser:
    def read(told: Any) -> None:
        try:
            reader(fill_interaction_defaults(told) if name == "INTERACTION_CREATE" else told)
        except Exception:  # anything: raised from here it would end the connection
            log.exception("discord.event_not_read", extra={"event": name})

    return read


def fill_interaction_defaults(interaction: GatewayEvent) -> GatewayEvent:
    """An interaction with all that discord.py asks of one. Proxies, and Discord itself where we are not, tell less."""
    guild = interaction.get("guild_id")
    made = {
        "version": 1,
        "attachment_size_limit": _LARGEST_FILE_BYTES,
        "context": 0 if guild else 1,
        "authorizing_integration_owners": {"0": guild or "0"},
        **{name: value for name, value in interaction.items() if value is not None},
    }
    told = {"id": interaction.get("channel_id"), "type": _TEXT if guild else _DIRECT, **(made.get("channel") or {})}
    return made | {"channel": _fill_thread(told) if told["type"] in _THREADS else _fill_channel(told)}


def _fill_channel(told: GatewayEvent) -> GatewayEvent:
    return {"name": "", "position": 0, "bitrate": 0, "user_limit": 0, **told}


def _fill_thread(told: GatewayEvent) -> GatewayEvent:
    """A thread whose channel nobody names is taken for one by itself."""
    metadata = {"archived": False, "auto_archive_duration": 1440, "archive_timestamp": _LONG_AGO}
    made = {"name": "", "parent_id": told["id"], "owner_id": "0", "message_count": 0, "member_count": 0, **told}
    return made | {"thread_metadata": metadata | (told.get("thread_metadata") or {})}
