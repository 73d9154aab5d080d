"""GET /api/jobs/{id}: a job's record for the page's drawer, for the job's user and for moderators.

Of a private job only the job's user and an owner read the record.
"""

from aiohttp import web

from bot.core.errors import UserError
from bot.core.jobs import Job, PredictionRecord
from bot.core.json import JSON, spell_large_integers
from bot.core.money import Account, Entry
from bot.core.people import Rank, User
from bot.credits.pricing import CreditFormatter
from bot.dispatch.dispatcher import Dispatcher
from bot.jobs.jobs import JobHistory
from bot.platforms.web.auth import NAME, NO_STORE, WORKSPACE
from bot.platforms.web.request_parsing import REQUEST_USER


class JobDetails:
    """Serves job records. A forbidden job gets the same 404 as an unknown job."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Return the record as JSON: times in ISO 8601 and UTC, amounts as text in credits."""
        services = self._dispatcher.services
        job = await services.jobs.get(request.match_info["job"])
        is_visible = job is not None and await self._may_see(request[REQUEST_USER], job)
        record = await services.jobs.get_history(job) if job is not None and is_visible else None
        if record is None:
            raise web.HTTPNotFound(text="There is no job of that name that you can see here.")
        try:
            title = services.catalogue.get(record.job.model).title
        except UserError:
            title = record.job.model  # a later catalogue may lack the model
        return web.json_response(job_record_to_json(record, title, services.credits.formatter), headers=NO_STORE)

    async def _may_see(self, user: User, job: Job) -> bool:
        if (job.user.platform, job.user.workspace) != (NAME, WORKSPACE):
            return False
        # As for the Show button: moderators read no private request.
        least = Rank.OWNER if job.is_private else Rank.MODERATOR
        return job.user.id == user.id or await self._dispatcher.authorizer.get_rank(user) >= least


def job_record_to_json(record: JobHistory, title: str, form: CreditFormatter) -> dict[str, JSON]:
    """Return the record without any file's bytes: an input file is given by SHA-256, type and size."""
    job = record.job
    return {
        "id": job.id,
        "command": job.command,
        "options": spell_large_integers(job.options),
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
            "inputs": spell_large_integers(job.inputs),
            "attempts": job.attempts + 1,
        },
        "prediction": _prediction_to_json(record.prediction, form),
        "outputs": [
            {"n": output.n, "mime": output.mime or "text/plain", "size": output.size_bytes or len(output.text.encode())}
            for output in record.outputs
        ],
        "price": {
            "about": form.format(job.estimate_micros),
            "at_most": form.format(job.max_micros),
            "paid": "" if job.cost_micros is None else form.format(job.cost_micros),
        },
        "money": [_entry_to_json(entry, record.accounts[entry.account], form) for entry in record.entries],
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


def _entry_to_json(entry: Entry, account: Account, form: CreditFormatter) -> JSON:
    return {
        "at": entry.at.isoformat(),
        "kind": entry.kind.value,
        "account": f"{account.kind.value}:{account.scope}",
        "balance": _format_signed(entry.balance_delta_micros, form),
        "held": _format_signed(entry.held_delta_micros, form),
    }


def _format_signed(micros: int, form: CreditFormatter) -> str:
    return f"−{form.format(-micros)}" if micros < 0 else form.format(micros)
