"""No fault of the sandbox is left without a test here."""

import re
from pathlib import Path

from bot.sandbox.faults import FaultKind


def test_each_fault_is_met_by_a_person() -> None:
    here = Path(__file__)
    tests = "\n".join(path.read_text(encoding="utf-8") for path in here.parent.glob("test_*.py") if path != here)
    words = set(re.findall(r"[a-z0-9]+(?:-[a-z]+)?", tests))

    assert {str(kind) for kind in FaultKind} - words == set()
