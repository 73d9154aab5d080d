"""The owner's servers (tables `[backends.NAME]`): HTTP whose key stays at the origin and whose replies have a size."""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from aiohttp.web import RouteDef

from bot.backends import http
from bot.backends.http import CircuitBreaker
from bot.core.backend import BackendConfig, RunNotificationHandler
from bot.core.clock import Clock
from bot.core.errors import (
    BackendBusy,
    BackendDown,
    BackendError,
    BackendOutOfCredit,
    BackendRefusedToken,
    InputRefused,
    ModelFailed,
    RunLost,
)
from bot.core.json import JSON, as_object, get_object, get_objects, get_text
from bot.core.limits import MAX_SERVER_REPLY_BYTES
from bot.core.text import mend_text
from bot.telemetry import metrics

log = logging.getLogger(__name__)

_DEFAULT_BUSY_SECONDS = 5.0
_AWAY_STATUSES = (502, 503, 504)
_MAX_REASON_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class ServerReply:
    """A whole reply. `content` was read within the bound of the call."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def parse(self) -> JSON:
        """Return the body. Raise `ValueError` for a body that is no JSON."""
        body: JSON = json.loads(self.content) if self.content else None
        return body


class ServerApi:
    """Sends requests to one server. All methods raise a `BackendError` with a sentence that names the server.

    The key goes to the configured origin alone: no redirect is followed, and no path leaves the base address.
    """

    def __init__(self, config: BackendConfig, clock: Clock, *, timeout: httpx.Timeout = http.API_TIMEOUT) -> None:
        self.config = config
        self.service = f"The model server {config.name}"
        self.circuit_breaker = CircuitBreaker(clock, config.name, self.service)
        # httpx raises on a key that no header can carry. Without a key the server answers 401, which users can read.
        is_key = bool(config.key) and config.key.isascii() and config.key.isprintable()
        headers = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {config.key}"} if is_key else {})}
        self._http = http.create_api_client(
            headers=headers, context=http.create_context_for(config.url), timeout=timeout
        )

    async def request_json(
        self, method: str, path: str, *, max_bytes: int = MAX_SERVER_REPLY_BYTES, **options: Any
    ) -> JSON:
        """Send a repeatable call; return the body of a success. Raise the error of a refusal."""
        reply = await self.request(method, path, max_bytes=max_bytes, **options)
        if not 200 <= reply.status < 300:
            raise self.read_error(reply)
        try:
            return reply.parse()
        except ValueError as error:
            raise BackendDown(f"{self.service} answers with something that is not JSON. Is its url right?") from error

    async def request(
        self, method: str, path: str, *, max_bytes: int = MAX_SERVER_REPLY_BYTES, **options: Any
    ) -> ServerReply:
        """Send one call and return any reply. Raise `BackendDown` without a reply, `ModelFailed` if it is too large."""
        async with self.stream(method, path, **options) as response:
            return await self.read_reply(response, max_bytes=max_bytes)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, sent: asyncio.Event | None = None, **options: Any
    ) -> AsyncIterator[httpx.Response]:
        """Yield a response whose body is not read yet. `sent` is set when the request left whole.

        Raise `BackendDown` if the request surely did not arrive, or `sent` is None; `RunLost` if the reply never came.
        """
        progress = _SendProgress(sent)
        request = self._http.build_request(method, self._join(path), extensions={"trace": progress.trace}, **options)
        try:
            response = await self._http.send(request, stream=True)
        except httpx.RequestError as error:
            self.circuit_breaker.record_failure()
            raise self._describe_break(error, has_arrived=sent is not None and progress.has_begun) from error
        try:
            if response.status_code == 429:
                metrics.backend_rate_limited.labels(backend=self.config.name).inc()
            # A 500 is a failed run, such as a request too large for the memory: one person's requests must not take the
            # server away from all. A proxy's 502 and 504, and 503, mean the server.
            if response.status_code in _AWAY_STATUSES:
                self.circuit_breaker.record_failure()
            else:
                self.circuit_breaker.record_success()
            yield response
        finally:
            await response.aclose()

    async def read_reply(self, response: httpx.Response, *, max_bytes: int = MAX_SERVER_REPLY_BYTES) -> ServerReply:
        """Read the body of a response, up to a bound. Raise `ModelFailed` beyond, `RunLost` if the reply breaks off."""
        chunks: list[bytes] = []
        async for chunk in self.iterate_chunks(response, max_bytes=max_bytes):
            chunks.append(chunk)
        return ServerReply(response.status_code, response.headers, b"".join(chunks))

    async def iterate_chunks(self, response: httpx.Response, *, max_bytes: int) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises as `read_reply` does."""
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            # A small compressed reply may unpack to gigabytes.
            raise ModelFailed(f"{self.service} sends its reply compressed, although the bot asked it not to.")
        size_bytes = 0
        try:
            async for chunk in response.aiter_raw():
                size_bytes += len(chunk)
                if size_bytes > max_bytes:
                    raise ModelFailed(f"{self.service} sent more than {max_bytes // 1024**2} MB.")
                yield chunk
        except httpx.HTTPError as error:
            raise RunLost(f"{self.service} broke off in the middle.") from error

    def read_error(self, reply: ServerReply) -> BackendError:
        """Return the error for a reply without success."""
        status = reply.status
        log.warning("backend.refused", extra={"backend": self.config.name, "status": status})
        if 300 <= status < 400:
            return BackendDown(f"{self.service} leads to another address, which the bot does not follow.")
        if status in (401, 403):
            # The server's own words may quote the key.
            return BackendRefusedToken(
                f"{self.service} does not accept the bot's key. My owner has to set a working one."
            )
        if status == 402:
            return BackendOutOfCredit(f"{self.service} wants money. My owner has to look after the account.")
        if status == 429:
            return self._read_busy_error(reply)
        reason = self.read_reason(reply)
        if status == 404:
            return InputRefused(f"{self.service} does not have this model or route{reason and f': {reason}'}.")
        if status == 503:
            return BackendDown(f"{self.service} is not ready{reason and f': {reason}'}. Try again in a minute.")
        if status >= 500:
            return ModelFailed(f"{self.service} failed{reason and f': {reason}'}. You were not charged.")
        return InputRefused(f"{self.service} does not take this{reason and f': {reason}'}.")

    def read_reason(self, reply: ServerReply) -> str:
        """Return the server's own words about a refusal, without the key, shortened; empty without words."""
        try:
            body = reply.parse()
        except ValueError:
            return ""
        return self.clean_reason(find_reason(body))

    def clean_reason(self, text: str) -> str:
        """Return a server's text for a sentence: on one line, without the key, shortened, without a full stop."""
        if self.config.key:
            text = text.replace(self.config.key, "•••")
        line = " ".join(mend_text(text).split())
        if len(line) > _MAX_REASON_CHARACTERS:
            line = line[:_MAX_REASON_CHARACTERS].rstrip() + "…"
        return line.rstrip(".")

    async def close(self) -> None:
        await self._http.aclose()

    def _join(self, path: str) -> str:
        if not path.startswith("/") or path.startswith("//"):
            raise ValueError(f"{path!r} is no path of the server")
        return self.config.url + path

    def _read_busy_error(self, reply: ServerReply) -> BackendBusy:
        try:
            seconds = min(max(float(reply.headers.get("retry-after", "")), 1.0), 600.0)
        except ValueError:
            seconds = _DEFAULT_BUSY_SECONDS
        return BackendBusy(f"{self.service} is busy. Try again in a moment.", retry_after_seconds=seconds)

    def _describe_break(self, error: httpx.RequestError, *, has_arrived: bool) -> BackendError:
        log.warning("backend.broke_off", extra={"backend": self.config.name, "reason": type(error).__name__})
        if isinstance(error.__cause__, ssl.SSLError) or _find_tls_error(error):
            return BackendDown(f"{self.service} shows a certificate that this machine does not trust.")
        if has_arrived:
            return RunLost(f"{self.service} took the request and never answered.")
        return BackendDown(f"{self.service} cannot be reached right now. Try again in a minute.")


