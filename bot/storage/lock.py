"""One process for one SQLite database: a lock on a file beside it, let go by the system when the process ends."""

import os
import sys
from pathlib import Path

from bot.core.errors import DatabaseInUse


class FileLock:
    """Held from construction until `release`. Raises `DatabaseInUse` when another process holds it."""

    def __init__(self, database: Path) -> None:
        self._file = open(f"{database}.lock", "ab")  # noqa: SIM115 - held while open
        try:
            _lock(self._file.fileno())
        except OSError as error:
            self._file.close()
            raise DatabaseInUse(
                f"Another Easel is using this database ({database}): stop it first, or use PostgreSQL to run several."
            ) from error

    def release(self) -> None:
        """Let the next process in. The file stays: removing it would let two processes lock two files."""
        self._file.close()


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
