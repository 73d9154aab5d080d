"""Trainings at Replicate: a model made into a new version of another one. They cost money and take minutes to hours."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from bot.backends.replicate.errors import SERVICE_DOWN
from bot.backends.replicate.json_fields import ReplicateApi, get_object, get_text, iterate_items, quote_id, quote_ref
from bot.backends.replicate.outputs import ReplicatePrediction, parse_prediction
from bot.core.errors import BackendDown, SubmitUnclear
from bot.core.json import JSON


@dataclass(frozen=True, slots=True)
class ReplicateTraining:
    """`run` is the training as a prediction: state, logs, error, times. The rest stands there once it succeeded."""

    run: ReplicatePrediction
    version: str = ""
    """`owner/name:64hex` of what it made."""
    weights_url: str = ""
    """Where its weights can be fetched, for an hour."""


class ReplicateTrainings:
    """All raise a `BackendError`; what is not there raises `PredictionGone`."""

    def __init__(self, api: ReplicateApi) -> None:
        self._api = api

    async def create(
        self, model: str, version: str, destination: str, inputs: Mapping[str, JSON], *, webhook: str | None = None
    ) -> ReplicateTraining:
        """POST …/trainings. `destination` is a model of ours, `owner/name`, that must exist.

        Raises `SubmitUnclear` when a broken create may have arrived: look at `list` before you try again.
        """
        body: dict[str, JSON] = {"destination": destination, "input": dict(inputs)}
        if webhook:
            body |= {"webhook": webhook, "webhook_events_filter": ["completed"]}
        path = f"models/{quote_ref(model)}/versions/{quote_id(version)}/trainings"
        reply = await self._api.request_once("POST", path, json=body)
        try:
            return _parse_training(reply)
        except BackendDown as error:
            raise SubmitUnclear("the reply is no training") from error

    async def get(self, training_id: str) -> ReplicateTraining:
        """GET /trainings/{id}."""
        return _parse_training(await self._api.request("GET", f"trainings/{quote_id(training_id)}"))

    async def cancel(self, training_id: str) -> ReplicateTraining:
        """POST /trainings/{id}/cancel. Harmless when it is over."""
        return _parse_training(await self._api.request("POST", f"trainings/{quote_id(training_id)}/cancel"))

    async def list(self) -> AsyncIterator[ReplicateTraining]:
        """GET /trainings, newest first."""
        async for item in iterate_items(self._api, "trainings"):
            yield _parse_training(item)


def _parse_training(body: JSON) -> ReplicateTraining:
    try:
        run = parse_prediction(body)
    except ValueError as error:
        raise BackendDown(SERVICE_DOWN) from error
    output = get_object(body, "output")
    return ReplicateTraining(run, get_text(output, "version"), get_text(output, "weights"))
