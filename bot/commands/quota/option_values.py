"""Values of /quota's options: amounts of credits, and lists of models and commands."""

import re

from bot.core.errors import BadOption, UnknownName
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Rank
from bot.credits.limits import ANY
from bot.credits.pricing import CreditFormatter
from bot.dispatch.declaration import Services

MIN_CREDITS = 0.1
MAX_CREDITS = 1_000_000
MAX_BUDGET_CREDITS = 1_000_000_000

_ALL = frozenset({"all", "any", ANY})


def parse_micros(credits_: float, form: CreditFormatter, option: str) -> int:
    """Return an amount in micros. Raise `BadOption` for an amount below the smallest unit."""
    micros = form.to_micros(credits_)
    if micros == 0 and credits_ != 0:
        raise BadOption(f"{option} is less than anything can cost.", option=option)
    return micros


async def check_within_budget(invocation: Invocation, services: Services, micros: int, option: str) -> None:
    """Raise `BadOption` if a moderator gives more than the monthly budget of the workspace or of the bot.

    The owner may give more.
    """
    if invocation.rank >= Rank.OWNER:
        return
    limits = await services.credits.get_limits(invocation.user)
    limit = limits.workspace_month_micros
    if limit is not None and micros > limit:
        most = services.credits.formatter.format(limit)
        raise BadOption(f"{option} is more than this workspace may spend in a month: {most} credits.", option=option)
    # Without the figure: the bot's budget is private to the owner.
    if micros > limits.bot_month_micros:
        raise BadOption(f"{option} is more than the bot may spend in a month: give less.", option=option)


def resolve_channel(channel: str | None, invocation: Invocation) -> str:
    """Return the named channel or the invocation's. Raise `BadOption` without either, as in a terminal."""
    name = channel or invocation.channel.id
    if not name:
        raise BadOption("Say which channel.", option="channel")
    return name


def parse_models(text: str, services: Services) -> list[JSON]:
    """Return the keys of the listed models, or `[ANY]` for `all`. Raise `UnknownName` with the nearest name."""
    known = [model.key for model in services.catalogue.list_all()]
    return _parse_names(text, known, "model", advice="/models lists them.")


def parse_commands(text: str, services: Services) -> list[JSON]:
    """Return the names of the listed commands, or `[ANY]` for `all`.

    Raise `BadOption` for a command without jobs, and `UnknownName` with the nearest name.
    """
    # Commands without jobs work in each channel: a rule against /quota itself could not be undone there.
    jobs = [form.declaration.name for form in services.menu if form.declaration.task is not None]
    others = [form.declaration.name for form in services.menu if form.declaration.task is None]
    for name in _split(text):
        if name in others or name in {other.split(" ")[0] for other in others}:
            raise BadOption(f"/{name} makes no jobs, so it works in every channel. Name some of {', '.join(jobs)}.")
    return _parse_names(text, jobs, "command that makes jobs", advice=f"There are {', '.join(jobs)}.")


def _parse_names(text: str, known: list[str], kind: str, *, advice: str) -> list[JSON]:
    names = _split(text)
    if set(names) & _ALL:
        return [ANY]
    for name in names:
        if name not in known:
            raise UnknownName(kind, name, known, advice=advice)
    if not names:
        raise BadOption(f"Name at least one {kind}, or `all`.")
    return list(dict.fromkeys(names))


def _split(text: str) -> list[str]:
    return [name.removeprefix("/") for name in re.split(r"[\s,;]+", text.strip().lower()) if name]
