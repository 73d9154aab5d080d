"""How fast Slack takes calls: per method and workspace, told by nobody until it is too late.

The tiers are those of docs.slack.dev/apis/web-api/rate-limits: at least so many calls a minute. We stay below them.
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

# Calls a minute, and how many of them may come at once.
_TIERS = {2: (19, 11), 3: (48, 22), 4: (96, 56)}
_METHODS = {
    APPEND_STREAM: _TIERS[4],
    START_STREAM: _TIERS[2],
    STOP_STREAM: _TIERS[2],
    UPDATE_MESSAGE: _TIERS[3],
    POST_MESSAGE: (58, 4),  # in one channel: one a second, with short bursts
    "chat.delete": _TIERS[3],
    "chat.postEphemeral": _TIERS[4],
    "conversations.open": _TIERS[3],
    "conversations.replies": _TIERS[3],
    "conversations.history": _TIERS[3],
    "users.info": _TIERS[4],
    "usergroups.list": _TIERS[2],
    "agents.sessions.setStatus": _TIERS[3],
}
_OTHERS = _TIERS[4]
_SPENT_IN_SECONDS = 6.0
"""What may be spent at once goes in about so long, where several messages want turns all the time."""


class SlackRateLimit(EditBucket):
    """At most `per_minute` calls in any minute, `burst` of them at once; fair between messages.

    So much is held back that a steady trickle never stops, however much was spent before. The rest is spent the faster
    the more there is of it: a burst thins out instead of breaking off, and one answer alone keeps its pace for minutes.
    """

    def __init__(self, clock: Clock, per_minute: float, burst: float) -> None:
        super().__init__(clock, limit=max(1, int(per_minute)), window_seconds=60.0)
        self._rate = max(0.01, (per_minute - max(1.0, burst)) / self._memory_seconds)

    def is_ready(self, within_seconds: float) -> bool:
        """Whether a call that is made now would go within so many seconds."""
        now = self._clock.monotonic()
        return self._earliest(now, is_final=True) + self._queue.waiting_count / self._rate <= now + within_seconds

    def _earliest(self, now: float, *, is_final: bool) -> float:
        while self._grants and self._grants[0].at <= now - self._memory_seconds:
            self._grants.popleft()
        at, spare = self._blocked_until, self._spare(now)
        if len(self._grants) >= self._limit:
            at = max(at, self._grants[0].at + self._memory_seconds)
        if not is_final or spare < 1.0:
            at = max(at, self._last_edit_at + 1.0 / (self._rate + max(0.0, spare - 1.0) / _SPENT_IN_SECONDS))
        return at

    def _spare(self, now: float) -> float:
        """How many calls may go now and leave enough for the trickle, until each of the calls made has grown old."""
        needed = [(grant.at + self._memory_seconds - now) * self._rate - n for n, grant in enumerate(self._grants)]
        return (
            self._limit - len(self._grants) - max(*needed, self._memory_seconds * self._rate - len(self._grants), 0.0)
        )


class SlackPostRateLimit(SlackRateLimit):
    """A bucket that holds `burst` calls and fills evenly: messages posted in one channel."""

    def __init__(self, clock: Clock, per_minute: float, burst: float) -> None:
        super().__init__(clock, per_minute, burst)
        burst = max(1.0, burst)
        self._rate = max(0.01, (per_minute - burst) / 60.0)
        self._bucket = TokenBucket(clock.monotonic, burst=burst, per_second=self._rate)

    def _earliest(self, now: float, *, is_final: bool) -> float:
        self._grants.clear()  # the level says all
        return max(now + self._bucket.seconds_until_available(), self._blocked_until)

    def record_grant(self, entry: QueueEntry) -> None:
        self._bucket.take()
        super().record_grant(entry)


class SlackRateLimits:
    """One allowance for each workspace and method; of posts, one for each channel too. Shared by the live workers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._workers = 1
        self._allowances: dict[tuple[str, str, str], SlackRateLimit] = {}

    def get(self, team: str, method: str, channel: str = "") -> SlackRateLimit:
        key = (team, method, channel if method == POST_MESSAGE else "")
        if key not in self._allowances:
            self._forget_idle()
            per_minute, burst = _METHODS.get(method, _OTHERS)
            kind = SlackPostRateLimit if method == POST_MESSAGE else SlackRateLimit
            self._allowances[key] = kind(self._clock, per_minute / self._workers, burst / self._workers)
        return self._allowances[key]

    def set_worker_count(self, workers: int) -> None:
        """So many processes speak for the same app: each takes its part."""
        workers = max(1, workers)
        if workers != self._workers:
            self._workers = workers
            self._allowances.clear()

    def _forget_idle(self) -> None:
        if len(self._allowances) > 1000:
            self._allowances = {key: one for key, one in self._allowances.items() if not one.is_idle}


class SlackPacer(Pacer):
    """The turns of one message. A turn takes the allowance of the call that the edit will make: `pay` gives it."""

    def __init__(self, budgets: SlackRateLimits, clock: Clock, team: str) -> None:
        self._budgets = budgets
        self._clock = clock
        self._team = team
        self._shares: dict[str, BucketPacer] = {}
        self._last = float("-inf")
        self._paid = ""
        self.next_method = ""
        """What the next edit calls; empty while it calls nothing that is counted."""
        self.final_method = ""

    async def wait_for_edit(self, *, is_final: bool) -> None:
        if not is_final:
            gap = SECONDS_BETWEEN_APPENDS if self.next_method == APPEND_STREAM else SECONDS_BETWEEN_UPDATES
            wait = self._last + gap - self._clock.monotonic()
            if wait > 0 and self.next_method:
                await self._clock.sleep(wait)
        method = self.final_method if is_final else self.next_method
        if method and self._paid != method:
            await self._share(method).wait_for_edit(is_final=is_final)
            self._paid = method
        self._last = self._clock.monotonic()

    def use_turn(self, method: str) -> bool:
        """Whether a call of that method is paid for by the turn; once."""
        is_paid = self._paid == method
        self._paid = "" if is_paid else self._paid
        return is_paid

    def close(self) -> None:
        for share in self._shares.values():
            share.close()
        self._shares.clear()

    def _share(self, method: str) -> BucketPacer:
        if method not in self._shares:
            self._shares[method] = self._budgets.get(self._team, method).pacer()
        return self._shares[method]
