"""All kinds of hostile input at once, for a few seconds, beside people who draw and chat: nobody loses anything.

`python -m benchmarks.hostile_soak` plays the same for two minutes and measures; no figure of speed is asserted here.
"""

from pathlib import Path

import pytest

from tests.chaos.soak import ALL_ATTACKS, soak

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

MAX_MEGABYTES = 1_000


async def test_nobody_loses_anything_under_all_hostile_input_at_once(tmp_path: Path) -> None:
    report = await soak(tmp_path, idle_seconds=0.0, fire_seconds=4.0, speed=0.3, words=300)

    for person in report.under_fire.values():
        assert person.answered == person.asked > 0
    assert report.unnotified_jobs == 0
    assert report.held_micros == 0
    assert report.is_ledger_right, report.ledger_report
    assert report.broken == []
    assert report.violations == []
    assert report.leaked_requests == []
    assert set(ALL_ATTACKS) <= set(report.outcomes)
    assert report.peak_megabytes < MAX_MEGABYTES
