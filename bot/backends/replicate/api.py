"""Calls Replicate's HTTP API: the token, retries, lists page by page, and refusals as the bot's errors."""

import json
import logging
import random
from collections.abc import AsyncIterator
from ssl import SSLContext
from typing import Any
from urllib.parse import quote

import httpx

from bot.backends import http
from bot.backends.http import CircuitBreaker
from bot.backends.replicate.errors import SERVICE_DOWN, read_error
from bot.core.clock import Clock
from bot.core.errors import BackendBusy, BackendDown, InputRefused, SubmitUnclear
from bot.core.json import JSON, get_objects, get_text
from bot.telemetry import metrics

log = logging.getLogger(__name__)

MAX_TRIES = 4
"""Tries of one call, including the first, while the service cannot be reached."""

MAX_WAIT_SECONDS = 30.0
"""All waits of one call together, while the service is busy."""

_INITIAL_WAIT_SECONDS = 0.5

# A list that never ends is a fault of the service.
_MAX_LISTED_PAGES = 1_000

# These errors arise before a byte of the request is sent. After any other error the service may have the request.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


class Origins:
    """Decides which addresses may be read, and which may carry the token: replies may point anywhere."""

    def __init__(self, base_url: str) -> None:
        self.api = httpx.URL(base_url.rstrip("/") + "/v1/")

    def is_api(self, url: str) -> bool:
        """Return whether an address has the API's scheme, host and port."""
        address = _parse_url(url)
        return address is not None and _get_origin(address) == _get_origin(self.api)

    def may_stream(self, url: str) -> bool:
        """Return whether a stream may be read: by https, or from the API's own origin (the sandbox)."""
        address = _parse_url(url)
        return address is not None and (address.scheme == "https" or self.is_api(url))

    def may_carry_token(self, url: str) -> bool:
        """Return whether an address may get the token: the API, and Replicate's hosts if the API is Replicate's."""
        address = _parse_url(url)
        if address is None:
            return False
        return self.is_api(url) or (address.scheme == "https" and _is_replicate(address) and _is_replicate(self.api))


