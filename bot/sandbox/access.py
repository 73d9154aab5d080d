"""The door of the server: the token, errors as problem+json, and the rate limits."""

import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web

from bot.sandbox.problems import Problem, not_found, too_large, unauthenticated
from bot.sandbox.rate_limits import RateLimits

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
F = TypeVar("F", bound=Callable[..., Any])
_RATE_HEADERS = web.RequestKey("rate_headers", dict[str, str])


def public(handler: F) -> F:
    """Marks a route whose address is itself the secret: no token is asked for."""
    handler.__dict__["is_public"] = True
    return handler


def problems_as_json() -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            return problem_response(problem)
        except web.HTTPRequestEntityTooLarge:
            return problem_response(too_large())
        except web.HTTPMethodNotAllowed as error:
            return problem_response(Problem(405, f'Method "{error.method}" not allowed.'))
        except web.HTTPNotFound:
            return problem_response(not_found())

    return middleware


def token_required(token: str) -> Any:
    """Bearer, or the legacy Token scheme; anything else is a 401."""
    accepted = [f"{scheme} {token}".encode() for scheme in ("Bearer", "Token")]

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode()
        if not _is_public(request) and not any(secrets.compare_digest(given, expected) for expected in accepted):
            raise unauthenticated()
        return await handler(request)

    return middleware


def rate_limited(rates: RateLimits) -> Any:
    """Counts each call of the API that has the token, and refuses what is too much when the limits are enforced."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _is_counted(request):
            return await handler(request)
        told = rates.spend(is_create=_is_create(request))
        request[_RATE_HEADERS] = told.headers
        if told.wait_seconds:
            raise rates.refusal(told, is_create=_is_create(request))
        return await handler(request)

    return middleware


@web.middleware
async def rate_limits_told(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost, so that refusals have the headers too."""
    response = await handler(request)
    told = request.get(_RATE_HEADERS)
    if told and not response.prepared:
        response.headers.update(told)
    return response


def problem_response(problem: Problem) -> web.Response:
    body = json.dumps(problem.body)
    return web.Response(status=problem.status, text=body, content_type="application/problem+json")


def _is_public(request: web.Request) -> bool:
    return getattr(request.match_info.handler, "is_public", False)


def _is_counted(request: web.Request) -> bool:
    return not _is_public(request) and not request.path.startswith("/sandbox/")


def _is_create(request: web.Request) -> bool:
    return request.method == "POST" and request.path.endswith("/predictions")
