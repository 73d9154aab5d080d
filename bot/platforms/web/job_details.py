"""GET /api/jobs/{id}: what just happened to a job, for its asker and for moderators."""

from aiohttp import web

from bot.core.errors import UserError
from bot.core.jobs import Job, PredictionRecord
from bot.core.json import JSON
from bot.core.money import Entry
from bot.core.people import Rank, User
from bot.credits.pricing import CreditFormatter
from bot.dispatch.dispatcher import Dispatcher
from bot.jobs.jobs import JobHistory
from bot.platforms.web.auth import NAME, NO_STORE, REQUEST_USER, WORKSPACE


class JobDetails:
    """Looks jobs up. A job that somebody may not see is answered as one that is not there."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The drawer's record as JSON; times are ISO 8601 in UTC, amounts credits as text."""
        services = self._dispatcher.services
        job = await services.jobs.get(request.match_info["job"])
        record = (
            await services.jobs.get_history(job) if job and await self._may_see(request[REQUEST_USER], job) else None
        )
        if record is None:
            raise web.HTTPNotFound(text="There is no job of that name that you can see here.")
        try:
            title = services.catalogue.get(record.job.model).title
        except UserError:
            title = record.job.model  # it left the catalogue since
        return web.json_response(job_record_to_json(record, title, services.credits.formatter), headers=NO_STORE)

    async def _may_see(self, user: User, job: Job) -> bool:
        if (job.user.platform, job.user.workspace) != (NAME, WORKSPACE):
            return False
        return job.user.id == user.id or await self._dispatcher.authorizer.get_rank(user) >= Rank.MODERATOR


def job_record_to_json(record: JobHistory, title: str, form: CreditFormatter) -> dict[str, JSON]:
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
        "notified_at": job.notified_at.isoformat() if job.notified_at else "",
        "request": {
            "backend": job.backend,
            "model": job.model,
            "title": title,
            "inputs": dict(job.inputs),
            "attempts": job.attempts + 1,
        },
        "prediction": _prediction_to_json(record.prediction, form),
        "outputs": [
            {"n": output.n, "mime": output.mime or "text/plain", "size": output.size or len(output.text.encode())}
            for output in record.outputs
        ],
        "price": {
            "about": form.format(job.estimate_micros),
            "at_most": form.format(job.max_micros),
            "paid": "" if job.cost_micros is None else form.format(job.cost_micros),
        },
        "money": [_entry_to_json(entry, form) for entry in record.entries],
    }


def _prediction_to_json(prediction: PredictionRecord | None, form: CreditFormatter) -> JSON:
    if prediction is None:
        return None
    return {
        "id": prediction.backend_id,
        "state": prediction.state,
        "metrics": {
            "predict_seconds": prediction.predict_seconds,
            "cost": "" if prediction.cost_micros is None else form.format(prediction.cost_micros),
        },
    }


def _entry_to_json(entry: Entry, form: CreditFormatter) -> JSON:
    # An account's id begins with its kind and what it is for: `wallet:daily:…`, `budget:bot:…`.
    kind, scope = entry.account.split(":")[:2]
    return {
        "at": entry.at.isoformat(),
        "kind": entry.kind.value,
        "account": f"{kind}:{scope}",
        "balance": _format_signed(entry.balance_delta_micros, form),
        "held": _format_signed(entry.held_delta_micros, form),
    }


def _format_signed(micros: int, form: CreditFormatter) -> str:
    return f"−{form.format(-micros)}" if micros < 0 else form.format(micros)
