"""Middlewares of the server: the token, errors as problem+json, and the rate limits.

A token bucket for each kind of call is named in every reply and enforced on request. The limits are those of
replicate.com/docs/topics/predictions/rate-limits: 600 creates and 3000 other calls a minute.
"""

import json
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from bot.core.token_bucket import TokenBucket
from bot.sandbox.clock import SandboxClock
from bot.sandbox.problems import (
    Problem,
    make_low_credit_throttled,
    make_not_found,
    make_plain_throttled,
    make_too_large,
    make_unauthenticated,
)

# Rate limits.


@dataclass(frozen=True)
class SandboxRateLimit:
    """`burst` calls at once, then `per_minute` calls evenly."""

    per_minute: int
    burst: int


CREATE_LIMIT = SandboxRateLimit(600, burst=600)
OTHER_LIMIT = SandboxRateLimit(3000, burst=3000)
LOW_CREDIT_LIMIT = SandboxRateLimit(6, burst=1)


@dataclass(frozen=True)
class RateLimitResult:
    """The verdict on one call: the headers of the reply and, for a refused call, the seconds to wait."""

    headers: dict[str, str]
    wait_seconds: int = 0


class SandboxRateLimits:
    """`is_enforced` refuses calls beyond the limits; `has_low_credit` allows 6 creates a minute (accounts under $5)."""

    def __init__(
        self, clock: SandboxClock, creates: SandboxRateLimit = CREATE_LIMIT, others: SandboxRateLimit = OTHER_LIMIT
    ) -> None:
        self.is_enforced = False
        self._clock = clock
        self._is_reduced = False
        self._usual_creates = creates
        self._creates = _Bucket(creates, clock)
        self._others = _Bucket(others, clock)

    @property
    def has_low_credit(self) -> bool:
        return self._is_reduced

    @has_low_credit.setter
    def has_low_credit(self, is_low: bool) -> None:
        self._is_reduced = is_low
        self._creates = _Bucket(LOW_CREDIT_LIMIT if is_low else self._usual_creates, self._clock)

    def change(self, *, creates: SandboxRateLimit | None = None, others: SandboxRateLimit | None = None) -> None:
        """Set other limits, with full buckets."""
        if creates:
            self._usual_creates, self._creates = creates, _Bucket(creates, self._clock)
        if others:
            self._others = _Bucket(others, self._clock)

    def count_call(self, *, is_create: bool) -> RateLimitResult:
        """Count one call; a refused call is not counted."""
        bucket = self._creates if is_create else self._others
        return bucket.spend(is_enforced=self.is_enforced or (is_create and self._is_reduced))

    def create_problem(self, result: RateLimitResult, *, is_create: bool) -> Problem:
        """Return the 429 of a refused call."""
        return (make_low_credit_throttled if is_create and self._is_reduced else make_plain_throttled)(
            result.wait_seconds
        )


class _Bucket:
    def __init__(self, limit: SandboxRateLimit, clock: SandboxClock) -> None:
        began_at = clock.now()
        self._limit = limit
        self._bucket = TokenBucket(
            lambda: (clock.now() - began_at).total_seconds(), burst=limit.burst, per_second=limit.per_minute / 60
        )

    def spend(self, *, is_enforced: bool) -> RateLimitResult:
        if is_enforced and (seconds := self._bucket.seconds_until_available()):
            wait_seconds = max(1, math.ceil(seconds))
            return RateLimitResult(self._headers(wait_seconds), wait_seconds)
        self._bucket.level = max(0.0, self._bucket.level - 1)
        return RateLimitResult(self._headers(math.ceil(60 / self._limit.per_minute)))

    def _headers(self, reset_seconds: int) -> dict[str, str]:
        return {"ratelimit-remaining": str(int(self._bucket.level)), "ratelimit-reset": str(reset_seconds)}


# Middlewares.

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
F = TypeVar("F", bound=Callable[..., Any])
_RATE_HEADERS = web.RequestKey("rate_headers", dict[str, str])


def allow_without_token(handler: F) -> F:
    """Mark a route whose address is the secret: the route needs no token."""
    handler.__dict__["is_public"] = True
    return handler


def create_problem_middleware() -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            return create_problem_response(problem)
        except web.HTTPRequestEntityTooLarge:
            return create_problem_response(make_too_large())
        except web.HTTPMethodNotAllowed as error:
            return create_problem_response(Problem(405, f'Method "{error.method}" not allowed.'))
        except web.HTTPNotFound:
            return create_problem_response(make_not_found())

    return middleware


def create_token_middleware(token: str) -> Any:
    """Accept Bearer or the legacy Token scheme; other requests get a 401."""
    accepted = [f"{scheme} {token}".encode() for scheme in ("Bearer", "Token")]

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode()
        if not _is_public(request) and not any(secrets.compare_digest(given, expected) for expected in accepted):
            raise make_unauthenticated()
        return await handler(request)

    return middleware


def create_rate_limit_middleware(rates: SandboxRateLimits) -> Any:
    """Count each call with a valid token; refuse calls beyond enforced limits."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _is_counted(request):
            return await handler(request)
        result = rates.count_call(is_create=_is_create(request))
        request[_RATE_HEADERS] = result.headers
        if result.wait_seconds:
            raise rates.create_problem(result, is_create=_is_create(request))
        return await handler(request)

    return middleware


@web.middleware
async def add_rate_limit_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add the headers; outermost, so refusals have the headers too."""
    response = await handler(request)
    headers = request.get(_RATE_HEADERS)
    if headers and not response.prepared:
        response.headers.update(headers)
    return response


def create_problem_response(problem: Problem) -> web.Response:
    body = json.dumps(problem.body)
    return web.Response(status=problem.status, text=body, content_type="application/problem+json")


def _is_public(request: web.Request) -> bool:
    return getattr(request.match_info.handler, "is_public", False)


def _is_counted(request: web.Request) -> bool:
    return not _is_public(request) and not request.path.startswith("/sandbox/")


def _is_create(request: web.Request) -> bool:
    return request.method == "POST" and request.path.endswith("/predictions")
