"""Refusals with Replicate's texts: RFC 7807 bodies (application/problem+json)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


class Problem(Exception):
    """Raised by a route; the server replies with the status and the body."""

    def __init__(self, status: int, detail: str, *, title: str | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body: dict[str, Any] = {"detail": detail, "status": status, **extra}
        if title:
            self.body["title"] = title


@dataclass(frozen=True)
class InvalidField:
    """One entry of `invalid_fields`; for a missing field, `field` is the parent."""

    type: str
    field: str
    description: str


def make_unauthenticated() -> Problem:
    return Problem(401, "You did not pass a valid authentication token", title="Unauthenticated")


def make_not_found(detail: str = "The requested resource could not be found.") -> Problem:
    return Problem(404, detail)


def make_invalid_input(fields: Sequence[InvalidField], title: str = "Input validation failed") -> Problem:
    lines = [
        f"- {field.field}: {field.description}\n" if field.field else f"- {field.description}\n" for field in fields
    ]
    return Problem(422, "".join(lines), title=title, invalid_fields=[asdict(field) for field in fields])


def make_invalid_version() -> Problem:
    detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
    return Problem(422, detail, title="Invalid version or not permitted")


def make_insufficient_credit() -> Problem:
    detail = (
        "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to "
        "purchase credit. Once you purchase credit, please wait a few minutes before trying again."
    )
    return Problem(402, detail, title="Insufficient credit")


def make_throttled(seconds: int) -> Problem:
    detail = f"Request was throttled. Your rate limit resets in ~{seconds}s."
    return Problem(429, detail, retry_after=seconds)


def make_plain_throttled(seconds: int) -> Problem:
    """Return the older body, with the wait only in the text."""
    problem = Problem(429, f"Request was throttled. Expected available in {seconds} second{'s' * (seconds != 1)}.")
    del problem.body["status"]
    return problem


def make_low_credit_throttled(seconds: int) -> Problem:
    """Return the refusal for an account with little credit, as seen in 2026-08."""
    detail = (
        "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute with a "
        f"burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~{seconds}s."
    )
    return Problem(429, detail, retry_after=seconds)


def make_too_large() -> Problem:
    # The specification shows this body without status and title.
    problem = Problem(413, "Files must be less than 100MB in size")
    del problem.body["status"]
    return problem


def make_server_error() -> Problem:
    return Problem(500, "Internal server error", title="Internal Server Error")
