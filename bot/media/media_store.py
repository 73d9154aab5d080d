"""Files the bot keeps: addressed by their content, written whole or not at all."""

import asyncio
import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.core.errors import InternalError
from bot.media.decoding import inspect

_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A kept picture: its address, what it is, its size in bytes and its sides in pixels."""

    sha256: str
    mime: str
    size_bytes: int
    width: int
    height: int
    path: Path


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A kept file as the disk has it: its size in bytes, and when it was last given or made."""

    sha256: str
    size_bytes: int
    used_at: datetime


class MediaStore:
    """Keeps files under `media/ab/cd/<sha256>.<extension>` of a data folder."""

    def __init__(self, data_dir: Path | str) -> None:
        self._root = Path(data_dir) / "media"

    async def save(self, data: bytes, mime: str) -> StoredPicture:
        """Write a picture, unless it is there. It survives a power cut once this returns."""
        return await asyncio.to_thread(self._save, data, mime)

    def find_path(self, sha256: str) -> Path | None:
        """Where a file lies; None when it is not kept, or when this is no SHA-256 at all."""
        if not _SHA256.fullmatch(sha256):
            return None
        candidates = (self._path(sha256, extension) for extension in _EXTENSIONS.values())
        return next((path for path in candidates if path.is_file()), None)

    async def remove(self, sha256: str) -> bool:
        """Delete a file. False when it was not kept."""
        path = self.find_path(sha256)
        if path is None:
            return False
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return True

    async def list_files(self) -> list[MediaFile]:
        """Every kept file, the longest unused first."""
        return await asyncio.to_thread(self._list_files)

    def is_used_since(self, file: MediaFile) -> bool:
        """Whether a file was given or made again after it was listed."""
        path = self.find_path(file.sha256)
        try:
            return path is not None and _used_at(path.stat()) > file.used_at
        except FileNotFoundError:  # deleted by another sweep
            return False

    def _list_files(self) -> list[MediaFile]:
        found = []
        for path in self._root.glob("*/*/*.*"):
            try:
                facts = path.stat()
            except FileNotFoundError:  # deleted by another sweep
                continue
            if _SHA256.fullmatch(path.stem):
                found.append(MediaFile(path.stem, facts.st_size, _used_at(facts)))
        return sorted(found, key=lambda file: (file.used_at, file.sha256))

    def _path(self, sha256: str, extension: str) -> Path:
        return self._root / sha256[:2] / sha256[2:4] / f"{sha256}.{extension}"

    def _save(self, data: bytes, mime: str) -> StoredPicture:
        if mime not in _EXTENSIONS:
            raise InternalError(f"no extension for {mime}")
        facts = inspect(data)
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256, _EXTENSIONS[mime])
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, data)
        else:
            path.touch()  # its time begins anew: see Retention
        return StoredPicture(sha256, mime, len(data), facts.width, facts.height, path)


def _used_at(facts: os.stat_result) -> datetime:
    return datetime.fromtimestamp(facts.st_mtime, UTC)


def get_mime(path: Path) -> str:
    """The MIME type of a kept file, by its extension."""
    return next(mime for mime, extension in _EXTENSIONS.items() if path.suffix == f".{extension}")


def _write_whole(path: Path, data: bytes) -> None:
    """Nobody ever sees half a file: written aside, forced to disk, then renamed."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut. Windows cannot open folders, and needs it not."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
