"""Alert the moderators or the owner when a shared budget reaches 50, 80 and 100 %: once per month and limit.

A hold or a close notices the budgets inside its transaction. After that transaction, a ledger row with a unique key
decides whether the alert is sent. So a rolled back hold sends no alert, and neither a second process nor the same
process after a restart repeats an alert.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.background_tasks import BackgroundTasks
from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.errors import DuplicateEntry
from bot.core.money import Account, Entry, EntryKind
from bot.core.people import BOT
from bot.core.time_format import format_date
from bot.credits.limits import BOT_TARGET, TIME_ZONE, Policies, PolicyTarget
from bot.credits.pricing import CreditFormatter
from bot.storage.database import Database, Transaction

log = logging.getLogger(__name__)

ALERT_PERCENTS = (50, 80, 100)

EXHAUSTED_FROM_PERCENT = 80
"""From this percentage on, a refused hold counts as 100 %: the rest of the budget is too small for the usual job."""

_MAX_KNOWN_ALERTS = 10_000


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """One alert. `scope` is `workspace`, for the moderators, or `bot`, for the owner."""

    scope: str
    platform: str
    workspace: str
    percent: int
    spent_micros: int
    limit_micros: int
    refills_at: datetime
    time_zone: str = "UTC"


AlertSender = Callable[[BudgetAlert], Awaitable[None]]


class BudgetAlerts:
    """Calls `send` once for each alert."""

    def __init__(self, database: Database, policies: Policies, clock: Clock, send: AlertSender) -> None:
        self._database = database
        self._policies = policies
        self._clock = clock
        self._send = send
        # (account, limit, percent) of the alerts with a row in the ledger: each job near a threshold would read again.
        self._known_alerts: RecentItems[tuple[str, int, int], None] = RecentItems(_MAX_KNOWN_ALERTS)
        self._tasks = BackgroundTasks("credits")

    def check_budgets(self, budgets: Sequence[Account], was_refused: bool) -> None:
        """Start an alert for each budget past a threshold. `budgets` are as after the running transaction's commit."""
        for budget in budgets:
            percent = _reached_percent(budget.spent_micros, budget.granted_micros, was_refused=was_refused)
            if percent and (budget.id, budget.granted_micros, percent) not in self._known_alerts:
                self._tasks.spawn(self._send_once(budget, was_refused), f"alert {budget.id}")

    async def wait_until_idle(self) -> None:
        """Wait until all alerts so far are sent or dropped."""
        await self._tasks.drain()

    async def _send_once(self, budget: Account, was_refused: bool) -> None:
        try:
            alert = await self._record_alert(budget, was_refused)
            if alert is not None:
                await self._send(alert)
        except Exception:  # without its row, the next hold or close notices the budget again
            log.exception("alert.failed", extra={"account": budget.id})

    async def _record_alert(self, noticed: Account, was_refused: bool) -> BudgetAlert | None:
        """Return the alert with its row committed; None if no alert is due, or another process recorded the alert."""
        is_bot = noticed.scope == "bot"
        target = BOT_TARGET if is_bot else PolicyTarget(noticed.platform, noticed.workspace, "workspace")
        now = self._clock.now()
        alert = None
        with contextlib.suppress(DuplicateEntry):
            async with self._database.write() as tx:
                # The lock waits for the end of the transaction that noticed the budget: its hold may be rolled back.
                budget = (await tx.ledger.lock_accounts([noticed.id])).get(noticed.id)
                limit_micros = await self._policies.get_monthly_budget_micros(tx, target)
                if budget is None or budget.expires_at is None or budget.expires_at <= now or not limit_micros:
                    return None
                percent = _reached_percent(budget.spent_micros, limit_micros, was_refused=was_refused)
                if not percent:
                    return None
                await _append_alert_entry(tx, budget, limit_micros, percent, now)
                zone = str((await self._policies.get_values(tx, target)).get(TIME_ZONE) or "UTC")
                alert = BudgetAlert(
                    budget.scope,
                    budget.platform,
                    budget.workspace,
                    percent,
                    budget.spent_micros,
                    limit_micros,
                    budget.expires_at,
                    zone,
                )
        noticed_percent = _reached_percent(noticed.spent_micros, noticed.granted_micros, was_refused=was_refused)
        self._known_alerts[noticed.id, noticed.granted_micros, noticed_percent] = None
        return alert


async def _append_alert_entry(tx: Transaction, budget: Account, limit_micros: int, percent: int, now: datetime) -> None:
    """Append the row of an alert, which moves no money. Raise `DuplicateEntry` if the row exists."""
    key = f"alert:{budget.id}:{limit_micros}:{percent}"
    await tx.ledger.append([Entry(budget.id, EntryKind.ADJUST, 0, 0, key, BOT, now, reason=f"alert at {percent} %")])


def _reached_percent(spent_micros: int, limit_micros: int, *, was_refused: bool) -> int:
    """Return the highest threshold that the spending reached, 0 for none."""
    if limit_micros <= 0:
        return 0
    if was_refused and spent_micros * 100 >= EXHAUSTED_FROM_PERCENT * limit_micros:
        return 100
    reached = (percent for percent in ALERT_PERCENTS if spent_micros * 100 >= percent * limit_micros)
    return max(reached, default=0)


def format_alert(alert: BudgetAlert, formatter: CreditFormatter) -> str:
    """Return the text of an alert for the moderators or the owner."""
    name = "The bot's monthly budget" if alert.scope == "bot" else "This workspace's monthly budget"
    spent, limit = formatter.format(alert.spent_micros), formatter.format(alert.limit_micros)
    refills = format_date(alert.refills_at, alert.time_zone)
    if alert.percent >= 100:
        advice = f"Nothing that costs more than what is left can be asked until it refills {refills}, or is raised"
        return f"{name} is spent: {spent} of {limit} credits. {advice}: `/quota budget set`."
    return f"{name} is spent to {alert.percent} %: {spent} of {limit} credits. It refills {refills}."
