"""A chat that goes on, and the messages of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TurnRole(StrEnum):
    """Who speaks in a turn."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A chat that goes on, one for each channel and thread."""

    id: str
    platform: str
    workspace: str
    channel: str
    thread: str
    model: str
    system: str
    starter: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation. `files` are SHA-256s of kept pictures."""

    id: str
    conversation: str
    role: TurnRole
    text: str
    created_at: datetime
    parent: str = ""
    job: str = ""
    user: str = ""
    files: tuple[str, ...] = ()
    platform_message: str = ""
