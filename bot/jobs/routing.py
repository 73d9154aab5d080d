"""Chooses among the servers that offer a model: the first is preferred, the next answers while it is away or busy.

A model's `fallbacks` are further entries of the catalogue, each with a server, inputs and a price of its own. The job
holds the maximum of all entries that may answer, and pays for the entry that did.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.catalogue.catalogue import recover_options
from bot.core.backend import Backend, Inputs, RunSnapshot
from bot.core.errors import (
    BackendBusy,
    BackendDown,
    BackendError,
    BackendOutOfCredit,
    BackendRefusedToken,
    EaselError,
    InputRefused,
    ModelFlagged,
    UserError,
)
from bot.core.ids import new_id
from bot.core.jobs import JobState, PredictionRecord
from bot.core.json import fingerprint
from bot.core.models import Model
from bot.core.replies import Progress, Stage
from bot.credits.pricing import estimate_cost
from bot.jobs.completion import LOST, compute_run_cost
from bot.jobs.submitting import decode_inputs, encode_inputs
from bot.jobs.work import JobServices, Work

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0
"""A shorter wait for the preferred server is worth more than another server's price."""

# Errors of a create that surely made no run.
_NOTHING_SPENT = (BackendDown, BackendBusy, BackendRefusedToken, BackendOutOfCredit, InputRefused)


@dataclass(frozen=True, slots=True)
class Offer:
    """An entry that can answer a request."""

    model: Model
    max_micros: int
    wait_seconds: float


def estimate_wait_seconds(services: JobServices, model: Model) -> float:
    """Return about how long a new job of a model waits in the bot's line; 0 where there is room."""
    return services.queues.count_rounds(model) * model.usual_seconds


async def list_offers(services: JobServices, model: Model, options: Inputs) -> list[Offer]:
    """Return the entries for a model that take these options and whose servers are not away, in order."""
    offers = []
    for entry in _list_chain(services, model):
        try:
            inputs = services.catalogue.build_inputs(entry, options)
            services.backends[entry.backend].check()
        except (UserError, KeyError):
            continue
        usual_seconds = await services.usual_times.get_seconds(entry)
        most = estimate_cost(entry, inputs, usual_seconds).max_micros
        offers.append(Offer(entry, most, estimate_wait_seconds(services, entry)))
    return offers


def choose_offer(offers: Sequence[Offer], available_micros: int) -> tuple[Model, int] | None:
    """Return the entry to ask first, and the amount to hold for the entries that may answer; None without any.

    An entry above the user's means may not answer.
    """
    affordable = [offer for offer in offers if offer.max_micros <= available_micros]
    if not affordable:
        return None
    # `min` keeps the first of equal waits: the owner's order decides among idle servers.
    best = min(affordable, key=lambda offer: 0 if offer.wait_seconds <= PATIENCE_SECONDS else offer.wait_seconds)
    later = affordable[affordable.index(best) :]
    return best.model, max(offer.max_micros for offer in later)


def _list_chain(services: JobServices, model: Model) -> list[Model]:
    keys = [key for key in model.fallbacks if key in services.catalogue]
    models = [model, *(services.catalogue.get(key) for key in keys)]
    return [entry for entry in models if entry is model or not entry.price.objection]


async def move_on(work: Work, error: EaselError) -> bool:
    """Send a job to the next server after a create that surely made no run; return whether there is a next server."""
    if not isinstance(error, _NOTHING_SPENT) or work.job.state not in (JobState.QUEUED, JobState.SUBMITTING):
        return False
    return await _try_next(work, str(error))


async def move_on_after(work: Work, snapshot: RunSnapshot) -> bool:
    """Send a job to the next server if its failed run gave no word and cost nothing; return whether the job went."""
    if snapshot.text or work.text or compute_run_cost(work, snapshot):
        return False
    error = work.backend.explain(snapshot)
    return not isinstance(error, ModelFlagged) and await _try_next(work, str(error))


async def _try_next(work: Work, reason: str) -> bool:
    if work.cancel_requested.is_set() or work.timeout_message:
        return False
    for model in _list_next(work):
        backend = work.services.backends.get(model.backend)
        if backend is None or not await _may_answer(work, model):
            continue
        try:
            backend.check()
            await _move(work, model, backend)
        except (BackendError, UserError) as error:
            log.info("job.fallback_failed", extra={"job": work.job.id, "model": model.key, "reason": str(error)})
            continue
        log.warning("job.moved_on", extra={"job": work.job.id, "model": model.key, "reason": reason})
        return True
    return False


def _list_next(work: Work) -> Iterator[Model]:
    """Yield the entries behind the job's present one. The options name the entry that the user chose."""
    chosen = work.services.catalogue.get(str(work.job.options.get("model") or work.job.model))
    chain = _list_chain(work.services, chosen)
    keys = [model.key for model in chain]
    yield from chain[keys.index(work.job.model) + 1 :] if work.job.model in keys else ()


async def _may_answer(work: Work, model: Model) -> bool:
    job = work.job
    return await work.services.credits.is_model_allowed(job.user, job.channel, model.key)


async def _move(work: Work, model: Model, backend: Backend) -> None:
    """Give the job a new run at another server. Raise a `UserError` if the entry does not take the request."""
    services, job = work.services, work.job
    options = recover_options(work.model, model, decode_inputs(job.inputs, services.media))
    inputs = services.catalogue.build_inputs(model, options)
    if estimate_cost(model, inputs).max_micros > job.max_micros:
        raise UserError(f"{model.title} costs more than is held.")
    prepared = await backend.prepare(model, inputs)
    now = services.clock.now()
    record = PredictionRecord(
        id=new_id(),
        backend=model.backend,
        model=model.key,
        fingerprint=fingerprint(model.key, prepared),
        inputs=prepared,
        created_at=now,
    )
    async with services.database.write(is_urgent=True) as tx:
        if job.prediction:
            await tx.predictions.close(job.prediction, LOST, None, 0)
        await tx.predictions.add(record)
        moved = await work.move(
            tx,
            JobState.SUBMITTING,
            prediction=record.id,
            model=model.key,
            backend=model.backend,
            inputs=encode_inputs(inputs),
        )
    work.job, work.model, work.record = moved, model, record
    work.usual_seconds = await services.usual_times.get_seconds(model)
    work.start_over()
    work.editor.show(services.presenter.render_progress(moved, model, Progress(Stage.QUEUED)))
