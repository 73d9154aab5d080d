"""What waits for somebody's answer: an ask that costs much, a deletion to be confirmed, a deletion to be finished."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.core.json import JSON


@dataclass(frozen=True, slots=True)
class PendingAction:
    """One thing that waits, for one person, until it is taken or expires."""

    id: str
    kind: str
    """`consent` (buttons that go ahead or not) or `erasure` (a person's data that is being deleted)."""
    platform: str
    workspace: str
    channel: str
    user: str
    facts: Mapping[str, JSON]
    created_at: datetime
    expires_at: datetime
