"""Replicate's API, one method for each call the bot makes. Replies come out typed, refusals as the bot's errors."""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from ssl import SSLContext
from typing import Any

import httpx

from bot.backends import http
from bot.backends.replicate.create_limiter import CircuitBreaker, CreateLimiter
from bot.backends.replicate.deployments import ReplicateDeployments
from bot.backends.replicate.errors import SERVICE_DOWN, read_error, read_rate_limits
from bot.backends.replicate.json_fields import quote_ref
from bot.backends.replicate.models import ReplicateModels
from bot.backends.replicate.outputs import ReplicatePrediction, parse_prediction
from bot.backends.replicate.polling import RetryBackoff
from bot.backends.replicate.streams import Origins
from bot.backends.replicate.trainings import ReplicateTrainings
from bot.core.clock import Clock
from bot.core.errors import BackendBusy, BackendDown, SubmitUnclear
from bot.core.json import JSON, canonicalize
from bot.core.models import Model
from bot.telemetry import metrics

log = logging.getLogger(__name__)

# These break before a byte of the request is out. After any other the service may have got it.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)

WEBHOOK_EVENTS: tuple[str, ...] = ("start", "completed")
"""`start` says that a cold model runs now, without a request of ours; `output` and `logs` would come twice a second."""

_MIN_CANCEL_AFTER_SECONDS = 5  # Cancel-After takes no less


