"""Grant and take credits, and forgive spending: by moderators in their own workspace, or by the owner."""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.core.clock import Clock
from bot.core.errors import BadOption, DuplicateEntry
from bot.core.json import JSON
from bot.core.money import Account, Entry, EntryKind, ResetPeriod
from bot.core.people import User
from bot.core.platform import format_person_link, is_platform_id
from bot.credits.accounts import get_granted_wallet, list_window_accounts
from bot.credits.ledger import Ledger
from bot.credits.limits import Policies
from bot.credits.pricing import CreditFormatter
from bot.storage.database import Database, Transaction


class Wallets:
    """Changes the wallets of users. `by` is the acting moderator or owner, in the workspace of the user.

    `request_key` makes each change idempotent: a platform may deliver one call twice.
    """

    def __init__(
        self, database: Database, policies: Policies, ledger: Ledger, formatter: CreditFormatter, clock: Clock
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._policies = policies
        self._formatter = formatter
        self._clock = clock

    async def find_user(self, by: User, name: str) -> User:
        """Return the user of this workspace with an id or name. Raise `BadOption` for no or several users."""
        async with self._database.read() as tx:
            user_id = _choose_id(name, by.platform, await tx.people.find_user_ids(by.platform, by.workspace, name))
            names = await tx.people.get_names(by.platform, by.workspace, [user_id])
        return User(by.platform, by.workspace, user_id, names.get(user_id) or user_id)

    async def grant(self, by: User, user: User, micros: int, request_key: str, *, is_owner: bool = False) -> int:
        """Grant credits; return the user's granted credits afterwards, in micros.

        Raise `BadOption` if the granted credits of a moderator's workspace would exceed the rest of its monthly budget,
        or of the bot's.
        """
        await self._change_granted(by, user, micros, request_key, is_bounded=not is_owner)
        return await self._read_granted_micros(user)

    async def take(self, by: User, user: User, micros: int, request_key: str) -> int:
        """Take granted credits back; return the rest in micros. Raise `BadOption` if the user has too few."""
        await self._change_granted(by, user, -micros, request_key)
        return await self._read_granted_micros(user)

    async def reset(self, by: User, user: User, *, with_month: bool, request_key: str) -> int:
        """Forgive the user's spending in this workspace today, or this month; return the restored micros.

        Spending in other workspaces stays, and so do the counts of shared budgets: the owner has paid that money.
        """
        now = self._clock.now()
        today = f"{now:%Y-%m-%d}"
        accounts = [account for account in list_window_accounts(user, now) if with_month or account.window == today]
        granted = get_granted_wallet(user.platform, user.workspace, user.id)
        period = ResetPeriod.MONTH if with_month else ResetPeriod.DAY
        restored_micros = 0
        with contextlib.suppress(DuplicateEntry):  # a second delivery of the same request
            async with self._database.write() as tx:
                # Lock all accounts in one statement, in id order: locked one by one, a reset and a settling job could
                # deadlock.
                locked = await tx.ledger.lock_accounts([granted.id, *(account.id for account in accounts)])
                await _record_reset(tx, granted, by, request_key, now, period)
                for account in (locked[account.id] for account in accounts if account.id in locked):
                    micros = await _read_spent_in_workspace(tx, account, user)
                    key = f"reset:{request_key}:{account.id}"
                    await tx.ledger.append([Entry(account.id, EntryKind.RESET, micros, 0, key, by.actor, now)])
                    restored_micros += micros if account.scope in ("daily", "tier") else 0
                facts: dict[str, JSON] = {"of": user.id, "micros": restored_micros, "month": with_month}
                await tx.audit.add(by.actor, "credits.reset", facts, now)
        return restored_micros

    async def _check_budgets(self, tx: Transaction, by: User, budgets: Mapping[str, Account], micros: int) -> None:
        """Raise `BadOption` if a grant, with all unspent grants of the workspace, exceeds a budget's rest."""
        promised_micros = await tx.ledger.sum_granted(by.platform, by.workspace)
        if (workspace := budgets.get("workspace")) is not None:
            left_micros = workspace.available_micros
            if micros > left_micros - promised_micros:
                raise BadOption(self._explain_room(left_micros, promised_micros), option="credits")
        # Without figures: the bot's budget is private to the owner.
        if micros > budgets["bot"].available_micros - promised_micros:
            text = "The bot cannot pay for so many more credits here this month: give fewer, or ask its owner."
            raise BadOption(text, option="credits")

    def _explain_room(self, left_micros: int, promised_micros: int) -> str:
        text = f"This workspace has {self._formatter.format_amount(left_micros)} left this month"
        if not promised_micros:
            return f"{text}: you cannot give away more."
        rest_micros = max(left_micros - promised_micros, 0)
        most = f"at most {self._formatter.format(rest_micros)} more" if rest_micros else "no more"
        promised = self._formatter.format(promised_micros)
        return f"{text}, and {promised} are given away already: you can give away {most}."

    async def _change_granted(
        self, by: User, user: User, micros: int, request_key: str, *, is_bounded: bool = False
    ) -> None:
        now, wallet = self._clock.now(), get_granted_wallet(user.platform, user.workspace, user.id)
        kind, verb = (EntryKind.GRANT, "grant") if micros >= 0 else (EntryKind.ADJUST, "take")
        with contextlib.suppress(DuplicateEntry):  # a second delivery of the same request
            async with self._database.write() as tx:
                # Budgets before wallets, in the order of all transactions. The lock lets simultaneous grants see one
                # another.
                limits = await self._policies.get_limits(tx, by)
                budgets = await self._ledger.open_shared_budgets(tx, by, limits, now) if is_bounded else {}
                await _open_wallet(tx, wallet, by, now)
                before = (await tx.ledger.lock_accounts([wallet.id]))[wallet.id]
                key = f"{verb}:{request_key}"
                # The second delivery of a call that took the last credits must not be refused.
                if before.available_micros + micros < 0 and not await tx.ledger.has_entry(key):
                    available = self._formatter.format(before.available_micros)
                    text = f"{user.name} has {available} extra credits: I cannot take more."
                    raise BadOption(text, option="credits")
                if is_bounded and not await tx.ledger.has_entry(key):
                    await self._check_budgets(tx, by, budgets, micros)
                await tx.ledger.append([Entry(wallet.id, kind, micros, 0, key, by.actor, now)])
                facts: dict[str, JSON] = {"to" if micros >= 0 else "of": user.id, "micros": abs(micros)}
                await tx.audit.add(by.actor, f"credits.{verb}", facts, now)

    async def _read_granted_micros(self, user: User) -> int:
        async with self._database.read() as tx:
            wallet = await tx.ledger.get_account(get_granted_wallet(user.platform, user.workspace, user.id).id)
        return wallet.available_micros if wallet else 0


async def _open_wallet(tx: Transaction, wallet: Account, by: User, now: datetime) -> None:
    first = Entry(wallet.id, EntryKind.GRANT, 0, 0, f"open:{wallet.id}", by.actor, now)
    await tx.ledger.open_account(wallet, first)


async def _record_reset(
    tx: Transaction, wallet: Account, by: User, request_key: str, now: datetime, period: ResetPeriod
) -> None:
    """Append a row that moves no money: `read_prior_usage` reads the row for limits that are set after the reset."""
    await _open_wallet(tx, wallet, by, now)
    key = f"reset:{request_key}:{wallet.id}"
    row = Entry(wallet.id, EntryKind.RESET, 0, 0, key, by.actor, now, reset_period=period)
    await tx.ledger.append([row])


async def _read_spent_in_workspace(tx: Transaction, account: Account, user: User) -> int:
    """Return the micros that a user spent from an account by requests in the user's workspace, less earlier resets."""
    if account.workspace:
        return account.spent_micros
    # The account serves all workspaces of a platform: the actor of each hold, and of each count of a failed run, has
    # the workspace of the request.
    entries = await tx.ledger.list_entries([account.id])
    if account.scope == "failed_user":
        counts = [e for e in entries if e.kind is EntryKind.EXPIRE and e.actor == user.actor]
    else:
        jobs = {entry.job for entry in entries if entry.kind is EntryKind.HOLD and entry.actor == user.actor}
        counts = [e for e in entries if e.kind is EntryKind.SETTLE and e.job in jobs]
    spent_micros = -sum(entry.balance_delta_micros for entry in counts)
    place = (user.platform, user.workspace)
    resets = [e for e in entries if e.kind is EntryKind.RESET and (e.actor.platform, e.actor.workspace) == place]
    restored_micros = sum(entry.balance_delta_micros for entry in resets)
    return max(min(spent_micros - restored_micros, account.spent_micros), 0)


def _choose_id(name: str, platform: str, ids: Sequence[str]) -> str:
    """Return the only id with a name. Raise `BadOption` for no id or several ids."""
    if not ids:
        shown = format_person_link(platform, name) if is_platform_id(platform, name) else f"“{name}”"
        raise BadOption(f"I have not seen {shown} here yet. They must have used me once.", option="user")
    if len(ids) > 1:
        shown = " and ".join(format_person_link(platform, id_) or id_ for id_ in ids)
        raise BadOption(f"Several people are called “{name}”: {shown}. Please give the id.", option="user")
    return ids[0]
