"""Files and folders that only the user of this process may read: prompts, pictures, credits and keys lie in them."""

import contextlib
import os
import stat
import sys
from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o600, 0o700


def create_private_folder(folder: Path) -> None:
    """Create a folder and the missing folders above, readable by this user alone. A present folder stays as it is."""
    for path in (*reversed(folder.parents), folder):
        if not path.is_dir():
            path.mkdir(FOLDER_MODE, exist_ok=True)


def create_private_file(path: Path) -> None:
    """Create an empty file, readable by this user alone; take a present file from other readers."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE))
    restrict(path)


def restrict(path: Path) -> None:
    """Take a file or folder of this user from all other readers; a missing path and a foreign one stay as they are."""
    if os.name == "nt":  # chmod knows the read-only flag alone there
        return
    with contextlib.suppress(OSError):
        facts = path.stat()
        # A folder with the sticky bit (/tmp) and a home belong to more than the bot.
        is_shared = stat.S_ISDIR(facts.st_mode) and (facts.st_mode & stat.S_ISVTX or path.resolve() == Path.home())
        if facts.st_uid == os.geteuid() and not is_shared and is_readable_by_others(path):
            path.chmod(FOLDER_MODE if stat.S_ISDIR(facts.st_mode) else FILE_MODE)


def is_readable_by_others(path: Path) -> bool:
    """Return whether the group or everybody may read, write or enter a path; false for a missing path."""
    try:
        return os.name != "nt" and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


def lock_file(descriptor: int) -> None:
    """Lock an open file for this process until the file is closed or the process ends. Raise `OSError` if locked."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
