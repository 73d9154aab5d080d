"""What a reply tells of the limit on creates."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CreateLimits:
    """What one reply to a create told, as far as it did."""

    remaining: int | None = None
    reset_seconds: float | None = None
    per_second: float | None = None
    """From the words of a 429: "reduced to 6 requests per minute"."""
    wait_seconds: float | None = None
    """Only of a 429: the create was refused, and the next may come after this."""
