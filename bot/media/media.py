"""Takes pictures in from attachments, links and backends, checked, cleaned and stored; and gives them out again."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.core.backend import InputFile
from bot.core.errors import (
    BackendDown,
    BadFile,
    FileTooLarge,
    ModelFailed,
    OutputGone,
    OutputTooLarge,
    Unavailable,
    UnsafeAddress,
)
from bot.core.invocations import Attachment, Link
from bot.core.limits import MAX_UPLOADS_IN_MEMORY
from bot.core.models import InputRule
from bot.media.decoding import CleanPicture, clean, estimate_memory_bytes, shrink
from bot.media.decoding_lines import DecodingLines, Line
from bot.media.fetching import CheckHop, FetchedFile, Fetcher
from bot.media.limits import MAX_ATTACHMENT_BYTES, MAX_OUTPUT_BYTES, MAX_PIXELS, MIB, build_too_large_error
from bot.media.media_store import MediaFile, MediaStore, StoredPicture, get_mime

FindPath = Callable[[str], Path | None]
"""`Media.find_path`: returns the path of a stored file by SHA-256, None if the file is not stored."""

_MAX_CONCURRENT_FETCHES = 16

# A bound of their own: slow links of users must not delay the outputs of paid runs.
_MAX_CONCURRENT_LINKS = 8


class Media:
    """Stores cleaned pictures under `data_dir`.

    `allowed_origins` are configured origins (a local backend) from which outputs may come, besides public https.
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
        self._decoding = DecodingLines()
        self._taking = asyncio.Semaphore(MAX_UPLOADS_IN_MEMORY)
        self._fetching = asyncio.Semaphore(_MAX_CONCURRENT_FETCHES)
        self._fetching_links = asyncio.Semaphore(_MAX_CONCURRENT_LINKS)

    async def load_input(self, source: Attachment | Link, rule: InputRule | None = None) -> InputFile:
        """Store a user's picture, within the rule's `max_pixels`, and return it as a model's input.

        Raises as `take_attachment` and `take_url` do.
        """
        stored = await (self.take_url(source.url) if isinstance(source, Link) else self.take_attachment(source))
        if rule is not None and rule.max_pixels is not None:
            stored = await self.shrink(stored, max_pixels=rule.max_pixels)
        return build_input_file(stored)

    async def take_attachment(self, attachment: Attachment) -> StoredPicture:
        """Store a user's attachment. Raise `BadFile`, or the error of reading the attachment."""
        self._check_size(attachment.size_bytes)
        # Each file that waits for its decoding is in memory: further files wait before they are read.
        async with self._taking:
            data = await attachment.read()
            self._check_size(len(data))
            return await self._keep(data, Line.UPLOADS)

    async def download(
        self,
        url: str,
        *,
        is_trusted: bool = False,
        headers: Mapping[str, str] | None = None,
        check_hop: CheckHop | None = None,
    ) -> FetchedFile:
        """Return a user's file from a platform's server, within the attachments' bound. Raise as `Fetcher.fetch` does.

        `is_trusted`, `headers` and `check_hop` are the arguments of `Fetcher.fetch`.
        """
        return await self._fetcher.fetch(
            url, max_bytes=self._max_attachment_bytes, is_trusted=is_trusted, headers=headers, check_hop=check_hop
        )

    async def take_url(self, url: str) -> StoredPicture:
        """Store the file at a user's link. Raise `UnsafeAddress`, `BadFile` or `Unavailable`."""
        try:
            async with self._fetching_links:
                fetched = await self._fetcher.fetch(url, max_bytes=self._max_attachment_bytes)
                return await self._keep(fetched.data, Line.UPLOADS)
        except OutputGone as error:
            raise BadFile("There is no file at that address.") from error

    async def take_output(self, url: str) -> StoredPicture:
        """Store the output file of a backend.

        Raise `OutputGone`, `BackendDown` if the file cannot be fetched now, `OutputTooLarge` if the file exceeds the
        bot's bounds, `ModelFailed` if the file is no picture.
        """
        try:
            async with self._fetching:
                fetched = await self._fetcher.fetch(url, max_bytes=self._max_output_bytes, is_trusted=True)
                return await self._keep(fetched.data, Line.OUTPUTS)
        except Unavailable as error:
            raise BackendDown("What the model made could not be fetched. You were not charged.") from error
        except FileTooLarge as error:
            megapixels, megabytes = MAX_PIXELS // 1_000_000, max(1, self._max_output_bytes // MIB)
            raise OutputTooLarge(
                f"The model made something too large to keep: {megapixels} million pixels and {megabytes} MB are the "
                "most. The run is charged, because the model did its work: ask for something smaller."
            ) from error
        except (BadFile, UnsafeAddress) as error:
            raise ModelFailed(
                "The model gave something that is not a picture I can read. You were not charged."
            ) from error

    async def shrink(
        self, stored: StoredPicture, *, max_pixels: int | None = None, max_bytes: int | None = None
    ) -> StoredPicture:
        """Return a picture within the limits; a changed picture is stored as another file."""
        pixels = stored.width * stored.height
        if pixels <= (max_pixels or pixels) and stored.size_bytes <= (max_bytes or stored.size_bytes):
            return stored
        data = await asyncio.to_thread(stored.path.read_bytes)
        small = await self._decode(
            data, Line.UPLOADS, lambda: shrink(data, max_bytes=max_bytes, max_pixels=max_pixels or pixels)
        )
        return await self._store.save(small.data, small.facts.mime)

    async def make_smaller(self, data: bytes, *, max_bytes: int) -> CleanPicture:
        """Return a picture of at most `max_bytes`, not stored. Raise `BadFile`."""
        return await self._decode(data, Line.OUTPUTS, lambda: shrink(data, max_bytes=max_bytes))

    def load_attachment(self, sha256: str) -> Attachment | None:
        """Return a stored picture as an attachment of a command, None if no longer stored."""
        path = self._store.find_path(sha256)
        if path is None:
            return None

        async def read() -> bytes:
            return await asyncio.to_thread(path.read_bytes)

        return Attachment(path.name, get_mime(path), path.stat().st_size, read)

    def find_path(self, sha256: str) -> Path | None:
        """Return the path of a stored picture, or None."""
        return self._store.find_path(sha256)

    async def remove(self, sha256: str) -> bool:
        """Delete a stored picture; return whether the picture existed."""
        return await self._store.remove(sha256)

    async def list_files(self) -> list[MediaFile]:
        """Return every stored picture, the longest unused first."""
        return await self._store.list_files()

    def is_used_since(self, file: MediaFile) -> bool:
        """Return whether a listed picture was stored again after the listing."""
        return self._store.is_used_since(file)

    async def close(self) -> None:
        """Close connections."""
        await self._fetcher.close()

    async def _keep(self, data: bytes, line: Line) -> StoredPicture:
        picture = await self._decode(data, line, lambda: clean(data))
        return await self._store.save(picture.data, picture.facts.mime)

    async def _decode(self, data: bytes, line: Line, work: Callable[[], CleanPicture]) -> CleanPicture:
        """Run `work` on a picture's data in a thread, once the memory for the picture is free."""
        needed_bytes = await asyncio.to_thread(estimate_memory_bytes, data)
        async with self._decoding.reserve(line, needed_bytes):
            # A cancelled caller must not free the memory that the thread still uses.
            return await _finish(asyncio.to_thread(work))

    def _check_size(self, size: int) -> None:
        if size > self._max_attachment_bytes:
            raise build_too_large_error(self._max_attachment_bytes)


def build_input_file(stored: StoredPicture) -> InputFile:
    """Return a stored picture as a model's input."""
    return InputFile(stored.sha256, stored.mime, stored.size_bytes, str(stored.path), stored.width, stored.height)


async def _finish(work: Coroutine[Any, Any, CleanPicture]) -> CleanPicture:
    """Run to the end even if the caller is cancelled in between; then raise the cancellation."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
