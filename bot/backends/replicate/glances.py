"""When a run is looked at although nobody said that it is over: a picture done within 30 s costs three requests.

By stream these are the create, the stream and the last look; by webhook the create, one glance and the last look.
"""

from collections.abc import Iterator
from itertools import chain, repeat

from bot.core.models import Model, OutputKind

QUIET_SECONDS = 30.0
"""So long a picture's stream is trusted. It carries no progress, but neither do most jobs last."""

SECONDS_BETWEEN_GLANCES = 5.0
"""After that: people should see how far it is."""

SECONDS_BETWEEN_TEXT_GLANCES = 30.0
"""Text tells its progress itself; this look only catches a stream that lost its `done`."""

_SOONEST_SECONDS = 5.0
_LATEST_SECONDS = 20.0


def beside_a_stream(model: Model) -> Iterator[float]:
    """Seconds from each look to the next, without end."""
    if model.output is not OutputKind.PICTURES:
        return repeat(SECONDS_BETWEEN_TEXT_GLANCES)
    return chain([QUIET_SECONDS], repeat(SECONDS_BETWEEN_GLANCES))


def beside_webhooks(model: Model) -> Iterator[float]:
    """The one early look comes when the run should be over: it finds progress, a cold start, or a missed webhook."""
    first = min(max(model.usual_seconds * 1.5 + 3, _SOONEST_SECONDS), _LATEST_SECONDS)
    return chain([first, QUIET_SECONDS - first], repeat(SECONDS_BETWEEN_GLANCES))
