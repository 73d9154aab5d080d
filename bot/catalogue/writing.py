"""A drafted entry put into a catalogue file: at its end, and only if the file is whole before and after."""

import os
import tomllib
from pathlib import Path

from bot.catalogue.drafting import CatalogueDraft
from bot.catalogue.loading import BUILT_IN_PATH, CatalogueError


def append_entry(path: Path, draft: CatalogueDraft) -> None:
    """Add the draft. A file that is not there begins as a copy of the built-in catalogue, whose place it takes.

    Raises `CatalogueError` when the key is taken, or when the file cannot be read.
    """
    text = _read_text(path if path.exists() else BUILT_IN_PATH)
    if draft.key in _parse_table_names(text, path):
        raise CatalogueError(f"[{draft.key}] is in {path.name} already; give the new entry another name with --key.")
    longer = f"{text.rstrip()}\n\n{draft.text}"
    _parse_table_names(longer, path)
    # Written beside it and moved over it: a crash leaves the old catalogue or the new one, never half of one.
    beside = path.with_name(f"{path.name}.new")
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text(longer, encoding="utf-8")
    os.replace(beside, path)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"The catalogue {path.name} cannot be read: {error}.") from error


def _parse_table_names(text: str, path: Path) -> set[str]:
    try:
        return set(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"The catalogue {path.name} cannot be read: {error}.") from error
