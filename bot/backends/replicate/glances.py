"""When a run is looked at although nobody said that it is over: a picture done within 30 s costs three requests.

By stream these are the create, the stream and the last look; by webhook the create, one glance and the last look.
"""

from collections.abc import Iterator
from itertools import chain, repeat

from bot.core.models import Model, OutputKind

FIRST_POLL_BESIDE_STREAM_SECONDS = 30.0
"""So long a picture's stream is trusted. It carries no progress, but neither do most jobs last."""

SECONDS_BETWEEN_POLLS = 5.0
"""After that: people should see how far it is."""

SECONDS_BETWEEN_TEXT_POLLS = 30.0
"""Text tells its progress itself; this look only catches a stream that lost its `done`."""

_MIN_FIRST_POLL_SECONDS = 5.0
_MAX_FIRST_POLL_SECONDS = 20.0


def schedule_polls_beside_stream(model: Model) -> Iterator[float]:
    """Seconds from each look to the next, without end."""
    if model.output is not OutputKind.PICTURES:
        return repeat(SECONDS_BETWEEN_TEXT_POLLS)
    return chain([FIRST_POLL_BESIDE_STREAM_SECONDS], repeat(SECONDS_BETWEEN_POLLS))


def schedule_polls_beside_webhooks(model: Model) -> Iterator[float]:
    """The one early look comes when the run should be over: it finds progress, a cold start, or a missed webhook."""
    first = min(max(model.usual_seconds * 1.5 + 3, _MIN_FIRST_POLL_SECONDS), _MAX_FIRST_POLL_SECONDS)
    return chain([first, FIRST_POLL_BESIDE_STREAM_SECONDS - first], repeat(SECONDS_BETWEEN_POLLS))
