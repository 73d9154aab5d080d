"""What was spent in a day or month before a limit for it was set: a limit counts that, but for what was forgiven."""

from datetime import datetime
from typing import Final

from bot.core.money import Account, EntryKind
from bot.core.people import User
from bot.credits.accounts import asker, granted_wallet, start_of, workspace_budget
from bot.credits.overview import Standing, standing_of
from bot.credits.policies import About, Policies
from bot.storage.database import Transaction

DAY: Final = "today"
MONTH: Final = "this month"
"""What a reset forgave, as its row on the person's extra credits says: a month's limit begins anew with a month."""


async def used_before(tx: Transaction, account: Account, user: User) -> int:
    """What an account that is not open yet would have counted so far in its window, in micros."""
    if account.scope not in ("user", "workspace", "allowance"):
        return 0
    since = start_of(account.window)
    if account.scope == "workspace":
        return await tx.ledger.sum_used(f"{user.platform}:{user.workspace}:", since, "wallet:")
    wallets = "wallet:daily:" if account.scope == "allowance" else "wallet:"
    return await tx.ledger.sum_used(asker(user), max(since, await _forgiven_at(tx, account, user, since)), wallets)


async def _forgiven_at(tx: Transaction, account: Account, user: User, since: datetime) -> datetime:
    """When what counts for this window was forgiven last; `since` where it never was."""
    spans = (DAY, MONTH) if len(account.window) == len("2026-11-20") else (MONTH,)
    rows = await tx.ledger.list_entries([granted_wallet(user.platform, user.workspace, user.id).id])
    return max((row.at for row in rows if row.kind is EntryKind.RESET and row.reason in spans), default=since)


async def workspace_standing(
    tx: Transaction, policies: Policies, platform: str, workspace: str, now: datetime
) -> Standing:
    """How the budget of a workspace stands this month, or what it spent where it has none."""
    limit = await policies.budget_of(tx, About(platform, workspace, "workspace"))
    account = await tx.ledger.get_account(workspace_budget(platform, workspace, now).id) if limit is not None else None
    used = 0 if account else await tx.ledger.sum_used(f"{platform}:{workspace}:", start_of(f"{now:%Y-%m}"), "wallet:")
    return standing_of(limit, account, used, now)
