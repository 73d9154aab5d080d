"""What was spent in a day or month before a limit for it was set: a limit counts that too."""

from datetime import datetime

from bot.core.money import Account
from bot.core.people import User
from bot.core.storage import Transaction
from bot.credits.accounts import asker, start_of, workspace_budget
from bot.credits.overview import Standing, standing_of
from bot.credits.policies import About, Policies


async def used_before(tx: Transaction, account: Account, user: User) -> int:
    """What an account that is not open yet would have counted so far in its window, in micros."""
    if account.scope not in ("user", "workspace", "allowance"):
        return 0
    who = f"{user.platform}:{user.workspace}:" if account.scope == "workspace" else asker(user)
    wallets = "wallet:daily:" if account.scope == "allowance" else "wallet:"
    return await tx.ledger.used_by(who, start_of(account.window), wallets)


async def workspace_standing(
    tx: Transaction, policies: Policies, platform: str, workspace: str, now: datetime
) -> Standing:
    """How the budget of a workspace stands this month, or what it spent where it has none."""
    limit = await policies.budget_of(tx, About(platform, workspace, "workspace"))
    account = await tx.ledger.get(workspace_budget(platform, workspace, now).id) if limit is not None else None
    used = 0 if account else await tx.ledger.used_by(f"{platform}:{workspace}:", start_of(f"{now:%Y-%m}"), "wallet:")
    return standing_of(limit, account, used, now)
