"""The documents that the sandbox's guide answers from: the README and docs/ of this project."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "documents"
"""The copy that an installed package carries (pyproject.toml, force-include)."""


def find_documents() -> tuple[Path, ...]:
    """Return the README and each page of docs/, from a source checkout or from an installed package."""
    readme = _PACKAGE.parent / "README.md"
    if not _INSTALLED.is_dir():
        return (readme, *sorted((_PACKAGE.parent / "docs").glob("*.md")))
    return tuple(sorted(_INSTALLED.glob("*.md")))