class ServerBackend:
    """The part of a `Backend` that all servers of the owner share: the name, and the refusal while a server is away.

    Such a server sends no webhooks, and keeps no runs unless its backend says so.
    """

    keeps_runs = False

    def __init__(self, config: BackendConfig, api: ServerApi) -> None:
        self.config = config
        self.name = config.name
        self._circuit_breaker = api.circuit_breaker

    def admit(self) -> None:
        """Raise `BackendDown` while the server is away, except for one request at a time that probes."""
        self._circuit_breaker.admit()

    def check(self) -> None:
        """Raise `BackendDown` while the server is away."""
        self._circuit_breaker.check()

    @asynccontextmanager
    async def slot_for_create(self, *, is_retry: bool = False) -> AsyncIterator[None]:
        """Raise `BackendDown` while the server is away. Servers queue by themselves, and `at_once` keeps their pace."""
        self._circuit_breaker.raise_if_open()
        yield

    async def forget(self, backend_id: str) -> None:
        """Do nothing: the server forgets by itself."""

    def routes(self, _: RunNotificationHandler) -> list[RouteDef]:
        """Return no routes."""
        return []


class _SendProgress:
    """Tells from httpcore's trace how far a request got (www.encode.io/httpcore/extensions)."""

    def __init__(self, sent: asyncio.Event | None) -> None:
        self.has_begun = False
        self._sent = sent

    async def trace(self, event: str, _: Mapping[str, Any]) -> None:
        if event.endswith("send_request_headers.started"):
            self.has_begun = True
        if event.endswith("send_request_body.complete") and self._sent is not None:
            self._sent.set()


def _find_tls_error(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def find_reason(body: JSON) -> str:
    """Return the words of an error body: `error.message`, `error`, `message`, `detail`, or FastAPI's list of them."""
    if words := get_text(get_object(body, "error"), "message"):
        return words
    for key in ("error", "message", "detail"):
        if words := get_text(body, key):
            return words
    details = get_objects(body, "detail")
    return "; ".join(_describe_detail(detail) for detail in details)


def _describe_detail(detail: Mapping[str, JSON]) -> str:
    place = as_object(detail).get("loc")
    name = str(place[-1]) if isinstance(place, list) and place else ""
    words = get_text(dict(detail), "msg")
    return f"{name}: {words}" if name else words
