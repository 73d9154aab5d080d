"""Makes complete rows for the stores."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.core.ids import new_id
from bot.core.jobs import Job, JobState, PredictionRecord
from bot.core.money import Account, AccountKind, Entry, EntryKind
from bot.core.people import Channel, User

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
ANA = User("discord", "guild", "1", "Ana Ström", "sv", frozenset({"painters"}), is_administrator=True)
LOBBY = Channel("discord", "guild", "lobby", "thread", is_age_restricted=True, is_reply_chain=True)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def make_job(**changes: Any) -> Job:
    job_id = new_id()
    job = Job(
        id=job_id,
        request_key=f"discord:{job_id}",
        user=ANA,
        channel=LOBBY,
        command="imagine",
        model="flux-schnell",
        backend="replicate",
        options={"prompt": "a fox\0 \ud800 in the snow", "count": 2},
        inputs={"prompt": "a fox", "guidance": 3.0},
        state=JobState.ACCEPTED,
        owner="worker-1",
        epoch=1,
        created_at=NOON,
        updated_at=NOON,
    )
    return replace(job, **changes)


def make_prediction(**changes: Any) -> PredictionRecord:
    record = PredictionRecord(new_id(), "replicate", "flux-schnell", "f" * 64, {"prompt": "a fox"}, NOON)
    return replace(record, **changes)


def make_account(name: str = "wallet:ana", kind: AccountKind = AccountKind.WALLET) -> Account:
    return Account(name, kind, "daily", platform="discord", user="1", window="2026-11-20", expires_at=after(3600))


def make_entry(kind: EntryKind, balance: int, held: int, *, account: str = "wallet:ana", **changes: Any) -> Entry:
    job = "j1" if kind in (EntryKind.HOLD, EntryKind.SETTLE, EntryKind.RELEASE) else ""
    entry = Entry(account, kind, balance, held, new_id(), ANA.actor, NOON, job=job)
    return replace(entry, **changes)


def make_grant(micros: int, **changes: Any) -> Entry:
    return make_entry(EntryKind.GRANT, micros, 0, **changes)


def make_hold(micros: int, **changes: Any) -> Entry:
    return make_entry(EntryKind.HOLD, 0, micros, **changes)


def make_settle(held: int, cost: int, **changes: Any) -> Entry:
    return make_entry(EntryKind.SETTLE, -cost, -held, **changes)


def make_release(held: int, **changes: Any) -> Entry:
    return make_entry(EntryKind.RELEASE, 0, -held, **changes)
