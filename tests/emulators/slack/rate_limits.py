"""Slack's rate limits per method, app and workspace: docs.slack.dev/apis/web-api/rate-limits.

Slack guarantees a minimum per minute and tolerates short bursts; the emulator allows exactly the minimum in any minute.
chat.postMessage has its own limit: a message per second and channel, with short bursts.
"""

import math
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from tests.emulators.slack.request_log import SlackCallRecord, SlackErrorResponse

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator


CALLS_PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}
SPECIAL_CALLS_PER_MINUTE = 600
POST_BURST = 5
POSTS_PER_MINUTE = 300
_WINDOW_SECONDS = 60.0


class SlackRateLimitCounter:
    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack
        self._taken: dict[tuple[str, ...], deque[float]] = defaultdict(deque)
        self._post_buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def count(self, call: SlackCallRecord, tier: int) -> None:
        """Count a call. Raise `SlackErrorResponse` with the seconds to wait if the limit is used up."""
        if not self._slack.options.enforces_rate_limits:
            return
        if call.method == "chat.postMessage":
            self._count_post(call)
            limit = POSTS_PER_MINUTE
        else:
            limit = CALLS_PER_MINUTE.get(tier, SPECIAL_CALLS_PER_MINUTE)
        now, call_times = self._slack.clock.now(), self._taken[call.method, call.team_id]
        while call_times and now - call_times[0] >= _WINDOW_SECONDS:
            call_times.popleft()
        if len(call_times) >= limit:
            raise SlackErrorResponse("ratelimited", retry_after=math.ceil(call_times[0] + _WINDOW_SECONDS - now))
        call_times.append(now)

    def _count_post(self, call: SlackCallRecord) -> None:
        """Count a post in the channel's bucket of five, refilled once a second."""
        now, key = self._slack.clock.now(), (call.team_id, str(call.args.get("channel", "")))
        tokens, at = self._post_buckets.get(key, (float(POST_BURST), now))
        tokens = min(float(POST_BURST), tokens + now - at)
        if tokens < 1:
            raise SlackErrorResponse("ratelimited", retry_after=max(1, math.ceil(1 - tokens)))
        self._post_buckets[key] = (tokens - 1, now)
