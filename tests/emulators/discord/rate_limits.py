"""Discord's rate limits: buckets with headers, the global limit, and hidden limits without headers.

Bucket sizes were measured by the community; Discord documents only the headers.
"""

import hashlib
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.discord.clock import DiscordClock

MAX_GLOBAL_CALLS, GLOBAL_SECONDS = 50, 1.0


@dataclass(frozen=True)
class DiscordRateLimit:
    """`calls` per `seconds` and value of the path parameters in `per`. Operations of a `bucket` count together."""

    bucket: str
    calls: int
    seconds: float
    per: tuple[str, ...] = ("channel_id",)


_WEBHOOK = DiscordRateLimit("interaction webhook", 5, 2.0, ("webhook_token",))
_THREADS = DiscordRateLimit("threads", 50, 300.0)
_COMMANDS = DiscordRateLimit("commands", 20, 20.0, ("application_id", "guild_id"))
_READS = DiscordRateLimit("reads", 50, 1.0, ("channel_id", "guild_id", "webhook_token"))
_OTHERS = DiscordRateLimit("others", 10, 5.0, ("channel_id", "guild_id"))

LIMITS: Mapping[str, DiscordRateLimit] = {
    "create_message": DiscordRateLimit("messages created", 5, 5.0),
    "update_message": DiscordRateLimit("messages edited", 5, 5.0),
    "delete_message": DiscordRateLimit("messages deleted", 5, 1.0),
    "trigger_typing_indicator": DiscordRateLimit("typing", 5, 5.0),
    "add_my_message_reaction": DiscordRateLimit("reactions", 4, 1.0),
    "delete_my_message_reaction": DiscordRateLimit("reactions", 4, 1.0),
    "create_thread": _THREADS,
    "create_thread_from_message": _THREADS,
    "create_dm": DiscordRateLimit("direct channels", 10, 10.0, ()),
    "execute_webhook": _WEBHOOK,
    "update_original_webhook_message": _WEBHOOK,
    "update_webhook_message": _WEBHOOK,
    "delete_original_webhook_message": _WEBHOOK,
    "delete_webhook_message": _WEBHOOK,
    "bulk_set_application_commands": _COMMANDS,
    "bulk_set_guild_application_commands": _COMMANDS,
    "create_application_command": _COMMANDS,
    "create_guild_application_command": _COMMANDS,
}

HIDDEN_LIMITS: Mapping[str, DiscordRateLimit] = {
    "followup": DiscordRateLimit("followups of a channel", 30, 60.0, ("channel_id",)),
    "rename": DiscordRateLimit("renames", 2, 600.0),
}
"""Limits without headers: channel renames (PATCH /channels with a new name), and followups per channel over all
interactions. Keys are these two, or ids of operations.
"""

OPERATIONS_WITHOUT_BUCKET = {"create_interaction_response", "get_gateway", "get_bot_gateway"}
"""Operations that are not in any bucket."""

_FREE_OF_THE_GLOBAL_LIMIT = ("webhook_token", "interaction_token")


@dataclass
class _Window:
    """A counting window; the first call starts the window."""

    ends_at: float = 0.0
    used: int = 0


@dataclass
class DiscordRateLimitDecision:
    """`retry_after` (seconds) is set if the call is refused; `scope` is the kind of limit."""

    headers: dict[str, str]
    retry_after: float | None = None
    scope: str = "user"


@dataclass
class DiscordRateLimitCounter:
    """Counts calls. Tests change sizes: `limits["create_message"] = DiscordRateLimit(...)`, also in `hidden`."""

    clock: DiscordClock
    limits: dict[str, DiscordRateLimit] = field(default_factory=lambda: dict(LIMITS))
    hidden: dict[str, DiscordRateLimit] = field(default_factory=lambda: dict(HIDDEN_LIMITS))
    max_global_calls: int = MAX_GLOBAL_CALLS
    _windows: dict[tuple[Any, ...], _Window] = field(default_factory=dict)
    _recent: deque[float] = field(default_factory=deque)

    def take(self, operation: str, method: str, parameters: Mapping[str, str]) -> DiscordRateLimitDecision:
        """Count a call of an operation (the id in Discord's description)."""
        if not any(name in parameters for name in _FREE_OF_THE_GLOBAL_LIMIT) and (wait := self._global_wait()):
            return DiscordRateLimitDecision({}, wait, "global")
        if operation in OPERATIONS_WITHOUT_BUCKET:
            return DiscordRateLimitDecision({})
        limit = self.limits.get(operation) or (_READS if method == "GET" else _OTHERS)
        family = limit.bucket if operation in self.limits else f"{limit.bucket} {operation}"
        window = self._window(limit, family, parameters)
        refused = window.used >= limit.calls
        window.used += not refused
        left = window.ends_at - self.clock.now()
        headers = self._headers(limit, family, window, left)
        if refused:
            return DiscordRateLimitDecision(headers, left)
        return self._decide_hidden(operation, parameters, headers)

    def take_hidden(self, name: str, parameters: Mapping[str, str]) -> float | None:
        """Return seconds to wait if the hidden limit `name` is used up, else None."""
        limit = self.hidden.get(name)
        if limit is None:
            return None
        window = self._window(limit, f"hidden {name}", parameters)
        if window.used >= limit.calls:
            return window.ends_at - self.clock.now()
        window.used += 1
        return None

    def _decide_hidden(
        self, operation: str, parameters: Mapping[str, str], headers: dict[str, str]
    ) -> DiscordRateLimitDecision:
        wait = self.take_hidden(operation, parameters)
        return DiscordRateLimitDecision(headers, wait, "shared") if wait else DiscordRateLimitDecision(headers)

    def _window(self, limit: DiscordRateLimit, family: str, parameters: Mapping[str, str]) -> _Window:
        key = (family, *(parameters.get(name) for name in limit.per))
        window = self._windows.setdefault(key, _Window())
        if self.clock.now() >= window.ends_at:
            window.ends_at = self.clock.now() + self.clock.scale(limit.seconds)
            window.used = 0
        return window

    def _global_wait(self) -> float | None:
        now, span = self.clock.now(), self.clock.scale(GLOBAL_SECONDS)
        while self._recent and self._recent[0] <= now - span:
            self._recent.popleft()
        if len(self._recent) >= self.max_global_calls:
            return self._recent[0] + span - now
        self._recent.append(now)
        return None

    def _headers(self, limit: DiscordRateLimit, family: str, window: _Window, left: float) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(limit.calls),
            "X-RateLimit-Remaining": str(max(0, limit.calls - window.used)),
            "X-RateLimit-Reset": round_up_to_milliseconds(window.ends_at),
            "X-RateLimit-Reset-After": round_up_to_milliseconds(left),
            "X-RateLimit-Bucket": hashlib.sha256(family.encode()).hexdigest()[:32],
        }


def round_up_to_milliseconds(seconds: float) -> str:
    """Format seconds rounded up: a client that waits as long is never early."""
    return f"{math.ceil(seconds * 1000) / 1000:.3f}"
