"""May this person run this model here, so often, so large? Asked inside the transaction that accepts a job."""

from collections.abc import Iterable
from datetime import datetime
from math import ceil

from bot.core.errors import LimitReached, RequestRefused
from bot.core.jobs import Job
from bot.core.models import Model
from bot.core.people import User
from bot.credits.limits import ChannelRules, UserLimits
from bot.credits.pricing import count_images, count_pixels
from bot.storage.database import Transaction


def check_permissions(job: Job, model: Model, limits: UserLimits, rules: ChannelRules) -> None:
    """Raises `Refused` for a command, a model or a size that was not given to this person, or to this channel."""
    if rules.commands is not None and job.command not in rules.commands:
        raise RequestRefused(
            f"/{job.command} is not for this channel.{_list_alternatives(rules.commands, 'Here you may use /', ', /')}"
        )
    if rules.models is not None and model.key not in rules.models:
        raise RequestRefused(
            f"{model.title} is not for this channel.{_list_alternatives(rules.models, 'Here you may use ')}"
        )
    if limits.models is not None and model.key not in limits.models:
        raise RequestRefused(
            f"{model.title} is not among the models you may use.{_list_alternatives(limits.models, 'You may use ')}"
        )
    count, pixels = count_images(model, job.inputs), count_pixels(job.inputs)
    if limits.max_count is not None and count > limits.max_count:
        raise RequestRefused(f"You may ask for {limits.max_count} at a time at most, not {count}.")
    if limits.max_pixels is not None and pixels is not None and pixels > limits.max_pixels:
        raise RequestRefused(f"You may ask for {limits.max_pixels:,} pixels a picture at most, not {pixels:,}.")


async def check_rate(tx: Transaction, user: User, limits: UserLimits, now: datetime) -> None:
    """Raises `LimitReached` when too many run, or came in the last minute. The job's own row is there already.

    The caller has locked the person's wallet, so that of two asks the second sees the first.
    """
    if limits.jobs_at_once is not None and await tx.jobs.count_open_for_user(user) > limits.jobs_at_once:
        if limits.jobs_at_once == 0:
            raise LimitReached("You may not run anything here at the moment. Ask a moderator.")
        running = "one job" if limits.jobs_at_once == 1 else f"{limits.jobs_at_once} jobs"
        raise LimitReached(f"You may have {running} at once. Wait for one to end, or /cancel it.")
    if limits.jobs_per_minute is None:
        return
    if limits.jobs_per_minute == 0:
        raise LimitReached("You may not run anything here at the moment. Ask a moderator.")
    key = f"jobs:{user.platform}:{user.workspace}:{user.id}"
    wait = await tx.rates.take(key, limits.jobs_per_minute, now)
    if wait > 0:
        often = "once" if limits.jobs_per_minute == 1 else f"{limits.jobs_per_minute} times"
        raise LimitReached(f"You may ask {often} a minute. Try again in {ceil(wait)} s.")


def is_model_allowed(model: str, limits: UserLimits, rules: ChannelRules) -> bool:
    """Whether a model is given to this person in this channel."""
    return all(allowed is None or model in allowed for allowed in (limits.models, rules.models))


def _list_alternatives(allowed: Iterable[str], lead: str, between: str = ", ") -> str:
    names = between.join(sorted(allowed))
    return f" {lead}{names}." if names else ""
