"""Credits given to somebody, taken back, and spending forgiven: by moderators in their workspace, or by the owner."""

import contextlib
from collections.abc import Sequence
from datetime import datetime

from bot.core.clock import Clock
from bot.core.errors import BadOption, DuplicateEntry
from bot.core.json import JSON
from bot.core.money import Account, Entry, EntryKind, ResetPeriod
from bot.core.people import User
from bot.core.platform_syntax import format_person_link, is_platform_id
from bot.credits.accounts import get_granted_wallet, list_window_accounts
from bot.credits.policies import Policies
from bot.credits.pricing import CreditFormatter
from bot.credits.spending import read_workspace_budget_status
from bot.storage.database import Database, Transaction


class Wallets:
    """`by` is who does it, always about people of the workspace they are in."""

    def __init__(self, database: Database, policies: Policies, formatter: CreditFormatter, clock: Clock) -> None:
        self._database = database
        self._policies = policies
        self._formatter = formatter
        self._clock = clock

    async def find_user(self, by: User, name: str) -> User:
        """Somebody of this workspace by id or name; raises `BadOption` for nobody, or for one of two."""
        async with self._database.read() as tx:
            user_id = _pick_one(name, by.platform, await tx.people.find_user_ids(by.platform, by.workspace, name))
            names = await tx.people.get_names(by.platform, by.workspace, [user_id])
        return User(by.platform, by.workspace, user_id, names.get(user_id) or user_id)

    async def grant(self, by: User, user: User, micros: int, request_key: str, *, is_owner: bool = False) -> int:
        """Give somebody more; gives what they then have extra, in micros. The request key makes it unrepeatable.

        A moderator gives away no more than this month's budget of the workspace has left: raises `BadOption`.
        """
        async with self._database.read() as tx:
            if not is_owner:
                await self._check_budget(tx, by, micros)
        await self._move(by, user, micros, request_key)
        return await self._read_extra_micros(user)

    async def take(self, by: User, user: User, micros: int, request_key: str) -> int:
        """Take extra credits back; gives what is left, in micros. Raises `BadOption` rather than go below zero."""
        await self._move(by, user, -micros, request_key)
        return await self._read_extra_micros(user)

    async def reset(self, by: User, user: User, *, with_month: bool, request_key: str) -> int:
        """Make today (and this month) as if they had spent nothing here; gives what they can spend again, in micros.

        What they spent elsewhere stays spent, and so does what shared budgets counted: that money is gone.
        """
        now = self._clock.now()
        today = f"{now:%Y-%m-%d}"
        accounts = [account for account in list_window_accounts(user, now) if with_month or account.window == today]
        extra = get_granted_wallet(user.platform, user.workspace, user.id)
        forgiven, period = 0, ResetPeriod.MONTH if with_month else ResetPeriod.DAY
        with contextlib.suppress(DuplicateEntry):  # delivered twice, done once
            async with self._database.write() as tx:
                # All at once, in the order of their ids: one by one this and a settling job could wait for each other.
                locked = await tx.ledger.lock_accounts([extra.id, *(account.id for account in accounts)])
                await _note_reset(tx, extra, by, request_key, now, period)
                for account in (locked[one.id] for one in accounts if one.id in locked):
                    micros = await _spent_here(tx, account, user)
                    key = f"reset:{request_key}:{account.id}"
                    await tx.ledger.append([Entry(account.id, EntryKind.RESET, micros, 0, key, by.actor, now)])
                    forgiven += micros if account.scope in ("daily", "tier") else 0
                facts: dict[str, JSON] = {"of": user.id, "micros": forgiven, "month": with_month}
                await tx.audit.add(by.actor, "credits.reset", facts, now)
        return forgiven

    async def _check_budget(self, tx: Transaction, by: User, micros: int) -> None:
        standing = await read_workspace_budget_status(tx, self._policies, by.platform, by.workspace, self._clock.now())
        if standing.limit_micros is None:
            return
        left = max(standing.limit_micros - standing.spent_micros, 0)
        if micros > left:
            text = (
                f"This workspace has {self._formatter.format(left)} credits left this month: you cannot give away more."
            )
            raise BadOption(text, option="credits")

    async def _move(self, by: User, whose: User, micros: int, request_key: str) -> None:
        now, wallet = self._clock.now(), get_granted_wallet(whose.platform, whose.workspace, whose.id)
        kind, verb = (EntryKind.GRANT, "grant") if micros >= 0 else (EntryKind.ADJUST, "take")
        with contextlib.suppress(DuplicateEntry):  # delivered twice, done once
            async with self._database.write() as tx:
                await _open(tx, wallet, by, now)
                before = (await tx.ledger.lock_accounts([wallet.id]))[wallet.id]
                key = f"{verb}:{request_key}"
                if before.available_micros + micros < 0 and not await _is_done(tx, wallet, key):
                    has = self._formatter.format(before.available_micros)
                    raise BadOption(f"{whose.name} has {has} extra credits: I cannot take more.", option="credits")
                await tx.ledger.append([Entry(wallet.id, kind, micros, 0, key, by.actor, now)])
                facts: dict[str, JSON] = {"to" if micros >= 0 else "of": whose.id, "micros": abs(micros)}
                await tx.audit.add(by.actor, f"credits.{verb}", facts, now)

    async def _read_extra_micros(self, whose: User) -> int:
        async with self._database.read() as tx:
            wallet = await tx.ledger.get_account(get_granted_wallet(whose.platform, whose.workspace, whose.id).id)
        return wallet.available_micros if wallet else 0


