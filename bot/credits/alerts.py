"""Telling that a shared budget runs out: at 50, 80 and 100 % of it, once each for a month and a limit.

What is to be told is found where money is held or closed. Whether it is told is decided after that transaction, by a
row of the ledger that only one process can write, once: so a rolled back hold tells nothing, and a second process, or
the same after a restart, does not tell again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.clock import Clock
from bot.core.errors import DuplicateEntry
from bot.core.money import Account, Entry, EntryKind
from bot.credits.policies import BOT_TARGET, Policies, PolicyTarget
from bot.storage.database import Database, Transaction

log = logging.getLogger(__name__)

ALERT_PERCENTS = (50, 80, 100)

EXHAUSTED_FROM_PERCENT = 80
"""From this percentage on, an ask that finds no room says that the budget is as good as spent."""


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """What is to be told. `scope` is `workspace` (tell its moderators) or `bot` (tell the owner); amounts in micros."""

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
    """`tell` is called once for each alert."""

    def __init__(self, database: Database, policies: Policies, clock: Clock, send: AlertSender) -> None:
        self._database = database
        self._policies = policies
        self._clock = clock
        self._tell = send
        self._settled: set[tuple[str, int, int]] = set()
        """(account, what it was granted, percent) that is known to be told, so that nobody asks again."""
        self._deciding: set[asyncio.Task[None]] = set()

    def check_budgets(self, budgets: Sequence[Account], was_refused: bool) -> None:
        """Notice budgets as they will be once the running transaction is committed."""
        for budget in budgets:
            percent = _reached_percent(budget.spent_micros, budget.granted_micros, was_refused=was_refused)
            if percent and (budget.id, budget.granted_micros, percent) not in self._settled:
                task = asyncio.create_task(self._decide(budget, was_refused), name=f"alert {budget.id}")
                self._deciding.add(task)
                task.add_done_callback(self._deciding.discard)

    async def wait_until_idle(self) -> None:
        """Wait until everything noticed so far is decided and told."""
        while self._deciding:
            await asyncio.gather(*self._deciding, return_exceptions=True)

    async def _decide(self, budget: Account, was_refused: bool) -> None:
        try:
            alert = await self._record_alert(budget, was_refused)
            if alert is not None:
                await self._tell(alert)
        except Exception:  # the next hold or close finds it again, unless it was written down
            log.exception("alert.failed", extra={"account": budget.id})

    async def _record_alert(self, noticed: Account, was_refused: bool) -> BudgetAlert | None:
        """The alert, once its row is committed; None when there is none (any more), or another process has it."""
        about = BOT_TARGET if noticed.scope == "bot" else PolicyTarget(noticed.platform, noticed.workspace, "workspace")
        now = self._clock.now()
        alert = None
        with contextlib.suppress(DuplicateEntry):
            async with self._database.write() as tx:
                # Locked, so that the transaction in which this was noticed is over.
                budget = (await tx.ledger.lock_accounts([noticed.id])).get(noticed.id)
                limit = await self._policies.get_monthly_budget_micros(tx, about)
                if budget is None or budget.expires_at is None or budget.expires_at <= now or not limit:
                    return None
                percent = _reached_percent(budget.spent_micros, limit, was_refused=was_refused)
                if not percent:
                    return None
                await _append_alert_entry(tx, budget, limit, percent, now)
                zone = str((await self._policies.get_values(tx, about)).get("setting:time_zone") or "UTC")
                alert = BudgetAlert(
                    budget.scope,
                    budget.platform,
                    budget.workspace,
                    percent,
                    budget.spent_micros,
                    limit,
                    budget.expires_at,
                    zone,
                )
        self._settled.add(
            (
                noticed.id,
                noticed.granted_micros,
                _reached_percent(noticed.spent_micros, noticed.granted_micros, was_refused=was_refused),
            )
        )
        return alert


async def _append_alert_entry(tx: Transaction, budget: Account, limit: int, percent: int, now: datetime) -> None:
    """The row that decides. Its key is unique: a second one is a `DuplicateEntry`, whoever writes it."""
    key = f"told:{budget.id}:{limit}:{percent}"
    await tx.ledger.append([Entry(budget.id, EntryKind.ADJUST, 0, 0, key, "bot", now, reason=f"told at {percent} %")])


def _reached_percent(spent: int, limit: int, *, was_refused: bool) -> int:
    """The highest percentage to be told that was reached; 0 where none was."""
    if limit <= 0:
        return 0
    if was_refused and spent * 100 >= EXHAUSTED_FROM_PERCENT * limit:
        return 100
    return max((percent for percent in ALERT_PERCENTS if spent * 100 >= percent * limit), default=0)
