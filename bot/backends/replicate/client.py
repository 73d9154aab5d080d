"""Replicate's API, one method for each call of the bot, with typed replies; files among inputs, and trainings as runs.

A job's training has a model that receives the new version. Replicate has no Cancel-After for trainings
(replicate.com/docs/reference/http): a training of a bot that is gone for good runs to its own end.
"""

import json
import logging
import mimetypes
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from ssl import SSLContext

import httpx

from bot.backends import http
from bot.backends.http import make_data_url, read_input_file
from bot.backends.predictions import CogPrediction, parse_prediction
from bot.backends.replicate.api import ReplicateApi, RetryBackoff, log_refusal, quote_ref
from bot.backends.replicate.create_limiter import CreateLimiter, read_create_limits
from bot.backends.replicate.errors import SERVICE_DOWN
from bot.backends.replicate.models import ReplicateDeployments, ReplicateModels, ReplicateTrainings
from bot.core.backend import InputFile, Inputs
from bot.core.clock import Clock
from bot.core.errors import BackendDown, InputRefused, PredictionGone, SubmitUnclear
from bot.core.json import JSON, as_object, canonicalize, get_object, get_text
from bot.core.models import FieldKind, Model, SchemaField

log = logging.getLogger(__name__)

# `start` reports that a cold model runs now, which saves a request; `output` and `logs` would come twice a second.
WEBHOOK_EVENTS: tuple[str, ...] = ("start", "completed")

MAX_DATA_URL_BYTES = 256_000
"""Size of a file before base64. Replicate's specification recommends data URLs for files up to 256 kB."""

_MIN_CANCEL_AFTER_SECONDS = 5  # Cancel-After takes no less
_MAX_PAGES = 100
_VERSION_ID = re.compile(r"[0-9a-f]{64}")