async def _open(tx: Transaction, wallet: Account, by: User, now: datetime) -> None:
    await tx.ledger.open_account(wallet, Entry(wallet.id, EntryKind.GRANT, 0, 0, f"open:{wallet.id}", by.actor, now))


async def _note_reset(
    tx: Transaction, wallet: Account, by: User, request_key: str, now: datetime, period: ResetPeriod
) -> None:
    """A row that moves nothing: for limits that are set later (`windows.used_before`)."""
    await _open(tx, wallet, by, now)
    key = f"reset:{request_key}:{wallet.id}"
    row = Entry(wallet.id, EntryKind.RESET, 0, 0, key, by.actor, now, reset_period=period)
    await tx.ledger.append([row])


async def _is_done(tx: Transaction, wallet: Account, key: str) -> bool:
    """Whether this very taking was done before: its second delivery is no error."""
    return any(entry.key == key for entry in await tx.ledger.list_entries([wallet.id]))


async def _spent_here(tx: Transaction, account: Account, of: User) -> int:
    """What a person spent from an account by asking in their workspace, less what was forgiven there before."""
    if account.workspace:
        return account.spent_micros
    entries = await tx.ledger.list_entries([account.id])
    held_here = {entry.job for entry in entries if entry.kind is EntryKind.HOLD and entry.actor == of.actor}
    spent = -sum(e.balance_delta_micros for e in entries if e.kind is EntryKind.SETTLE and e.job in held_here)
    here = f"{of.platform}:{of.workspace}:"
    forgiven = sum(e.balance_delta_micros for e in entries if e.kind is EntryKind.RESET and e.actor.startswith(here))
    return max(min(spent - forgiven, account.spent_micros), 0)


def _pick_one(name: str, platform: str, ids: Sequence[str]) -> str:
    """Whom a name means; raises `BadOption` when it is nobody, or might be two."""
    if not ids:
        who = format_person_link(platform, name) if is_platform_id(platform, name) else f"“{name}”"
        raise BadOption(f"I have not seen {who} here yet. They must have used me once.", option="user")
    if len(ids) > 1:
        who = " and ".join(format_person_link(platform, one) or one for one in ids)
        raise BadOption(f"Several people are called “{name}”: {who}. Please give the id.", option="user")
    return ids[0]
