"""Stores files on disk by the SHA-256 of their content, written whole or not at all."""

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from bot.core.errors import InternalError
from bot.core.file_types import FILE_TYPES, FileFacts
from bot.core.private_files import create_private_folder
from bot.media.decoding import inspect

_SHA256 = re.compile(r"[0-9a-f]{64}")

Pieces: TypeAlias = Sequence[bytes | memoryview]
"""The content of a file, in order."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A stored file: hash, MIME type, size in bytes, width and height in pixels, and length in seconds."""

    sha256: str
    mime: str
    size_bytes: int
    width: int
    height: int
    path: Path
    duration_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A stored file as on disk: size in bytes, and the time of the last save."""

    sha256: str
    size_bytes: int
    used_at: datetime


class MediaStore:
    """Keeps files under `media/ab/cd/<sha256>.<extension>` of a data folder."""

    def __init__(self, data_dir: Path | str) -> None:
        self._root = Path(data_dir) / "media"

    async def save(self, data: bytes, mime: str) -> KeptFile:
        """Write a picture unless stored already. After the return the picture survives a power cut."""
        if mime not in FILE_TYPES:
            raise InternalError(f"no extension for {mime}")
        facts = await asyncio.to_thread(inspect, data)
        return await asyncio.to_thread(self.save_pieces, [data], replace(facts, mime=mime), compute_sha256(data))

    def save_pieces(self, pieces: Pieces, facts: FileFacts, sha256: str) -> KeptFile:
        """Write a measured file, given in pieces with its hash; see `save`. Blocks."""
        path = self._path(sha256, FILE_TYPES[facts.mime].extension)
        if not path.is_file():
            create_private_folder(path.parent)
            _write_whole(path, pieces)
        else:
            path.touch()  # retention counts from the last save
        size_bytes = sum(len(piece) for piece in pieces)
        return KeptFile(sha256, facts.mime, size_bytes, facts.width, facts.height, path, facts.duration_seconds)

    def open_temporary(self) -> BinaryIO:
        """Return a nameless file in the folder, which goes when it is closed, and with the process."""
        create_private_folder(self._root)
        return cast(BinaryIO, tempfile.TemporaryFile(dir=self._root))

    def find_path(self, sha256: str) -> Path | None:
        """Return the path of a file, None for an unknown hash or for a text that is no SHA-256."""
        if not _SHA256.fullmatch(sha256):
            return None
        candidates = (self._path(sha256, file_type.extension) for file_type in FILE_TYPES.values())
        return next((path for path in candidates if path.is_file()), None)

    async def remove(self, sha256: str) -> int | None:
        """Delete a file; return the size in bytes, None if no file existed."""
        return (await asyncio.to_thread(self.remove_now, sha256)) if self.find_path(sha256) else None

    def remove_now(self, sha256: str) -> int:
        """Delete a file in this thread; return the size in bytes, 0 if no file existed."""
        path = self.find_path(sha256)
        if path is None:
            return 0
        try:
            size_bytes = path.stat().st_size
            path.unlink()
        except FileNotFoundError:  # deleted by another sweep
            return 0
        return size_bytes

    async def list_files(self) -> list[MediaFile]:
        """Return every stored file, the longest unused first."""
        return await asyncio.to_thread(self._list_files)

    def mark_unused(self, sha256: str) -> None:
        """Let a file count as the longest unused of all: the next sweep deletes the file."""
        path = self.find_path(sha256)
        if path is not None:
            os.utime(path, (0, 0))

    def is_used_since(self, file: MediaFile) -> bool:
        """Return whether a file was saved again after the listing."""
        path = self.find_path(file.sha256)
        try:
            return path is not None and _get_used_at(path.stat()) > file.used_at
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
                found.append(MediaFile(path.stem, facts.st_size, _get_used_at(facts)))
        return sorted(found, key=lambda file: (file.used_at, file.sha256))

    def _path(self, sha256: str, extension: str) -> Path:
        return self._root / sha256[:2] / sha256[2:4] / f"{sha256}.{extension}"


def compute_sha256(*pieces: bytes | memoryview) -> str:
    """Return the name of a file in the store."""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def _get_used_at(facts: os.stat_result) -> datetime:
    return datetime.fromtimestamp(facts.st_mtime, UTC)


def get_mime(path: Path) -> str:
    """Return the MIME type of a stored file, by extension."""
    found = (mime for mime, file_type in FILE_TYPES.items() if path.suffix == f".{file_type.extension}")
    return next(found, "application/octet-stream")


def _write_whole(path: Path, pieces: Pieces) -> None:
    """Write a file so that readers never see half: to a temporary name, forced to disk, then renamed."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut. Windows cannot open folders, and needs no such call."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