class ReplicateClient:
    """Typed calls of the API. All raise a `BackendError` for a refusal.

    `create_limiter` decides when a create may be sent; callers wait for the limiter before `create_prediction`.
    """

    def __init__(
        self, base_url: str, token: str, clock: Clock, *, context: SSLContext, timeout: httpx.Timeout = http.API_TIMEOUT
    ) -> None:
        self.api = ReplicateApi(base_url, token, clock, context=context, timeout=timeout)
        self.create_limiter = CreateLimiter(clock)
        self.models = ReplicateModels(self.api)
        self.trainings = ReplicateTrainings(self.api)
        self.deployments = ReplicateDeployments(self.api)
        self._clock = clock

    async def create_prediction(
        self,
        version: str,
        inputs: Mapping[str, JSON],
        *,
        cancel_after_seconds: int,
        webhook: str | None = None,
        deployment: str = "",
    ) -> CogPrediction:
        """POST /predictions. `version` is `owner/name` for official models, else 64 hex digits.

        A `deployment` (`owner/name`) brings its own version. Raise `SubmitUnclear` if a broken create may have arrived,
        and `BackendBusy` if throttled: the caller then waits for the limiter again.
        """
        path = f"deployments/{quote_ref(deployment)}/predictions" if deployment else "predictions"
        # The deployments' path refuses a version with 422: unknown keys are not allowed.
        body: dict[str, JSON] = {"input": dict(inputs)} if deployment else {"version": version, "input": dict(inputs)}
        if webhook:
            body |= {"webhook": webhook, "webhook_events_filter": list(WEBHOOK_EVENTS)}
        life = max(_MIN_CANCEL_AFTER_SECONDS, cancel_after_seconds)
        headers = {"Cancel-After": f"{life}s", "Content-Type": "application/json"}
        content = json.dumps(body).encode()  # httpx's own encoder fails on half an emoji (a lone surrogate)
        backoff = RetryBackoff(self._clock)
        while True:
            try:
                return await self._create_once(path, content, headers)
            except BackendDown as error:
                # Repeat only creates that were surely not sent: Replicate has no idempotency key, and a second
                # prediction costs a second time.
                await backoff.wait_or_raise(error)

    async def get_prediction(self, prediction_id: str) -> CogPrediction:
        """GET /predictions/{id}."""
        return _parse_prediction(await self.api.request("GET", f"predictions/{prediction_id}"))

    async def cancel_prediction(self, prediction_id: str) -> None:
        """POST /predictions/{id}/cancel."""
        await self.api.request("POST", f"predictions/{prediction_id}/cancel")

    async def list_predictions(self, *, created_after: datetime, cursor: str = "") -> tuple[list[CogPrediction], str]:
        """GET /predictions: return one page, newest first, and the cursor of the next page (empty at the end).

        A cursor is an absolute address. Raise `BackendDown` for a cursor that leads to another host.
        """
        if not cursor:
            since = created_after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            page = await self.api.request("GET", "predictions", params={"created_after": since})
        elif self.api.origins.is_api(cursor):
            page = await self.api.request("GET", cursor)
        else:
            log.error("replicate.foreign_cursor", extra={"host": httpx.URL(cursor).host})
            raise BackendDown(SERVICE_DOWN)
        results = as_object(page).get("results")
        # An item that is no prediction makes the page unreadable: leaving the item out could hide a paid run.
        found = [_parse_prediction(item) for item in results] if isinstance(results, list) else []
        return found, get_text(page, "next")

    async def upload_file(self, name: str, content: bytes, mime: str) -> str:
        """POST /files, at most 100 MB. Return an address to use as an input for 24 hours."""
        reply = await self.api.request("POST", "files", files={"content": (name, content, mime)})
        address = get_text(get_object(reply, "urls"), "get")
        if not address:
            raise BackendDown(SERVICE_DOWN)
        return address

    async def get_account(self) -> dict[str, JSON]:
        """GET /account: return `{type, username, name, …}`. The cheapest check of a token."""
        return as_object(await self.api.request("GET", "account"))

    async def get_webhook_secret(self) -> str:
        """GET /webhooks/default/secret: return the `whsec_…` with which webhooks are signed. A failure is final."""
        # One try: a stranger's forged webhook may be the cause of the call.
        key = as_object(await self.api.try_request("GET", "webhooks/default/secret")).get("key")
        if not isinstance(key, str):
            raise BackendDown(SERVICE_DOWN)
        return key

    async def close(self) -> None:
        await self.api.close()

    async def _create_once(self, path: str, content: bytes, headers: Mapping[str, str]) -> CogPrediction:
        response = await self.api.send_once("POST", path, content=content, headers=headers)
        self.create_limiter.update(read_create_limits(response, now=self._clock.now()))
        if response.status_code >= 500 or response.status_code == 408:
            log_refusal(response)
            raise SubmitUnclear(f"HTTP {response.status_code}")
        try:
            return parse_prediction(self.api.parse_success(response))
        except ValueError as error:
            raise SubmitUnclear("the reply is no prediction") from error


def _parse_prediction(body: JSON) -> CogPrediction:
    try:
        return parse_prediction(body)
    except ValueError as error:
        raise BackendDown(SERVICE_DOWN) from error


async def find_matching_runs(
    client: ReplicateClient, model: Model, inputs: Mapping[str, JSON], *, created_after: datetime
) -> list[CogPrediction]:
    """Return the runs of a model with equal inputs, oldest first: the possible results of an unclear create.

    `created_after` is a time of Replicate's clock: callers leave room for a slow clock.
    """
    found: list[CogPrediction] = []
    cursor = ""
    for _ in range(_MAX_PAGES):
        page, cursor = await client.list_predictions(created_after=created_after, cursor=cursor)
        recent = [run for run in page if run.created_at is None or run.created_at >= created_after]
        found += [run for run in recent if is_same_run(run, model, inputs)]
        # Pages come newest first: after an old run all further runs are older.
        if not cursor or len(recent) < len(page):
            break
    found.reverse()
    return found


