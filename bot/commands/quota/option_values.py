"""Credits as people type them, checked: whole micros, and within what a moderator may give away."""

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


def parse_micros(credits_: float, form: CreditFormatter, option: str) -> int:
    """An amount in micros; raises `BadOption` for one too small to be anything."""
    micros = form.to_micros(credits_)
    if micros == 0 and credits_ != 0:
        raise BadOption(f"{option} is less than anything can cost.", option=option)
    return micros


async def check_within_budget(invocation: Invocation, services: Services, micros: int, option: str) -> None:
    """A moderator promises nobody more than the workspace may spend in a month; the owner may."""
    if invocation.rank >= Rank.OWNER:
        return
    limit = (await services.credits.get_limits(invocation.user)).workspace_month_micros
    if limit is not None and micros > limit:
        most = services.credits.formatter.format(limit)
        raise BadOption(f"{option} is more than this workspace may spend in a month: {most} credits.", option=option)


# MERGED Models and commands as people list them: `flux-schnell, sdxl`, or `all`.

ALL = frozenset({"all", "any", ANY})


def resolve_channel(channel: str | None, invocation: Invocation) -> str:
    """That channel, or the one where this was asked; raises `BadOption` where there is none, as in a terminal."""
    name = channel or invocation.channel.id
    if not name:
        raise BadOption("Say which channel.", option="channel")
    return name


def parse_models(text: str, services: Services) -> list[JSON]:
    """The keys of these models, or `[ANY]`; raises `UnknownName` with the nearest."""
    known = [model.key for model in services.catalogue.list_all()]
    return _parse_names(text, known, "model", how="/models lists them.")


def parse_commands(text: str, services: Services) -> list[JSON]:
    """The names of these commands, or `[ANY]`.

    Only commands that make jobs: what moderators and help need is never shut out of a channel, so no rule can lock out
    whoever would have to undo it.
    """
    jobs = [form.declaration.name for form in services.menu if form.declaration.task is not None]
    others = [form.declaration.name for form in services.menu if form.declaration.task is None]
    for name in _split(text):
        if name in others or name in {other.split(" ")[0] for other in others}:
            raise BadOption(f"/{name} makes no jobs, so it works in every channel. Name some of {', '.join(jobs)}.")
    return _parse_names(text, jobs, "command that makes jobs", how=f"There are {', '.join(jobs)}.")


def _parse_names(text: str, known: list[str], what: str, *, how: str) -> list[JSON]:
    names = _split(text)
    if set(names) & ALL:
        return [ANY]
    for name in names:
        if name not in known:
            raise UnknownName(what, name, known, advice=how)
    if not names:
        raise BadOption(f"Name at least one {what}, or `all`.")
    return list(dict.fromkeys(names))


def _split(text: str) -> list[str]:
    return [name.removeprefix("/") for name in re.split(r"[\s,;]+", text.strip().lower()) if name]
