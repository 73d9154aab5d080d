"""The documents the sandbox's guide answers from: the product's own."""

from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS: tuple[Path, ...] = (_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md")))
