"""Places a migrated database without rows: making the schema takes longer than most tests."""

import tempfile
from pathlib import Path

from bot.storage.database import Database

_contents: list[bytes] = []


async def place_empty_database(url: str) -> None:
    """Write the SQLite file of a URL with the schema of a first start, unless the file exists; leave PostgreSQL."""
    if not url.startswith("sqlite:///"):
        return
    if not _contents:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "easel.db"
            database = Database(f"sqlite:///{made.as_posix()}")
            await database.open()
            await database.close()
            _contents.append(made.read_bytes())
    _write_if_missing(Path(url.removeprefix("sqlite:///")))


def _write_if_missing(file: Path) -> None:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_contents[0])