class ReplicateClient:
    """Calls that can be repeated are: three more times when the service is away, and as told when it is busy.

    `gate` is the line in which creates wait for their turn; `circuit` knows whether calls are answered at all.

    All raise `BackendDown`, `BackendBusy`, `BackendRefusedToken`, `BackendOutOfCredit`, `InputRefused`, and
    `PredictionGone` for what is not there.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        clock: Clock,
        *,
        context: SSLContext,
        timeout: httpx.Timeout = http.API_TIMEOUT,
    ) -> None:
        self.origins = Origins(base_url)
        # A token that no header can carry goes nowhere; Replicate then says so with a 401.
        is_token = bool(token) and token.isascii() and token.isprintable()
        self.authorization = {"Authorization": f"Bearer {token}"} if is_token else {}
        self.create_limiter = CreateLimiter(clock)
        self.circuit_breaker = CircuitBreaker(clock)
        self.models, self.deployments, self.trainings = (
            ReplicateModels(self),
            ReplicateDeployments(self),
            ReplicateTrainings(self),
        )
        self._clock = clock
        self._http = http.create_api_client(headers=self.authorization, context=context, timeout=timeout)

    async def create_prediction(
        self,
        version: str,
        inputs: Mapping[str, JSON],
        *,
        cancel_after_seconds: int,
        webhook: str | None = None,
        deployment: str = "",
    ) -> ReplicatePrediction:
        """POST /predictions. `version` is `owner/name` for official models, else 64 hex digits.

        With a `deployment` (`owner/name`) it goes there, and the version is the deployment's.

        Sent again only when it surely did not arrive: Replicate has no idempotency key, and a second prediction costs
        a second time. Raises `SubmitUnclear` when a broken create may have arrived, and `BackendBusy` when it was
        throttled: then it takes another turn at the gate.
        """
        path = f"deployments/{quote_ref(deployment)}/predictions" if deployment else "predictions"
        body: dict[str, JSON] = {"input": dict(inputs)} if deployment else {"version": version, "input": dict(inputs)}
        if webhook:
            body |= {"webhook": webhook, "webhook_events_filter": list(WEBHOOK_EVENTS)}
        life = max(_MIN_CANCEL_AFTER_SECONDS, cancel_after_seconds)
        headers = {"Cancel-After": f"{life}s", "Content-Type": "application/json"}
        content = json.dumps(body).encode()  # httpx's own way breaks on half an emoji (a lone surrogate)
        patience = RetryBackoff(self._clock)
        while True:
            try:
                return await self._create_once(path, content, headers)
            except BackendDown as error:
                await patience.wait_or_raise(error)

    async def get_prediction(self, prediction_id: str) -> ReplicatePrediction:
        """GET /predictions/{id}."""
        return _parse_prediction(await self.request("GET", f"predictions/{prediction_id}"))

    async def cancel_prediction(self, prediction_id: str) -> None:
        """POST /predictions/{id}/cancel."""
        await self.request("POST", f"predictions/{prediction_id}/cancel")

    async def list_predictions(
        self, *, created_after: datetime, cursor: str = ""
    ) -> tuple[list[ReplicatePrediction], str]:
        """GET /predictions: one page, newest first, and the cursor of the next (empty at the end).

        A cursor is an absolute address. One that does not point at the API raises `BackendDown` and is not followed.
        """
        if not cursor:
            since = created_after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            page = await self.request("GET", "predictions", params={"created_after": since})
        elif self.origins.is_api(cursor):
            page = await self.request("GET", cursor)
        else:
            log.error("replicate.foreign_cursor", extra={"host": httpx.URL(cursor).host})
            raise BackendDown(SERVICE_DOWN)
        results, following = _get_field(page, "results"), _get_field(page, "next")
        found = [_parse_prediction(item) for item in results] if isinstance(results, list) else []
        return found, following if isinstance(following, str) else ""

    async def upload_file(self, name: str, content: bytes, mime: str) -> str:
        """POST /files, at most 100 MB. Gives the address to use as an input, good for 24 hours."""
        reply = await self.request("POST", "files", files={"content": (name, content, mime)})
        address = _get_field(_get_field(reply, "urls"), "get")
        if not isinstance(address, str):
            raise BackendDown(SERVICE_DOWN)
        return address

    async def get_account(self) -> dict[str, JSON]:
        """GET /account: `{type, username, name, …}`. The cheapest check of a token."""
        reply = await self.request("GET", "account")
        return reply if isinstance(reply, dict) else {}

    async def get_webhook_secret(self) -> str:
        """GET /webhooks/default/secret: the `whsec_…` that webhooks are signed with."""
        key = _get_field(await self.request("GET", "webhooks/default/secret"), "key")
        if not isinstance(key, str):
            raise BackendDown(SERVICE_DOWN)
        return key

    async def close(self) -> None:
        """Let connections go."""
        await self._http.aclose()

    async def request_once(self, method: str, path: str, **options: Any) -> JSON:
        """A call that must not arrive twice, tried once. Raises `SubmitUnclear` when a broken one may have arrived."""
        response = await self._send_unrepeatable(method, path, **options)
        if response.status_code >= 500:
            raise SubmitUnclear(f"HTTP {response.status_code}")
        try:
            return self._parse_success(response)
        except ValueError as error:
            raise SubmitUnclear("the reply is no JSON") from error

    async def _send_unrepeatable(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return await self._send(method, path, **options)
        except _NEVER_SENT as error:
            raise BackendDown(SERVICE_DOWN) from error
        except httpx.RequestError as error:
            log.warning("replicate.create_unclear", extra={"reason": type(error).__name__})
            raise SubmitUnclear(type(error).__name__) from error

    async def _create_once(self, path: str, content: bytes, headers: Mapping[str, str]) -> ReplicatePrediction:
        response = await self._send_unrepeatable("POST", path, content=content, headers=headers)
        self.create_limiter.update(read_rate_limits(response, now=self._clock.now()))
        if response.status_code >= 500 or response.status_code == 408:
            _log_refusal(response)
            raise SubmitUnclear(f"HTTP {response.status_code}")
        try:
            return parse_prediction(self._parse_success(response))
        except ValueError as error:
            raise SubmitUnclear("the reply is no prediction") from error

    async def request(self, method: str, path: str, **options: Any) -> JSON:
        """A call that may be repeated, and is while the service is away or busy."""
        patience = RetryBackoff(self._clock)
        while True:
            try:
                return await self._try_request(method, path, **options)
            except (BackendBusy, BackendDown) as error:
                await patience.wait_or_raise(error)

    async def _try_request(self, method: str, path: str, **options: Any) -> JSON:
        try:
            response = await self._send(method, path, **options)
            return self._parse_success(response)
        except (httpx.RequestError, ValueError) as error:
            raise BackendDown(SERVICE_DOWN) from error

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, self._url(path), **options)
        except httpx.RequestError:
            self.circuit_breaker.record_failure()
            raise
        if response.status_code == 429:
            metrics.backend_rate_limited.labels(backend="replicate").inc()
        if response.status_code >= 500:
            self.circuit_breaker.record_failure()
        else:
            self.circuit_breaker.record_success()
        return response

    def _parse_success(self, response: httpx.Response) -> JSON:
        """The body of a success; raises what a refusal stands for, and `ValueError` for a body that is no JSON."""
        if not response.is_success:
            _log_refusal(response)
            raise read_error(response, now=self._clock.now())
        body: JSON = json.loads(response.content) if response.content else None
        return body

    def _url(self, path: str) -> httpx.URL:
        return self.origins.api.join(path)


def _parse_prediction(body: JSON) -> ReplicatePrediction:
    try:
        return parse_prediction(body)
    except ValueError as error:
        raise BackendDown(SERVICE_DOWN) from error


def _get_field(body: JSON, name: str) -> JSON:
    return body.get(name) if isinstance(body, dict) else None


def _log_refusal(response: httpx.Response) -> None:
    # CF-RAY is what Replicate's support asks for.
    facts = {"status": response.status_code, "path": response.url.path, "ray": response.headers.get("cf-ray", "")}
    log.warning("replicate.refused", extra=facts)


# MERGED Finding what an unclear create may have made: runs of the same model with the same inputs.

_MAX_PAGES = 100

_PINNED = re.compile(r"[0-9a-f]{64}")


async def find_matching_runs(
    client: ReplicateClient, model: Model, inputs: Mapping[str, JSON], *, created_after: datetime
) -> list[ReplicatePrediction]:
    """Matching runs created since, oldest first. `created_after` is Replicate's time: leave room for a slow clock."""
    found: list[ReplicatePrediction] = []
    cursor = ""
    for _ in range(_MAX_PAGES):
        page, cursor = await client.list_predictions(created_after=created_after, cursor=cursor)
        recent = [run for run in page if run.created_at is None or run.created_at >= created_after]
        found += [run for run in recent if is_same_run(run, model, inputs)]
        # Pages come newest first: an old run on one means that the rest is older still.
        if not cursor or len(recent) < len(page):
            break
    found.reverse()
    return found


def is_same_run(run: ReplicatePrediction, model: Model, inputs: Mapping[str, JSON]) -> bool:
    """Whether this run does what our create asked for. The reply may name defaults besides what we sent."""
    if not _is_same_model(run, model) or not inputs.keys() <= run.input.keys():
        return False
    return canonicalize({name: run.input[name] for name in inputs}) == canonicalize(inputs)


def _is_same_model(run: ReplicatePrediction, model: Model) -> bool:
    if run.model and run.model.lower() != model.ref.lower():
        return False
    if run.deployment and not _is_same_deployment(run.deployment.lower(), model.deployment.lower()):
        return False
    # Official models answer "hidden", or "dp-…" in older days; only a version in full can contradict a pin.
    is_pinned = bool(_PINNED.fullmatch(run.version))
    return run.version == model.version if model.version and is_pinned else bool(run.model)


def _is_same_deployment(told: str, ours: str) -> bool:
    return told in (ours, ours.partition("/")[2])
