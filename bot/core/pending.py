"""What waits for somebody's answer: an ask that costs much, a deletion to be confirmed, a deletion to be finished."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.core.json import JSON


@dataclass(frozen=True, slots=True)
class Pending:
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


class PendingStore(Protocol):
    """Things that wait."""

    async def put(self, pending: Pending) -> None:
        """Insert, or replace what waits under that id."""
        ...

    async def get(self, pending_id: str) -> Pending | None: ...

    async def take(
        self, pending_id: str, kind: str, platform: str, workspace: str, user: str, at: datetime
    ) -> Pending | None:
        """Remove it and give it, once and to its person only; None when it is gone, expired, or somebody else's."""
        ...

    async def of_kind(self, kind: str) -> list[Pending]:
        """All of one kind, oldest first."""
        ...

    async def remove(self, pending_id: str) -> None:
        """Harmless when it is gone."""
        ...

    async def forget_expired(self, before: datetime) -> int: ...
