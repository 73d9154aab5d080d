"""What commands and jobs do with pictures: take them in from anywhere, keep them, and hand them on."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from bot.core.backend import InputFile
from bot.core.errors import BackendDown, BadFile, ModelFailed, OutputGone, Unavailable, UnsafeAddress
from bot.core.invocations import Attachment, Link
from bot.core.models import InputRule
from bot.media.decoding import CleanPicture, clean, shrink
from bot.media.fetching import Fetcher
from bot.media.limits import MAX_ATTACHMENT_BYTES, MAX_OUTPUT_BYTES, build_too_large_error
from bot.media.media_store import MediaFile, MediaStore, StoredPicture, get_mime

FindPath = Callable[[str], Path | None]
"""`Media.find_path`: returns the path of a stored file by SHA-256, None if the file is not stored."""

_MAX_CONCURRENT_DECODES = 2
"""A picture of 25 megapixels takes 100 MB while it is decoded."""
_MAX_CONCURRENT_FETCHES = 16
_MAX_CONCURRENT_LINKS = 8
"""A bound of their own: slow links of people must not keep outputs waiting."""


class Media:
    """Takes pictures in, checked, cleaned and kept under `data_dir`.

    `allowed_origins` are the configured origins that outputs may come from besides public https.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        allowed_origins: Sequence[str] = (),
        fetcher: Fetcher | None = None,
        max_attachment_bytes: int = MAX_ATTACHMENT_BYTES,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> None:
        self._store = MediaStore(data_dir)
        self._fetcher = fetcher or Fetcher(allowed_origins)
        self._max_attachment_bytes = max_attachment_bytes
        self._max_output_bytes = max_output_bytes
        self._decoding = asyncio.Semaphore(_MAX_CONCURRENT_DECODES)
        self._fetching = asyncio.Semaphore(_MAX_CONCURRENT_FETCHES)
        self._fetching_links = asyncio.Semaphore(_MAX_CONCURRENT_LINKS)

    async def load_input(self, given: Attachment | Link, rule: InputRule | None = None) -> InputFile:
        """A person's picture as a model takes it: no larger than the rule's `max_pixels`. Raises as `take` does."""
        kept = await (self.take_url(given.url) if isinstance(given, Link) else self.take_attachment(given))
        if rule is not None and rule.max_pixels is not None:
            kept = await self.shrink(kept, max_pixels=rule.max_pixels)
        return build_input_file(kept)

    async def take_attachment(self, attachment: Attachment) -> StoredPicture:
        """A file a person gave. Raises `BadFile`, or what reading it raises."""
        self._check_size(attachment.size_bytes)
        data = await attachment.read()
        self._check_size(len(data))
        return await self._keep(data)

    async def take_url(self, url: str) -> StoredPicture:
        """A file a person named. Raises `UnsafeAddress`, `BadFile` or `Unavailable`."""
        try:
            async with self._fetching_links:
                fetched = await self._fetcher.fetch(url, max_bytes=self._max_attachment_bytes)
        except OutputGone as error:
            raise BadFile("There is no file at that address.") from error
        return await self._keep(fetched.data)

    async def take_output(self, url: str) -> StoredPicture:
        """A file a backend made.

        Raises `OutputGone`, `BackendDown` when it cannot be fetched just now, and `ModelFailed` when it is no picture.
        """
        try:
            async with self._fetching:
                fetched = await self._fetcher.fetch(url, max_bytes=self._max_output_bytes, is_trusted=True)
            return await self._keep(fetched.data)
        except Unavailable as error:
            raise BackendDown("What the model made could not be fetched. You were not charged.") from error
        except (BadFile, UnsafeAddress) as error:
            raise ModelFailed(
                "The model gave something that is not a picture I can read. You were not charged."
            ) from error

    async def shrink(
        self, kept: StoredPicture, *, max_pixels: int | None = None, max_bytes: int | None = None
    ) -> StoredPicture:
        """The same picture within these limits, kept as a file of its own if it had to change."""
        pixels = kept.width * kept.height
        if pixels <= (max_pixels or pixels) and kept.size_bytes <= (max_bytes or kept.size_bytes):
            return kept
        data = await asyncio.to_thread(kept.path.read_bytes)
        small = await self._decode(lambda: shrink(data, max_bytes=max_bytes, max_pixels=max_pixels or pixels))
        return await self._store.save(small.data, small.facts.mime)

    def load_attachment(self, sha256: str) -> Attachment | None:
        """A kept picture, to be given to a command again; None when it is not kept any more."""
        path = self._store.find_path(sha256)
        if path is None:
            return None

        async def read() -> bytes:
            return await asyncio.to_thread(path.read_bytes)

        return Attachment(path.name, get_mime(path), path.stat().st_size, read)

    def find_path(self, sha256: str) -> Path | None:
        """Where a kept picture lies, or None."""
        return self._store.find_path(sha256)

    async def remove(self, sha256: str) -> bool:
        """Forget a kept picture. False when it was not kept."""
        return await self._store.remove(sha256)

    async def list_files(self) -> list[MediaFile]:
        """Every kept picture, the longest unused first."""
        return await self._store.list_files()

    def is_used_since(self, file: MediaFile) -> bool:
        """Whether a listed picture was given or made again after the list was."""
        return self._store.is_used_since(file)

    async def close(self) -> None:
        """Let connections go."""
        await self._fetcher.close()

    async def _keep(self, data: bytes) -> StoredPicture:
        picture = await self._decode(lambda: clean(data))
        return await self._store.save(picture.data, picture.facts.mime)

    async def _decode(self, work: Callable[[], CleanPicture]) -> CleanPicture:
        async with self._decoding:
            return await asyncio.to_thread(work)

    def _check_size(self, size: int) -> None:
        if size > self._max_attachment_bytes:
            raise build_too_large_error(self._max_attachment_bytes)


def build_input_file(kept: StoredPicture) -> InputFile:
    """A kept picture as a model's input."""
    return InputFile(kept.sha256, kept.mime, kept.size_bytes, str(kept.path))
