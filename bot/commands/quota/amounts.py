"""Credits as people type them, checked: whole micros, and within what a moderator may give away."""

from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.credits.pricing import CreditFormatter
from bot.dispatch.services import Services

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
