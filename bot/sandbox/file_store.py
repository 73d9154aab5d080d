"""A store of delivered outputs and uploaded files on disk, bounded in size and lifetime."""

import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bot.sandbox.clock import SandboxClock
from bot.sandbox.ids import new_opaque_token


@dataclass(frozen=True)
class StoredFile:
    path: Path
    name: str
    content_type: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime


class FileStore:
    """Keeps up to `max_bytes`; the least recently read file goes first. `close` erases all files."""

    def __init__(self, clock: SandboxClock, *, lifetime_seconds: float, max_bytes: int) -> None:
        self._clock = clock
        self._lifetime = timedelta(seconds=lifetime_seconds)
        self._max_bytes = max_bytes
        self._folder = tempfile.TemporaryDirectory(prefix="sandbox-")
        self._items: OrderedDict[str, StoredFile] = OrderedDict()
        self._bytes = 0

    def new_path(self) -> Path:
        """Return a path inside the store for a file that `put_path` will adopt."""
        return Path(self._folder.name) / new_opaque_token()

    def put(self, content: bytes, name: str, content_type: str) -> str:
        """Store `content`; return an unguessable key."""
        path = self.new_path()
        path.write_bytes(content)
        return self.put_path(path, name, content_type)

    def put_path(self, path: Path, name: str, content_type: str) -> str:
        now = self._clock.now()
        size = path.stat().st_size
        self._items[path.name] = StoredFile(path, name, content_type, size, now, now + self._lifetime)
        self._bytes += size
        self._make_room()
        return path.name

    def get(self, key: str) -> StoredFile | None:
        item = self._items.get(key)
        if item is None:
            return None
        if self._clock.now() >= item.expires_at:
            self.remove(key)
            return None
        self._items.move_to_end(key)
        return item

    def remove(self, key: str) -> bool:
        item = self._items.pop(key, None)
        if item is None:
            return False
        self._bytes -= item.size_bytes
        item.path.unlink(missing_ok=True)
        return True

    def list_newest_first(self) -> list[tuple[str, StoredFile]]:
        kept = [(key, item) for key in list(self._items) if (item := self.get(key))]
        return sorted(kept, key=lambda pair: pair[1].created_at, reverse=True)

    def close(self) -> None:
        self._items.clear()
        self._folder.cleanup()

    def _make_room(self) -> None:
        now = self._clock.now()
        for key in [key for key, item in self._items.items() if now >= item.expires_at]:
            self.remove(key)
        # The newest file stays even beyond the bound: a reader is about to ask for this file.
        while self._bytes > self._max_bytes and len(self._items) > 1:
            self.remove(next(iter(self._items)))
