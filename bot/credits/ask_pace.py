"""The pace of a user's asks, in memory: refused asks, repeats and reused results count as much as paid jobs.

`limits.check_rate` counts accepted jobs over all processes, in the transaction of the job, and forgets a refused job
with the transaction. This pace comes first, before files are fetched and before the database is written.
"""

from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.limits import MAX_PACED_USERS, MAX_REDELIVERIES, MAX_REMEMBERED_REQUESTS
from bot.core.people import User
from bot.credits.limits import build_pace_error

WINDOW_SECONDS = 60.0


class AskPace:
    """Admits at most `per_minute` asks of a user in a minute, also all of them at once; a refused ask is free."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # The generic cell rate algorithm, as in `storage.policies`: the time at which all admitted asks are paid off.
        self._free_at: RecentItems[tuple[str, str, str], float] = RecentItems(MAX_PACED_USERS)
        # The free deliveries left of each request. A page's client chooses the ids of requests: one id repeated without
        # end must not be free.
        self._free_deliveries: RecentItems[tuple[str, str, str, str], int] = RecentItems(MAX_REMEMBERED_REQUESTS)

    def count(self, user: User, request_key: str, per_minute: int | None) -> None:
        """Count an ask, once for all deliveries of a request. Raise `LimitReached` if the user asked too often."""
        if per_minute is None:
            return
        if per_minute == 0:
            raise build_pace_error(0, 0)
        key = (user.platform, user.workspace, user.id)
        if (free := self._free_deliveries.get((*key, request_key), 0)) > 0:
            self._free_deliveries[*key, request_key] = free - 1
            return
        now, interval = self._clock.monotonic(), WINDOW_SECONDS / per_minute
        free_at = max(self._free_at.get(key, now), now)
        wait_seconds = free_at - (now + WINDOW_SECONDS - interval)
        if wait_seconds > 1e-6:  # sums of intervals are not exact in floating point
            raise build_pace_error(per_minute, wait_seconds)
        self._free_at[key] = free_at + interval
        self._free_deliveries[*key, request_key] = MAX_REDELIVERIES
