"""How fast Slack takes calls: per method and workspace, told by nobody until it is too late.

The tiers are those of docs.slack.dev/apis/web-api/rate-limits: at least so many calls a minute. We stay below them.
"""

from bot.core.clock import Clock
from bot.core.platform import Pacer
from bot.streaming.pacer import Bucket, BucketPacer, Waiter

APPEND, START, STOP = "chat.appendStream", "chat.startStream", "chat.stopStream"
POST, UPDATE = "chat.postMessage", "chat.update"

SECONDS_BETWEEN_APPENDS = 0.5
SECONDS_BETWEEN_UPDATES = 1.2

# Calls a minute, and how many of them may come at once.
_TIERS = {2: (19, 11), 3: (48, 22), 4: (96, 40)}
_METHODS = {
    APPEND: _TIERS[4],
    START: _TIERS[2],
    STOP: _TIERS[2],
    UPDATE: _TIERS[3],
    POST: (58, 4),  # in one channel: one a second, with short bursts
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
_EAGERNESS = 0.12
"""What part of a burst is spent in each second, where several messages want turns all the time."""


class Allowance(Bucket):
    """At most `per_minute` calls in any minute, `burst` of them at once, the others evenly; fair between messages."""

    def __init__(self, clock: Clock, per_minute: float, burst: float) -> None:
        super().__init__(clock, limit=max(1, int(per_minute)), window=60.0)
        self._burst = max(1.0, burst)
        self._rate = max(0.01, (per_minute - self._burst) / 60.0)
        self._level = self._burst
        self._at = clock.monotonic()

    def is_ready(self, within: float) -> bool:
        """Whether a call that is made now would go within so many seconds."""
        now = self._clock.monotonic()
        return self._earliest(now, is_final=True) + len(self._waiters) / self._rate <= now + within

    def _earliest(self, now: float, *, is_final: bool) -> float:
        self._grants.clear()  # the level says all
        level = self._level_at(now)
        at = max(now + (1.0 - level) / self._rate if level < 1.0 - 1e-9 else now, self._blocked_until)
        # The more is left, the closer together: so a burst thins out instead of breaking off.
        return at if is_final else max(at, self._last + 1.0 / (self._rate + _EAGERNESS * level))

    def _grant(self, waiter: Waiter, now: float) -> None:
        self._level, self._at = self._level_at(now) - 1.0, now
        super()._grant(waiter, now)

    def _level_at(self, now: float) -> float:
        return min(self._burst, self._level + (now - self._at) * self._rate)


class Budgets:
    """One allowance for each workspace and method; of posts, one for each channel too. Shared by the live workers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._workers = 1
        self._allowances: dict[tuple[str, str, str], Allowance] = {}

    def of(self, team: str, method: str, channel: str = "") -> Allowance:
        key = (team, method, channel if method == POST else "")
        if key not in self._allowances:
            self._forget_idle()
            per_minute, burst = _METHODS.get(method, _OTHERS)
            self._allowances[key] = Allowance(self._clock, per_minute / self._workers, burst / self._workers)
        return self._allowances[key]

    def share(self, workers: int) -> None:
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

    def __init__(self, budgets: Budgets, clock: Clock, team: str) -> None:
        self._budgets = budgets
        self._clock = clock
        self._team = team
        self._shares: dict[str, BucketPacer] = {}
        self._last = float("-inf")
        self._paid = ""
        self.method = ""
        """What the next edit calls; empty while it calls nothing that is counted."""
        self.final_method = ""

    async def turn(self, *, is_final: bool) -> None:
        if not is_final:
            gap = SECONDS_BETWEEN_APPENDS if self.method == APPEND else SECONDS_BETWEEN_UPDATES
            wait = self._last + gap - self._clock.monotonic()
            if wait > 0 and self.method:
                await self._clock.sleep(wait)
        method = self.final_method if is_final else self.method
        if method and self._paid != method:
            await self._share(method).turn(is_final=is_final)
            self._paid = method
        self._last = self._clock.monotonic()

    def pay(self, method: str) -> bool:
        """Whether a call of that method is paid for by the turn; once."""
        is_paid = self._paid == method
        self._paid = "" if is_paid else self._paid
        return is_paid

    def leave(self) -> None:
        for share in self._shares.values():
            share.leave()
        self._shares.clear()

    def _share(self, method: str) -> BucketPacer:
        if method not in self._shares:
            self._shares[method] = self._budgets.of(self._team, method).pacer()
        return self._shares[method]
