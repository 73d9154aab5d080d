"""Format limits, budgets and alerts as sentences for users, moderators and the owner."""

import re
from collections.abc import Iterable, Mapping

from bot.core.json import JSON
from bot.core.money import Account
from bot.core.time_format import format_date
from bot.credits import limits
from bot.credits.alerts import BudgetAlert
from bot.credits.pricing import CreditFormatter

_BUDGET_NAMES = {"user": "Your limit", "workspace": "This workspace's budget"}

_TEMPLATES: Mapping[str, str] = {
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
_PLURAL_OF_ONE = re.compile(r"(?<![\d.,])1 (credit|job|picture|pixel|turn)s")


def format_values(values: Mapping[str, JSON], formatter: CreditFormatter) -> list[str]:
    """Return one phrase for each value that is set: "50 credits each day", "2 jobs at once"."""
    return [_format_value(key, values[key], formatter) for key in _TEMPLATES if values.get(key) is not None]


def _format_value(key: str, value: JSON, formatter: CreditFormatter) -> str:
    if isinstance(value, list):
        names = "any" if limits.ANY in value else ", ".join(map(str, value))
        return f"{_TEMPLATES[key]} {names}"
    number = value if isinstance(value, int) else 0
    amount = formatter.format(number) if key.endswith("_micros") else f"{number:,}"
    return _PLURAL_OF_ONE.sub(r"1 \1", _TEMPLATES[key].format(amount))


def format_job_count(number: int) -> str:
    """Return "1 job", "2,000 jobs"."""
    return "1 job" if number == 1 else f"{number:,} jobs"


def join_phrases(phrases: Iterable[str], *, otherwise: str) -> str:
    """Return phrases as one line, or `otherwise` without phrases."""
    return " · ".join(phrases) or otherwise


def format_budget(budget: Account, formatter: CreditFormatter, zone: str) -> str:
    """Return the state of a budget, for a user whose spending the budget limits."""
    left, total = formatter.format(budget.available_micros), formatter.format(budget.granted_micros)
    refills = f" It refills {format_date(budget.expires_at, zone)}." if budget.expires_at else ""
    return f"{_BUDGET_NAMES[budget.scope]} for {budget.window}: **{left}** of {total} credits left.{refills}"


def format_alert(alert: BudgetAlert, formatter: CreditFormatter) -> str:
    """Return the text of an alert for the moderators or the owner."""
    name = "The bot's monthly budget" if alert.scope == "bot" else "This workspace's monthly budget"
    spent, limit = formatter.format(alert.spent_micros), formatter.format(alert.limit_micros)
    refills = format_date(alert.refills_at, alert.time_zone)
    if alert.percent >= 100:
        advice = f"Nothing that costs more than what is left can be asked until it refills {refills}, or is raised"
        return f"{name} is spent: {spent} of {limit} credits. {advice}: `/quota budget set`."
    return f"{name} is spent to {alert.percent} %: {spent} of {limit} credits. It refills {refills}."
