"""Finding what an unclear create may have made: runs of the same model with the same inputs."""

import re
from collections.abc import Mapping
from datetime import datetime

from bot.backends.replicate.client import ReplicateClient
from bot.backends.replicate.schema import ReplicatePrediction
from bot.core.json import JSON, canonicalize
from bot.core.models import Model

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
