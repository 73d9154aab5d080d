"""What was spent in a day or month before a limit for it was set: a limit counts that, but for what was forgiven."""

from datetime import datetime
from typing import Final

from bot.core.money import Account, EntryKind
from bot.core.people import User
from bot.credits.accounts import format_actor, get_granted_wallet, get_workspace_budget, parse_window_start
from bot.credits.overview import BudgetStatus, build_budget_status
from bot.credits.policies import Policies, PolicyTarget
from bot.storage.database import Transaction

RESET_DAY: Final = "today"
RESET_MONTH: Final = "this month"
"""What a reset forgave, as its row on the person's extra credits says: a month's limit begins anew with a month."""


async def read_prior_usage(tx: Transaction, account: Account, user: User) -> int:
    """What an account that is not open yet would have counted so far in its window, in micros."""
    if account.scope not in ("user", "workspace", "allowance"):
        return 0
    since = parse_window_start(account.window)
    if account.scope == "workspace":
        return await tx.ledger.sum_used(f"{user.platform}:{user.workspace}:", since, "wallet:")
    wallets = "wallet:daily:" if account.scope == "allowance" else "wallet:"
    return await tx.ledger.sum_used(
        format_actor(user), max(since, await _last_reset_at(tx, account, user, since)), wallets
    )


async def _last_reset_at(tx: Transaction, account: Account, user: User, since: datetime) -> datetime:
    """When what counts for this window was forgiven last; `since` where it never was."""
    spans = (RESET_DAY, RESET_MONTH) if len(account.window) == len("2026-11-20") else (RESET_MONTH,)
    rows = await tx.ledger.list_entries([get_granted_wallet(user.platform, user.workspace, user.id).id])
    return max((row.at for row in rows if row.kind is EntryKind.RESET and row.reason in spans), default=since)


async def read_workspace_budget_status(
    tx: Transaction, policies: Policies, platform: str, workspace: str, now: datetime
) -> BudgetStatus:
    """How the budget of a workspace stands this month, or what it spent where it has none."""
    limit = await policies.get_monthly_budget_micros(tx, PolicyTarget(platform, workspace, "workspace"))
    account = (
        await tx.ledger.get_account(get_workspace_budget(platform, workspace, now).id) if limit is not None else None
    )
    used = (
        0
        if account
        else await tx.ledger.sum_used(f"{platform}:{workspace}:", parse_window_start(f"{now:%Y-%m}"), "wallet:")
    )
    return build_budget_status(limit, account, used, now)
