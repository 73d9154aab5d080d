"""GET /api/jobs/{id}: what just happened to a job, for its asker and for moderators."""

from aiohttp import web

from bot.core.errors import UserError
from bot.core.jobs import Job, PredictionRecord
from bot.core.json import JSON
from bot.core.money import Entry
from bot.core.people import Rank, User
from bot.credits.pricing import CreditForm
from bot.dispatch.dispatcher import Dispatcher
from bot.jobs.records import JobRecord
from bot.platforms.web.door import NAME, NO_STORE, WORKSPACE
from bot.platforms.web.guard import USER


class Records:
    """Looks jobs up. A job that somebody may not see is answered as one that is not there."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The drawer's record as JSON; times are ISO 8601 in UTC, amounts credits as text."""
        services = self._dispatcher.services
        job = await services.jobs.get(request.match_info["job"])
        record = await services.jobs.record(job) if job and await self._may_see(request[USER], job) else None
        if record is None:
            raise web.HTTPNotFound(text="There is no job of that name that you can see here.")
        try:
            title = services.catalogue.get(record.job.model).title
        except UserError:
            title = record.job.model  # it left the catalogue since
        return web.json_response(record_as_json(record, title, services.credits.form), headers=NO_STORE)

    async def _may_see(self, user: User, job: Job) -> bool:
        if (job.user.platform, job.user.workspace) != (NAME, WORKSPACE):
            return False
        return job.user.id == user.id or await self._dispatcher.ranks.of(user) >= Rank.MODERATOR


def record_as_json(record: JobRecord, title: str, form: CreditForm) -> dict[str, JSON]:
    """Everything but the bytes: a file among the inputs is its SHA-256, type and size."""
    job = record.job
    return {
        "id": job.id,
        "command": job.command,
        "options": dict(job.options),
        "by": job.user.name,
        "state": job.state.value,
        "error": job.error,
        "cancelled_by": job.cancel_by,
        "steps": [{"state": state.value, "at": at.isoformat()} for state, at in record.steps],
        "told_at": job.told_at.isoformat() if job.told_at else "",
        "request": {
            "backend": job.backend,
            "model": job.model,
            "title": title,
            "inputs": dict(job.inputs),
            "attempts": job.attempts + 1,
        },
        "prediction": _prediction(record.prediction, form),
        "outputs": [
            {"n": output.n, "mime": output.mime or "text/plain", "size": output.size or len(output.text.encode())}
            for output in record.outputs
        ],
        "price": {
            "about": form.show(job.told_about),
            "at_most": form.show(job.told_at_most),
            "paid": "" if job.cost is None else form.show(job.cost),
        },
        "money": [_entry(entry, form) for entry in record.entries],
    }


def _prediction(prediction: PredictionRecord | None, form: CreditForm) -> JSON:
    if prediction is None:
        return None
    return {
        "id": prediction.backend_id,
        "state": prediction.state,
        "metrics": {
            "predict_seconds": prediction.predict_seconds,
            "cost": "" if prediction.cost is None else form.show(prediction.cost),
        },
    }


def _entry(entry: Entry, form: CreditForm) -> JSON:
    # An account's id begins with its kind and what it is for: `wallet:daily:…`, `budget:bot:…`.
    kind, scope = entry.account.split(":")[:2]
    return {
        "at": entry.at.isoformat(),
        "kind": entry.kind.value,
        "account": f"{kind}:{scope}",
        "balance": _signed(entry.balance_delta, form),
        "held": _signed(entry.held_delta, form),
    }


def _signed(micros: int, form: CreditForm) -> str:
    return f"−{form.show(-micros)}" if micros < 0 else form.show(micros)
