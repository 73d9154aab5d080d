"""Middlewares of the server: the token, errors as problem+json, and the rate limits."""

import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web

from bot.sandbox.problems import Problem, make_not_found, make_too_large, make_unauthenticated
from bot.sandbox.rate_limits import SandboxRateLimits

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
