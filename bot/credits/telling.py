"""Limits, budgets and alerts in the words that people read."""

import re
from collections.abc import Iterable, Mapping

from bot.core.json import JSON
from bot.core.money import Account
from bot.credits import limits
from bot.credits.alerts import BudgetAlert
from bot.credits.moments import day_told
from bot.credits.pricing import CreditForm

_WHOSE = {"user": "Your limit", "workspace": "This workspace's budget"}


def values_told(values: Mapping[str, JSON], form: CreditForm) -> list[str]:
    """What is set about something, one phrase each: "50 credits a day", "2 jobs at once"."""
    return [_told(key, values[key], form) for key in _TELLERS if values.get(key) is not None]


def _told(key: str, value: JSON, form: CreditForm) -> str:
    if isinstance(value, list):
        names = "any" if limits.ANY in value else ", ".join(map(str, value))
        return f"{_TELLERS[key]} {names}"
    number = value if isinstance(value, int) else 0
    amount = form.show(number) if key.endswith("_micros") else f"{number:,}"
    return _ONE.sub(r"1 \1", _TELLERS[key].format(amount))


_ONE = re.compile(r"(?<![\d.,])1 (credit|job|picture|pixel|turn)s")


_TELLERS: Mapping[str, str] = {
    limits.DAILY_ALLOWANCE: "{} credits each day",
    limits.USER_DAY: "at most {} credits a day",
    limits.USER_MONTH: "at most {} credits a month",
    limits.WORKSPACE_MONTH: "at most {} credits a month",
    limits.BOT_MONTH: "at most {} credits a month",
    limits.AT_ONCE: "{} jobs at once",
    limits.PER_MINUTE: "{} jobs a minute",
    limits.MAX_COUNT: "{} pictures at a time",
    limits.MAX_PIXELS: "{} pixels a picture",
    limits.WEIGHT: "{} turns in the queue",
    limits.COMMANDS: "commands:",
    limits.MODELS: "models:",
}


def jobs_told(number: int) -> str:
    """ "1 job", "2,000 jobs"."""
    return "1 job" if number == 1 else f"{number:,} jobs"


def one_line(phrases: Iterable[str], *, otherwise: str) -> str:
    """Phrases as one line; `otherwise` where there are none."""
    return " · ".join(phrases) or otherwise


def budget_told(budget: Account, form: CreditForm, zone: str) -> str:
    """A budget as somebody who is bound by it reads it."""
    left, of = form.show(budget.available), form.show(budget.granted)
    refills = f" It refills {day_told(budget.expires_at, zone)}." if budget.expires_at else ""
    return f"{_WHOSE[budget.scope]} for {budget.window}: **{left}** of {of} credits left.{refills}"


def alert_told(alert: BudgetAlert, form: CreditForm) -> str:
    """What moderators or the owner are told when a budget runs out."""
    whose = "The bot's monthly budget" if alert.scope == "bot" else "This workspace's monthly budget"
    spent, limit = form.show(alert.spent), form.show(alert.limit)
    refills = day_told(alert.refills_at, alert.time_zone)
    if alert.percent >= 100:
        then = f"Nothing that costs more than what is left can be asked until it refills {refills}, or is raised"
        return f"{whose} is spent: {spent} of {limit} credits. {then}: `/quota budget set`."
    return f"{whose} is spent to {alert.percent} %: {spent} of {limit} credits. It refills {refills}."