class RetryBackoff:
    """Decides for the failures of one call whether another try is worth a wait, and waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._waited_seconds = 0.0

    async def wait_or_raise(self, error: BackendBusy | BackendDown) -> None:
        """Wait before another try, or raise `error` when the tries or the seconds are used up."""
        self._failures += 1
        growing = _INITIAL_WAIT_SECONDS * 2 ** min(self._failures - 1, 5)
        if isinstance(error, BackendBusy):
            wait = max(error.retry_after_seconds, growing)
            is_over = self._waited_seconds + wait > MAX_WAIT_SECONDS
        else:
            wait = growing
            is_over = self._failures >= MAX_TRIES
        if is_over:
            raise error
        self._waited_seconds += wait
        await self._clock.sleep(with_jitter(wait))


class ReplicateApi:
    """Sends requests with the token. All methods raise a `BackendError` for a refusal, `PredictionGone` for a 404."""

    def __init__(
        self, base_url: str, token: str, clock: Clock, *, context: SSLContext, timeout: httpx.Timeout = http.API_TIMEOUT
    ) -> None:
        self.origins = Origins(base_url)
        # httpx raises on a token that no header can carry. Without a token Replicate answers 401, which users can read.
        is_token = bool(token) and token.isascii() and token.isprintable()
        self.authorization = {"Authorization": f"Bearer {token}"} if is_token else {}
        self.circuit_breaker = CircuitBreaker(clock, "replicate")
        self._clock = clock
        self._http = http.create_api_client(headers=self.authorization, context=context, timeout=timeout)

    async def request(self, method: str, path: str, **options: Any) -> JSON:
        """Send a repeatable call, and repeat the call while the service is away or busy. Return the reply's body."""
        backoff = RetryBackoff(self._clock)
        while True:
            try:
                return await self.try_request(method, path, **options)
            except (BackendBusy, BackendDown) as error:
                await backoff.wait_or_raise(error)

    async def try_request(self, method: str, path: str, **options: Any) -> JSON:
        """Send a call without a second try. Raise `BackendDown` if the service is away."""
        try:
            response = await self._send(method, path, **options)
            return self.parse_success(response)
        except (httpx.RequestError, ValueError) as error:
            raise BackendDown(SERVICE_DOWN) from error

    async def request_once(self, method: str, path: str, **options: Any) -> JSON:
        """Send a call that must not arrive twice. Raise `SubmitUnclear` if a broken call may have arrived."""
        response = await self.send_once(method, path, **options)
        if response.status_code >= 500:
            raise SubmitUnclear(f"HTTP {response.status_code}")
        try:
            return self.parse_success(response)
        except ValueError as error:
            raise SubmitUnclear("the reply is no JSON") from error

    async def send_once(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request, and return any response. Raise `BackendDown` if not sent, `SubmitUnclear` if perhaps."""
        try:
            return await self._send(method, path, **options)
        except _NEVER_SENT as error:
            raise BackendDown(SERVICE_DOWN) from error
        except httpx.RequestError as error:
            log.warning("replicate.create_unclear", extra={"reason": type(error).__name__})
            raise SubmitUnclear(type(error).__name__) from error

    async def iterate_items(self, path: str, *, method: str = "GET", **options: Any) -> AsyncIterator[dict[str, JSON]]:
        """Yield every object of a list, page after page. Raise `BackendDown` if a page leads to another host."""
        for _ in range(_MAX_LISTED_PAGES):
            page = await self.request(method, path, **options)
            for item in get_objects(page, "results"):
                yield item
            path = get_text(page, "next")
            if not path:
                return
            if not self.origins.is_api(path):
                raise BackendDown(SERVICE_DOWN)

    def parse_success(self, response: httpx.Response) -> JSON:
        """Return the body of a success. Raise a refusal's error, and `ValueError` for a body that is no JSON."""
        if not response.is_success:
            log_refusal(response)
            raise read_error(response, now=self._clock.now())
        body: JSON = json.loads(response.content) if response.content else None
        return body

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, self.origins.api.join(path), **options)
        except httpx.RequestError:
            self.circuit_breaker.record_failure()
            raise
        if response.status_code == 429:
            metrics.backend_rate_limited.labels(backend="replicate").inc()
        # Any reply below 500 proves that the service works, a refusal too.
        if response.status_code >= 500:
            self.circuit_breaker.record_failure()
        else:
            self.circuit_breaker.record_success()
        return response


def log_refusal(response: httpx.Response) -> None:
    # Replicate's support asks for CF-RAY.
    facts = {"status": response.status_code, "path": response.url.path, "ray": response.headers.get("cf-ray", "")}
    log.warning("replicate.refused", extra=facts)


def with_jitter(seconds: float) -> float:
    """Return up to a fifth more, so that many waiting calls do not return at the same moment."""
    return seconds * random.uniform(1.0, 1.2)  # noqa: S311 - only spreads load


def quote_ref(ref: str) -> str:
    """Return `owner/name` as a part of a path. Raise `InputRefused` for any other text: it could name another path."""
    owner, slash, name = ref.partition("/")
    if not (owner and slash and name) or "/" in name or {owner, name} & {".", ".."}:
        raise InputRefused(f"“{ref}” is no owner/name.")
    return f"{quote(owner, safe='')}/{quote(name, safe='')}"


def quote_id(name: str) -> str:
    """Return an id or a slug as a part of a path. Raise `InputRefused` if the path would become another."""
    if not name or name in (".", ".."):
        raise InputRefused(f"“{name}” is no id.")
    return quote(name, safe="")


def _parse_url(url: str) -> httpx.URL | None:
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return None
    return address if address.host and address.scheme in ("http", "https") else None


def _is_replicate(address: httpx.URL) -> bool:
    return address.host.endswith((".replicate.com", ".replicate.net"))


def _get_origin(address: httpx.URL) -> tuple[str, str, int]:
    return address.scheme, address.host, address.port or (443 if address.scheme == "https" else 80)
