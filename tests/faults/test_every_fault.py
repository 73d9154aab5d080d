"""Each fault of the sandbox, one after the other, meets one bot: every job ends, and costs only delivered pictures."""

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.core.replies import Tone
from bot.sandbox.faults import FaultKind
from tests.faults.bench import FaultBench, open_fault_bench

PICTURE_MICROS = 3_000


@dataclass(frozen=True)
class FaultOutcome:
    """The visible end of one job: delivered or told as an error, predictions made, and creates refused."""

    is_delivered: bool
    runs: int = 1
    is_create_refused: bool = False


DELIVERED, FAILED = FaultOutcome(is_delivered=True), FaultOutcome(is_delivered=False)
OUTCOMES = {
    FaultKind.NSFW: FAILED,
    FaultKind.FAIL: FAILED,
    FaultKind.OOM: FAILED,
    FaultKind.SETUP: FAILED,
    FaultKind.E001: FAILED,
    FaultKind.E002: FAILED,
    FaultKind.E003: FaultOutcome(is_delivered=False, runs=2),
    FaultKind.E004: FaultOutcome(is_delivered=False, runs=2),
    FaultKind.E005: FAILED,
    FaultKind.COLDSTART: DELIVERED,
    FaultKind.SLOW: DELIVERED,
    FaultKind.HANG: FAILED,
    FaultKind.CUT: DELIVERED,
    FaultKind.STREAM_LOST: DELIVERED,
    FaultKind.STREAM_DOUBLED: DELIVERED,
    FaultKind.STREAM_REORDERED: DELIVERED,
    FaultKind.WEBHOOK_LOST: DELIVERED,
    FaultKind.WEBHOOK_DOUBLED: DELIVERED,
    FaultKind.WEBHOOK_REORDERED: DELIVERED,
    FaultKind.WEBHOOK_FORGED: DELIVERED,
    FaultKind.WEBHOOK_LATE: DELIVERED,
    FaultKind.EXPIRED: FAILED,
    FaultKind.INLINE: DELIVERED,
    FaultKind.SERVER_ERROR: FaultOutcome(is_delivered=True, is_create_refused=True),
    FaultKind.NO_CREDIT: FaultOutcome(is_delivered=False, runs=0, is_create_refused=True),
    FaultKind.THROTTLED: FaultOutcome(is_delivered=True, is_create_refused=True),
    FaultKind.STORM: FaultOutcome(is_delivered=True, is_create_refused=True),
    FaultKind.LOW_CREDIT: FaultOutcome(is_delivered=True, is_create_refused=True),
}


def test_every_fault_has_an_expected_outcome() -> None:
    assert set(OUTCOMES) == set(FaultKind)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("is_public", [False, True], ids=["by stream", "by webhook"])
async def test_a_bot_outlives_each_fault_and_charges_for_delivered_pictures_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_public: bool
) -> None:
    # Only a public bot is called by webhooks, and only a bot without a public address reads a picture's stream.
    kinds = [kind for kind in FaultKind if kind.startswith("webhook-") == is_public]
    outcomes = {}
    async with open_fault_bench(tmp_path, is_public=is_public) as bench:
        for kind in kinds:
            outcomes[kind] = await meet_fault(bench, kind, caplog)

        assert outcomes == {kind: OUTCOMES[kind] for kind in kinds}
        delivered = sum(outcome.is_delivered for outcome in outcomes.values())
        assert await bench.spent_micros() == delivered * PICTURE_MICROS


async def meet_fault(bench: FaultBench, kind: FaultKind, caplog: pytest.LogCaptureFixture) -> FaultOutcome:
    """Run one job whose prompt orders the fault, and return the job's outcome."""
    known = len(bench.predictions)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        await bench.run(f"/imagine a fox fault:{kind}")
    made = bench.predictions[known:]
    is_refused = any(record.getMessage() == "replicate.refused" for record in caplog.records)
    assert is_refused or {prediction.fault.kind for prediction in made if prediction.fault} == {kind}
    reply = bench.last.reply
    assert reply.pictures or reply.tone is Tone.ERROR
    return FaultOutcome(bool(reply.pictures), len(made), is_refused)
