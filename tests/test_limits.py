"""The bounds against hostile input are listed in docs/reliability.md, each with its value's meaning."""

import re
from pathlib import Path

from bot.core import limits

ROOT = Path(__file__).parent.parent


def test_the_page_on_reliability_lists_every_bound() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", page, re.MULTILINE))

    assert listed == {name for name in vars(limits) if name.isupper()}
