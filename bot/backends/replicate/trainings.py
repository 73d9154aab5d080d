"""Trainings as runs of a job: the model that receives the new version, the create, and the search after a lost reply.

Replicate has no Cancel-After for trainings (replicate.com/docs/reference/http): a training of a bot that is gone for
good runs to its own end.
"""

from collections.abc import Mapping
from datetime import datetime

from bot.backends.predictions import CogPrediction
from bot.backends.replicate.client import ReplicateClient, is_same_run
from bot.core.errors import InputRefused, PredictionGone
from bot.core.json import JSON, get_text
from bot.core.models import FieldKind, Model, SchemaField

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