def is_same_run(run: CogPrediction, model: Model, inputs: Mapping[str, JSON]) -> bool:
    """Return whether a run has the model and inputs of our create. The reply may list defaults besides our inputs."""
    if not _is_same_model(run, model) or not inputs.keys() <= run.input.keys():
        return False
    return canonicalize({name: run.input[name] for name in inputs}) == canonicalize(inputs)


def _is_same_model(run: CogPrediction, model: Model) -> bool:
    if run.model and run.model.lower() != model.ref.lower():
        return False
    if run.deployment and not _is_same_deployment(run.deployment.lower(), model.deployment.lower()):
        return False
    # Official models report "hidden", or "dp-…" in 2024: only a whole version id can contradict a pinned version.
    has_version_id = bool(_VERSION_ID.fullmatch(run.version))
    return run.version == model.version if model.version and has_version_id else bool(run.model)


def _is_same_deployment(reported: str, ours: str) -> bool:
    return reported in (ours, ours.partition("/")[2])


async def replace_files_with_urls(client: ReplicateClient, inputs: Inputs) -> dict[str, JSON]:
    """Return the inputs with an address for each file: a data URL for small files, an upload for large files.

    Raise `InputRefused` for a file that is no longer kept.
    """
    prepared: dict[str, JSON] = {}
    for name, value in inputs.items():
        if isinstance(value, tuple):
            prepared[name] = [await _make_file_url(client, file) for file in value]
        else:
            prepared[name] = await _make_file_url(client, value) if isinstance(value, InputFile) else value
    return prepared


async def _make_file_url(client: ReplicateClient, file: InputFile) -> str:
    content = await read_input_file(file)
    if len(content) <= MAX_DATA_URL_BYTES:
        return make_data_url(content, file.mime)
    name = file.sha256[:16] + (mimetypes.guess_extension(file.mime) or "")
    return await client.upload_file(name, content, file.mime)


# Trainings.

DESTINATION = "destination"
"""The input with the name of the trained model. Stored with the inputs, and sent beside the inputs."""

DESTINATION_FIELD = SchemaField(DESTINATION, frozenset({FieldKind.TEXT}), is_required=True)

_PREFIX = "easel-"
"""A training adds a version: a model that the owner made for another purpose must not get it."""

_HARDWARE = "gpu-l40s"


async def create_destination(client: ReplicateClient, name: str) -> str:
    """Return the private model for a name, as `owner/name`; create the model if there is none yet."""
    owner = get_text(await client.get_account(), "username")
    ref = f"{owner}/{_PREFIX}{name}"
    try:
        await client.models.get(ref)
    except PredictionGone:
        await client.models.create(owner, f"{_PREFIX}{name}", hardware=_HARDWARE, description="Trained from a chat.")
    return ref


async def start_training(client: ReplicateClient, model: Model, inputs: Mapping[str, JSON]) -> str:
    """Create a training and return its id. Raise `SubmitUnclear` if a broken create may have arrived."""
    sent = {name: value for name, value in inputs.items() if name != DESTINATION}
    try:
        created = await client.trainings.create(model.ref, model.version, get_text(dict(inputs), DESTINATION), sent)
    except PredictionGone as error:
        raise InputRefused(f"The model service cannot train {model.ref} any more.") from error
    return created.run.id


async def find_trainings(
    client: ReplicateClient, model: Model, inputs: Mapping[str, JSON], *, created_after: datetime
) -> list[CogPrediction]:
    """Return the trainings of a model with equal inputs since a time, oldest first.

    A list of trainings names no destination: the uploaded zip has an address of its own for each upload.
    """
    sent = {name: value for name, value in inputs.items() if name != DESTINATION}
    found: list[CogPrediction] = []
    async for training in client.trainings.list():
        run = training.run
        if run.created_at is not None and run.created_at < created_after:
            break  # the list is newest first
        if is_same_run(run, model, sent):
            found.append(run)
    return found[::-1]
