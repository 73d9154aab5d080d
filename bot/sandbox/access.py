"""The door of the server: the token, errors as problem+json, and the rate-limit headers."""

import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web

from bot.sandbox.problems import Problem, not_found, too_large, unauthenticated
from bot.sandbox.rate_headers import RateHeaders

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
F = TypeVar("F", bound=Callable[..., Any])


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


def rate_limit_headers(rates: RateHeaders) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not response.prepared and not _is_public(request):
            response.headers.update(rates.spend(is_create=_is_create(request)))
        return response

    return middleware


def problem_response(problem: Problem) -> web.Response:
    body = json.dumps(problem.body)
    return web.Response(status=problem.status, text=body, content_type="application/problem+json")


def _is_public(request: web.Request) -> bool:
    return getattr(request.match_info.handler, "is_public", False)


def _is_create(request: web.Request) -> bool:
    return request.method == "POST" and request.path.endswith("/predictions")
