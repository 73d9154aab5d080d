"""Rate limits of Slack's methods, for each workspace, and the pace of edits of a message.

Slack announces no remaining budget; a call beyond the limit is the first notice. The limits are the tiers of
docs.slack.dev/apis/web-api/rate-limits: at least so many calls a minute. The bot stays below the tiers.
"""

from bot.core.clock import Clock
from bot.core.fair_queue import QueueEntry
from bot.core.platform import Pacer
from bot.core.token_bucket import TokenBucket
from bot.streaming.pacer import BucketPacer, EditBucket

APPEND_STREAM, START_STREAM, STOP_STREAM = "chat.appendStream", "chat.startStream", "chat.stopStream"
POST_MESSAGE, UPDATE_MESSAGE = "chat.postMessage", "chat.update"

SECONDS_BETWEEN_APPENDS = 0.5
SECONDS_BETWEEN_UPDATES = 1.2

# (calls a minute, calls at once), by tier.
_TIERS = {2: (19, 11), 3: (48, 22), 4: (96, 56)}
_METHODS = {
    APPEND_STREAM: _TIERS[4],
    START_STREAM: _TIERS[2],
    STOP_STREAM: _TIERS[2],
    UPDATE_MESSAGE: _TIERS[3],
    POST_MESSAGE: (58, 4),  # one message a second in each channel, with short bursts
    "chat.delete": _TIERS[3],
    "chat.postEphemeral": _TIERS[4],
    "conversations.open": _TIERS[3],
    "conversations.replies": _TIERS[3],
    "conversations.history": _TIERS[3],
    "users.info": _TIERS[4],
    "usergroups.list": _TIERS[2],
    "agents.sessions.setStatus": _TIERS[3],
    "canvases.getContent": _TIERS[3],
}
_OTHER_METHODS = _TIERS[4]
# While several messages wait for turns all the time, the spare budget is spent in about this time.
_SPEND_SECONDS = 6.0
_MAX_RATE_LIMITS = 1000


class SlackRateLimit(EditBucket):
    """At most `per_minute` calls in any minute, `burst` calls at once; fair between messages.

    A reserve keeps a steady trickle of calls going, however many calls were made before. A larger rest is spent
    faster: a burst thins out instead of breaking off, and a single answer keeps a steady pace for minutes.
    """

    def __init__(self, clock: Clock, per_minute: float, burst: float) -> None:
        super().__init__(clock, limit=max(1, int(per_minute)), window_seconds=60.0)
        self._rate = max(0.01, (per_minute - max(1.0, burst)) / self._memory_seconds)

    def is_ready(self, within_seconds: float) -> bool:
        """Return whether a call would start within this time, behind the calls that wait already."""
        now = self._clock.monotonic()
        return self._earliest(now, is_final=True) + self._queue.waiting_count / self._rate <= now + within_seconds

    def _earliest(self, now: float, *, is_final: bool) -> float:
        while self._grants and self._grants[0].at <= now - self._memory_seconds:
            self._grants.popleft()
        at, spare = self._blocked_until, self._count_spare(now)
        if len(self._grants) >= self._limit:
            at = max(at, self._grants[0].at + self._memory_seconds)
        if not is_final or spare < 1.0:
            at = max(at, self._last_edit_at + 1.0 / (self._rate + max(0.0, spare - 1.0) / _SPEND_SECONDS))
        return at

    def _count_spare(self, now: float) -> float:
        """Return the calls that may start now without starving the trickle before past calls leave the window."""
        needed = [(grant.at + self._memory_seconds - now) * self._rate - n for n, grant in enumerate(self._grants)]
        return (
            self._limit - len(self._grants) - max(*needed, self._memory_seconds * self._rate - len(self._grants), 0.0)
        )


class SlackPostRateLimit(SlackRateLimit):
    """A bucket of `burst` calls, refilled evenly: for the messages posted in a channel."""

    def __init__(self, clock: Clock, per_minute: float, burst: float) -> None:
        super().__init__(clock, per_minute, burst)
        burst = max(1.0, burst)
        self._rate = max(0.01, (per_minute - burst) / 60.0)
        self._bucket = TokenBucket(clock.monotonic, burst=burst, per_second=self._rate)

    def _earliest(self, now: float, *, is_final: bool) -> float:
        self._grants.clear()  # the bucket accounts for past calls
        return max(now + self._bucket.seconds_until_available(), self._blocked_until)

    def record_grant(self, entry: QueueEntry) -> None:
        self._bucket.take()
        super().record_grant(entry)


class SlackRateLimits:
    """A rate limit for each workspace and method, for posts also for each channel; split between live workers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._workers = 1
        self._rate_limits: dict[tuple[str, str, str], SlackRateLimit] = {}

    def get(self, team: str, method: str, channel: str = "") -> SlackRateLimit:
        key = (team, method, channel if method == POST_MESSAGE else "")
        if key not in self._rate_limits:
            self._forget_idle()
            per_minute, burst = _METHODS.get(method, _OTHER_METHODS)
            kind = SlackPostRateLimit if method == POST_MESSAGE else SlackRateLimit
            self._rate_limits[key] = kind(self._clock, per_minute / self._workers, burst / self._workers)
        return self._rate_limits[key]

    def set_worker_count(self, workers: int) -> None:
        """Give this process a share: all live workers call Slack as the same app."""
        workers = max(1, workers)
        if workers != self._workers:
            self._workers = workers
            self._rate_limits.clear()

    def _forget_idle(self) -> None:
        # A dropped limit would forget past calls, so limits in use stay.
        if len(self._rate_limits) > _MAX_RATE_LIMITS:
            self._rate_limits = {key: limit for key, limit in self._rate_limits.items() if not limit.is_idle}


class SlackPacer(Pacer):
    """The pace of a message. A turn takes a call from the rate limit of the next edit's method.

    `next_method` is called by the next edit, `final_method` by the last edit; empty for a method without a limit.
    """

    def __init__(
        self, rate_limits: SlackRateLimits, clock: Clock, team: str, *, next_method: str = "", final_method: str = ""
    ) -> None:
        self._rate_limits = rate_limits
        self._clock = clock
        self._team = team
        self._next_method = next_method
        self._final_method = final_method
        self._pacers: dict[str, BucketPacer] = {}
        self._last_edit_at = float("-inf")
        self._granted_method = ""

    async def wait_for_edit(self, *, is_final: bool) -> None:
        if not is_final:
            gap = SECONDS_BETWEEN_APPENDS if self._next_method == APPEND_STREAM else SECONDS_BETWEEN_UPDATES
            wait = self._last_edit_at + gap - self._clock.monotonic()
            if wait > 0 and self._next_method:
                await self._clock.sleep(wait)
        method = self._final_method if is_final else self._next_method
        if method and self._granted_method != method:
            await self._get_pacer(method).wait_for_edit(is_final=is_final)
            self._granted_method = method
        self._last_edit_at = self._clock.monotonic()

    def use_turn(self, method: str) -> bool:
        """Return whether the current turn covers a call of this method; a turn covers a single call."""
        has_turn = self._granted_method == method
        self._granted_method = "" if has_turn else self._granted_method
        return has_turn

    def switch_to_updates(self) -> None:
        """Take further turns for edits of the whole message: the stream has ended."""
        self._next_method = UPDATE_MESSAGE

    def close(self) -> None:
        for pacer in self._pacers.values():
            pacer.close()
        self._pacers.clear()

    def _get_pacer(self, method: str) -> BucketPacer:
        if method not in self._pacers:
            self._pacers[method] = self._rate_limits.get(self._team, method).pacer()
        return self._pacers[method]
