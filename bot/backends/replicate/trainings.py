"""Trainings at Replicate: a model made into a new version of another one. They cost money and take minutes to hours."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from bot.backends.replicate.calls import Calls, named, pages, part, single, words
from bot.backends.replicate.problems import DOWN
from bot.backends.replicate.schema import Prediction, prediction_from
from bot.core.errors import BackendDown, SubmitUnclear
from bot.core.json import JSON


@dataclass(frozen=True, slots=True)
class Training:
    """`run` is the training as a prediction: state, logs, error, times. The rest stands there once it succeeded."""

    run: Prediction
    version: str = ""
    """`owner/name:64hex` of what it made."""
    weights: str = ""
    """Where its weights can be fetched, for an hour."""


class Trainings:
    """All raise a `BackendError`; what is not there raises `PredictionGone`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def create(
        self, model: str, version: str, destination: str, inputs: Mapping[str, JSON], *, webhook: str | None = None
    ) -> Training:
        """POST …/trainings. `destination` is a model of ours, `owner/name`, that must exist.

        Raises `SubmitUnclear` when a broken create may have arrived: look at `list` before you try again.
        """
        body: dict[str, JSON] = {"destination": destination, "input": dict(inputs)}
        if webhook:
            body |= {"webhook": webhook, "webhook_events_filter": ["completed"]}
        path = f"models/{named(model)}/versions/{single(version)}/trainings"
        reply = await self._calls.send("POST", path, json=body)
        try:
            return _training(reply)
        except BackendDown as error:
            raise SubmitUnclear("the reply is no training") from error

    async def get(self, training_id: str) -> Training:
        """GET /trainings/{id}."""
        return _training(await self._calls.ask("GET", f"trainings/{single(training_id)}"))

    async def cancel(self, training_id: str) -> Training:
        """POST /trainings/{id}/cancel. Harmless when it is over."""
        return _training(await self._calls.ask("POST", f"trainings/{single(training_id)}/cancel"))

    async def list(self) -> AsyncIterator[Training]:
        """GET /trainings, newest first."""
        async for item in pages(self._calls, "trainings"):
            yield _training(item)


def _training(body: JSON) -> Training:
    try:
        run = prediction_from(body)
    except ValueError as error:
        raise BackendDown(DOWN) from error
    output = part(body, "output")
    return Training(run, words(output, "version"), words(output, "weights"))
