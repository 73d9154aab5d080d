"""Takes files in from attachments, links and backends, checked, cleaned and stored; and gives them out again."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

from bot.core.backend import InputFile
from bot.core.background_tasks import WORK_OF_STRANGERS, lower_thread_priority
from bot.core.caches import RecentItems
from bot.core.errors import (
    BackendDown,
    BadFile,
    BadOption,
    FileTooLarge,
    ModelFailed,
    OutputGone,
    OutputTooLarge,
    Unavailable,
    UnsafeAddress,
)
from bot.core.file_types import (
    HEAD_BYTES,
    PICTURES,
    RECORDINGS,
    FileFacts,
    MediaKind,
    describe_refused,
    detect_file_type,
    find_kind,
    is_heif,
)
from bot.core.invocations import Attachment, Link
from bot.core.limits import (
    MAX_ATTACHMENT_BYTES,
    MAX_INLINE_BYTES,
    MAX_LIVE_PREVIEW_BYTES,
    MAX_LIVE_PREVIEW_PIXELS,
    MAX_OUTPUT_BYTES,
    MAX_OUTPUT_PIXELS,
    MAX_PIXELS,
    MAX_PREVIEW_BYTES,
    MAX_PREVIEW_PIXELS,
    MAX_SOCKET_FRAME_BYTES,
    MAX_TRAINING_PICTURE_BYTES,
    MAX_TRAINING_PICTURE_PIXELS,
    MAX_TRAINING_PICTURES,
    MAX_UPLOADS_IN_MEMORY,
    MAX_WHOLE_BYTES,
    MIN_TRAINING_PICTURES,
    ROOM_SECONDS,
)
from bot.core.models import InputRule, MaskStyle, OutputKind
from bot.media.decoding import (
    CleanPicture,
    DecodingLines,
    Line,
    build_too_large_error,
    clean,
    convert_mask,
    estimate_memory_bytes,
    is_small,
    measure,
    measure_memory_bytes,
    shrink,
)
from bot.media.fetching import CheckHop, FetchedFile, Fetcher, is_data_url
from bot.media.heif import convert_heif, estimate_heif_memory_bytes
from bot.media.joining import join_sounds
from bot.media.large_pictures import clean_large, estimate_reduced_memory_bytes, shrink_large
from bot.media.media_store import KeptFile, MediaFile, MediaStore, Pieces, compute_sha256, get_mime
from bot.media.pdf_text import PdfText, read_pdf
from bot.media.picture_sets import (
    CELL_PIXELS,
    ZIP_MIME,
    TrainingSet,
    draw_contact_sheet,
    is_zip,
    pack_pictures,
    read_zip_pictures,
)
from bot.media.recipes import GivenRecipe, add_recipe, find_given_recipe, read_recipe
from bot.media.recording_metadata import strip_recording
from bot.media.recordings import check_length, measure_recording
from bot.media.stripping import Buffer

B = TypeVar("B", bytes, mmap, Buffer)
P = ParamSpec("P")
T = TypeVar("T")

FindPath = Callable[[str], Path | None]
"""`Media.find_path`: returns the path of a stored file by SHA-256, None if the file is not stored."""

MakePreview = Callable[[str], Awaitable[CleanPicture | None]]
"""`Media.make_preview`: returns a smaller copy of a stored picture, None if the picture is shown itself."""

_GIVEN = {
    MediaKind.PICTURE: "a picture",
    MediaKind.AUDIO: "a sound",
    MediaKind.VIDEO: "a video",
    MediaKind.FILE: "a file to download",
}
_WANTED = {
    OutputKind.PICTURES: "a picture",
    OutputKind.AUDIO: "a sound",
    OutputKind.VIDEO: "a video",
    OutputKind.FILES: "a file",
    OutputKind.TEXT: "a text",
    OutputKind.TEXT_STREAM: "a text",
}

_MAX_CONCURRENT_FETCHES = 16
_MAX_KEPT_PREVIEWS = 8

_ANY_PICTURE = InputRule(is_file=True)

# A bound of their own: slow links of users must not delay the outputs of paid runs.
_MAX_CONCURRENT_LINKS = 8


class Media:
    """Stores cleaned files under `data_dir`.

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
        max_kept_bytes: int = 2**63,
    ) -> None:
        self._store = MediaStore(data_dir)
        self._fetcher = fetcher or Fetcher(allowed_origins)
        self._max_attachment_bytes = max_attachment_bytes
        self._max_output_bytes = max_output_bytes
        self._max_kept_bytes = max_kept_bytes
        self._used_bytes: int | None = None
        self._writing_bytes = 0
        self._unclaimed: dict[str, int] = {}
        """Requests, not accepted yet, that brought each new file."""
        self.is_full = asyncio.Event()
        """Set when a new file does not fit into `max_kept_bytes`: retention deletes old files, and clears the event."""
        self.wanted_bytes = 0
        """The largest file that waits for room."""
        self._has_room = asyncio.Event()
        self._decoding = DecodingLines()
        # Hostile pictures take seconds each: in the threads of all other work they would delay everybody's files. An
        # ordinary output takes some 20 ms, for which somebody waits. Large ones share the threads of all other work.
        self._threads = {
            Line.OUTPUTS: ThreadPoolExecutor(2, thread_name_prefix="output"),
            Line.UPLOADS: ThreadPoolExecutor(
                1, thread_name_prefix="upload", initializer=lower_thread_priority, initargs=(WORK_OF_STRANGERS,)
            ),
        }
        self._previews: RecentItems[str, CleanPicture] = RecentItems(_MAX_KEPT_PREVIEWS)
        self._taking = asyncio.Semaphore(MAX_UPLOADS_IN_MEMORY)
        self._fetching = asyncio.Semaphore(_MAX_CONCURRENT_FETCHES)
        self._reading_pdf = asyncio.Semaphore(1)
        self._fetching_links = asyncio.Semaphore(_MAX_CONCURRENT_LINKS)

    async def load_input(self, source: Attachment | Link, rule: InputRule | None = None) -> InputFile:
        """Store a user's file of a kind of the rule, within the rule's bounds, and return it as a model's input.

        Raises as `take_attachment` and `take_url` do.
        """
        rule = rule or _ANY_PICTURE
        stored = await (
            self.take_url(source.url, rule) if isinstance(source, Link) else self.take_attachment(source, rule)
        )
        return build_input_file(stored)

    async def load_inputs(
        self, sources: Sequence[Attachment | Link], rule: InputRule | None = None
    ) -> tuple[InputFile, ...]:
        """Store a user's files, one after the other. Raise as `load_input` does: then no file is kept."""
        files: list[InputFile] = []
        try:
            for source in sources:
                files.append(await self.load_input(source, rule))
        except BaseException:
            self.release(files)
            raise
        return tuple(files)

    async def load_masked(
        self, picture: Attachment | Link, mask: Attachment | Link, rules: Mapping[str, InputRule]
    ) -> tuple[InputFile, InputFile, InputFile]:
        """Store a picture and its mask by the rules `image` and `mask`.

        Return the picture, the mask as given, and the mask in the model's style.
        Raise `BadOption` for a mask of another size than the picture, and as `load_input` does.
        """
        # The same bound for both: the sizes stay equal where the model needs a smaller picture.
        loaded = await self.load_inputs([picture, mask], rules.get("image"))
        sizes = [(file.width_pixels, file.height_pixels) for file in loaded]
        if sizes[0] != sizes[1]:
            self.release(loaded)
            (width, height), (mask_width, mask_height) = sizes
            raise BadOption(
                f"The mask has {mask_width} × {mask_height} pixels and the picture {width} × {height}: paint the mask "
                "over the same picture.",
                option="mask",
            )
        style = rules["mask"].mask_style if "mask" in rules else MaskStyle.WHITE
        if style is MaskStyle.WHITE:
            return loaded[0], loaded[1], loaded[1]
        try:
            content = await self._run(Line.UPLOADS, Path(loaded[1].path).read_bytes)
            converted = await self._keep(content, Line.UPLOADS, convert=lambda data: convert_mask(data, style))
        except BaseException:
            self.release(loaded)
            raise
        return loaded[0], loaded[1], build_input_file(converted)

    async def load_training_set(self, sources: Sequence[Attachment | Link]) -> TrainingSet:
        """Store the pictures of a training, given one by one or in zips, as one zip; equal pictures count once.

        Raise `BadFile` for too few or too many pictures, and as `load_input` does.
        """
        pictures: dict[bytes, CleanPicture] = {}
        taken: set[str] = set()
        for source in sources:
            async with self._taking:
                data = await self._read_source(source)
                contents = read_zip_pictures(data) if is_zip(data) else iter([data])
                while (content := await self._run(Line.UPLOADS, next, contents, None)) is not None:
                    # Compared before the decoding: one large picture a thousand times takes half an hour.
                    if (sha256 := await self._run(Line.UPLOADS, compute_sha256, content)) in taken:
                        continue
                    taken.add(sha256)
                    if len(taken) > MAX_TRAINING_PICTURES:
                        raise BadFile(f"A training takes at most {MAX_TRAINING_PICTURES} pictures: give fewer, please.")
                    picture = await self._make_training_picture(content)
                    pictures[picture.data] = picture
        if len(pictures) < MIN_TRAINING_PICTURES:
            given = f"{len(pictures)} different picture{'s' if len(pictures) != 1 else ''}"
            raise BadFile(
                f"A training needs at least {MIN_TRAINING_PICTURES} different pictures, and here are {given}. Give "
                "more pictures, or a zip of pictures."
            )
        packed = await self._run(Line.UPLOADS, pack_pictures, list(pictures.values()))
        return TrainingSet(
            build_input_file(await self._save([packed], FileFacts(ZIP_MIME), Line.UPLOADS)), len(pictures)
        )

    async def _make_training_picture(self, data: bytes) -> CleanPicture:
        """Return a picture without metadata, in the size for a trainer. Raise `BadFile`."""
        if is_heif(data):
            data = await self._convert_heif(data)
        bounds = {"max_bytes": MAX_TRAINING_PICTURE_BYTES, "max_pixels": MAX_TRAINING_PICTURE_PIXELS}
        return await self._decode(estimate_memory_bytes, data, Line.UPLOADS, lambda: shrink(clean(data).data, **bounds))

    async def _read_source(self, source: Attachment | Link) -> bytes:
        """Return the bytes of a user's file, stored by no name. Raise as `take_attachment` and `take_url` do."""
        if isinstance(source, Attachment):
            self._check_size(source.size_bytes)
            data = await source.read()
            self._check_size(len(data))
            return data
        try:
            return (await self._fetcher.fetch(source.url, max_bytes=self._max_attachment_bytes)).data
        except OutputGone as error:
            raise BadFile("There is no file at that address.") from error

    def claim(self, files: Iterable[InputFile]) -> None:
        """Keep the files of an accepted request."""
        for file in files:
            self._unclaimed.pop(file.sha256, None)

    def release(self, files: Iterable[InputFile]) -> None:
        """Delete the files of a refused request, unless stored before or given in another request."""
        for file in files:
            if file.sha256 not in self._unclaimed:
                continue
            self._unclaimed[file.sha256] -= 1
            if not self._unclaimed[file.sha256]:
                del self._unclaimed[file.sha256]
                # At once: a request that gives the same file meanwhile must not find a file about to go.
                self._forget_size(self._store.remove_now(file.sha256))

    async def take_attachment(self, attachment: Attachment, rule: InputRule = _ANY_PICTURE) -> KeptFile:
        """Store a user's attachment, of a kind of the rule. Raise `BadFile`, or the error of reading the attachment."""
        self._check_size(attachment.size_bytes)
        # Each file that waits for its decoding is in memory: further files wait before they are read.
        async with self._taking:
            return await self._keep_upload(await self._read_source(attachment), rule)

    async def read_recipe(self, source: Attachment | Link) -> tuple[Attachment, GivenRecipe | None]:
        """Return a person's picture, as an attachment that may be read again, and what its file says of its making.

        Raise `BadFile`, `UnsafeAddress` or `Unavailable` for a file that cannot be fetched or is too large.
        """
        async with self._taking:
            if isinstance(source, Link):
                data = (await self.download(source.url)).data
            else:
                self._check_size(source.size_bytes)
                data = await source.read()
                self._check_size(len(data))
            recipe = await self._run(Line.UPLOADS, find_given_recipe, data)

        async def read() -> bytes:
            return data

        name, mime = (source.name, source.mime) if isinstance(source, Attachment) else ("picture", "image/png")
        return Attachment(name, mime, len(data), read), recipe

    async def open_link(self, link: Link) -> Attachment:
        """Return the file at a person's link as an attachment in memory. Raise as `take_url` does."""
        async with self._fetching_links:
            try:
                fetched = await self.download(link.url)
            except OutputGone as error:
                raise BadFile("There is no file at that address.") from error

        async def read() -> bytes:
            return fetched.data

        address = urlsplit(link.url)
        name = PurePosixPath(unquote(address.path)).name if address.scheme != "data" else ""
        return Attachment(name or "file", fetched.mime, len(fetched.data), read)

    async def read_pdf(self, attachment: Attachment) -> PdfText:
        """Return the text of a person's PDF. Raise `BadFile` as `pdf_text.read_pdf` does, and for a file too large."""
        self._check_size(attachment.size_bytes)
        async with self._reading_pdf:
            data = await attachment.read()
            self._check_size(len(data))
            return await read_pdf(data, attachment.name)

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

    async def take_url(self, url: str, rule: InputRule = _ANY_PICTURE) -> KeptFile:
        """Store the file at a user's link, of a kind of the rule. Raise `UnsafeAddress`, `BadFile` or `Unavailable`."""
        try:
            async with self._fetching_links:
                fetched = await self._fetcher.fetch(url, max_bytes=self._max_attachment_bytes)
                return await self._keep_upload(fetched.data, rule)
        except OutputGone as error:
            raise BadFile("There is no file at that address.") from error

    async def take_output(
        self,
        source: str | bytes,
        output: OutputKind = OutputKind.PICTURES,
        *,
        origin: str = "",
        keeps_recipe: bool = False,
    ) -> KeptFile:
        """Store the output of a backend, an address or a file's bytes, of the kind that the model should give.

        `origin` is the backend's own: an address there is fetched also on this machine or in a private network.
        `keeps_recipe` leaves ComfyUI's workflow in a PNG.

        Raise `OutputGone`, `BackendDown` if the file cannot be fetched now, `OutputTooLarge` if the file exceeds the
        bot's bounds, `ModelFailed` if the file is of another kind.
        """
        try:
            async with self._fetching:
                return await self._take_output(source, output, origin, keeps_recipe=keeps_recipe)
        except Unavailable as error:
            raise BackendDown("What the model made could not be fetched. You were not charged.") from error
        except FileTooLarge as error:
            bounds = f"{max(1, self._max_output_bytes // 1024**2)} MB are"
            if output is OutputKind.PICTURES:
                bounds = f"{MAX_OUTPUT_PIXELS // 1_000_000} million pixels and {bounds}"
            raise OutputTooLarge(
                f"The model made something too large to keep: {bounds} the most. The run is charged, because the model "
                "did its work: ask for something smaller."
            ) from error
        except (BadFile, UnsafeAddress) as error:
            wanted = _WANTED[output]
            raise ModelFailed(
                f"The model gave something that is not {wanted} I can read. You were not charged."
            ) from error

    async def _take_output(
        self, source: str | bytes, output: OutputKind, origin: str, *, keeps_recipe: bool
    ) -> KeptFile:
        fetch = partial(self._fetcher.fetch, max_bytes=self._max_output_bytes, is_trusted=True, origin=origin)
        data = source if isinstance(source, bytes) else b""
        if isinstance(source, str) and is_data_url(source):
            data = (await fetch(source)).data
        if len(data) > self._max_output_bytes:
            raise build_too_large_error(self._max_output_bytes)
        if 0 < len(data) <= MAX_INLINE_BYTES:
            return await self._keep_output(data, output, keeps_recipe=keeps_recipe)
        # A file on disk waits for its turn to be decoded without memory.
        with self._store.open_temporary() as file:
            if isinstance(source, str) and not is_data_url(source):
                data = (await fetch(source, file=file)).data
            if data:
                await asyncio.to_thread(file.write, data)
            with _map_file(file) as mapped:
                return await self._keep_output(mapped, output, keeps_recipe=keeps_recipe)

    async def make_smaller(self, path: Path, *, max_bytes: int) -> CleanPicture:
        """Return a stored picture in at most `max_bytes`, not stored. Raise `BadFile`."""
        with path.open("rb") as file, _map_file(file) as data:
            if _is_large(data):
                return await self._decode(
                    estimate_reduced_memory_bytes,
                    data,
                    Line.LARGE_OUTPUTS,
                    lambda: shrink_large(data, max_bytes=max_bytes),
                )
            return await self._decode(
                _estimate_whole_memory_bytes, data, Line.OUTPUTS, lambda: shrink(data[:], max_bytes=max_bytes)
            )

    async def fetch_live_preview(self, url: str, *, origin: str) -> bytes:
        """Return an unfinished picture of a backend. Raise as `Fetcher.fetch` does."""
        fetched = await self._fetcher.fetch(url, max_bytes=MAX_SOCKET_FRAME_BYTES, is_trusted=True, origin=origin)
        return fetched.data

    async def make_live_preview(self, data: bytes) -> CleanPicture:
        """Return an unfinished picture of a model, checked, small and not stored. Raise `BadFile`."""
        work = partial(shrink, data, max_bytes=MAX_LIVE_PREVIEW_BYTES, max_pixels=MAX_LIVE_PREVIEW_PIXELS)
        return await self._decode(estimate_memory_bytes, data, Line.OUTPUTS, work)

    async def make_preview(self, sha256: str) -> CleanPicture | None:
        """Return a smaller copy of a stored large picture, None where the picture is shown itself."""
        path = self._store.find_path(sha256)
        if path is None:
            return None
        if (known := self._previews.get(sha256)) is not None:
            return known
        try:
            with path.open("rb") as file, _map_file(file) as data:
                if not _is_large(data):
                    return None
                work = partial(shrink_large, data, max_bytes=MAX_PREVIEW_BYTES, max_pixels=MAX_PREVIEW_PIXELS)
                self._previews[sha256] = await self._decode(
                    estimate_reduced_memory_bytes, data, Line.LARGE_OUTPUTS, work
                )
        except (BadFile, FileNotFoundError):
            return None
        return self._previews[sha256]

    async def keep_contact_sheet(self, hashes: Sequence[str], *, is_output: bool = False) -> KeptFile:
        """Store a contact sheet of pictures; the place of a picture that is not kept any more stays empty.

        The next sweep of the retention takes a sheet that is no output of a job: a copy of a picture must not outlive
        the picture for long.
        """
        small = [await self._load_small(sha256) for sha256 in hashes]
        sheet = await asyncio.to_thread(draw_contact_sheet, small)
        kept = await self._save([sheet.data], sheet.facts, Line.OUTPUTS)
        if not is_output:
            self._store.mark_unused(kept.sha256)
        return kept

    async def join_sounds(self, hashes: Sequence[str]) -> KeptFile:
        """Store one sound made of stored sounds, in order. Raise `BadFile` where the sounds cannot be joined."""
        paths = [path for path in map(self._store.find_path, hashes) if path is not None]
        mimes = {get_mime(path) for path in paths}
        if len(paths) < len(hashes) or len(mimes) != 1:
            raise BadFile("A part is not kept any more, or is of another type.")
        if sum(path.stat().st_size for path in paths) > self._max_output_bytes:
            raise BadFile("The parts are too large for one file.")
        mime = mimes.pop()
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(path.open("rb")) for path in paths]
            parts = [stack.enter_context(_map_file(file)) for file in files]
            seconds = [(await asyncio.to_thread(measure_recording, part)).duration_seconds for part in parts]
            facts = FileFacts(mime, duration_seconds=sum(filter(None, seconds)) or None)
            return await self._save(await asyncio.to_thread(join_sounds, parts, mime), facts, Line.OUTPUTS)

    async def _load_small(self, sha256: str) -> bytes:
        attachment = self.load_attachment(sha256)
        if attachment is None or attachment.kind is not MediaKind.PICTURE:
            return b""
        with contextlib.suppress(BadFile, FileNotFoundError):
            work = partial(shrink, data := await attachment.read(), max_pixels=CELL_PIXELS**2)
            return (await self._decode(estimate_memory_bytes, data, Line.OUTPUTS, work)).data
        return b""

    def load_attachment(self, sha256: str) -> Attachment | None:
        """Return a stored file as an attachment of a command, None if no longer stored.

        Of a picture larger than a person may give, the attachment is a smaller copy.
        """
        path = self._store.find_path(sha256)
        if path is None:
            return None
        size_bytes, mime = path.stat().st_size, get_mime(path)

        async def read() -> bytes:
            if find_kind(mime) is not MediaKind.PICTURE:
                self._check_size(size_bytes)
            elif size_bytes > self._max_attachment_bytes or await asyncio.to_thread(_is_large_file, path):
                return (await self.make_smaller(path, max_bytes=self._max_attachment_bytes)).data
            return await asyncio.to_thread(path.read_bytes)

        return Attachment(path.name, mime, min(size_bytes, self._max_attachment_bytes), read)

    def find_path(self, sha256: str) -> Path | None:
        """Return the path of a stored file, or None."""
        return self._store.find_path(sha256)

    async def remove(self, sha256: str) -> bool:
        """Delete a stored file; return whether the file existed."""
        self._previews.pop(sha256, None)
        size_bytes = await self._store.remove(sha256)
        self._unclaimed.pop(sha256, None)
        self._forget_size(size_bytes or 0)
        return size_bytes is not None

    async def list_files(self) -> list[MediaFile]:
        """Return every stored file, the longest unused first."""
        files = await self._store.list_files()
        # Files being written may be missing in the listing: counted twice for a moment, they do no harm.
        self._used_bytes = sum(file.size_bytes for file in files) + self._writing_bytes
        return files

    def is_used_since(self, file: MediaFile) -> bool:
        """Return whether a listed file was stored again after the listing."""
        return self._store.is_used_since(file)

    async def close(self) -> None:
        """Close connections, and end the threads after the work at hand."""
        await self._fetcher.close()
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    async def _keep_upload(self, data: bytes, rule: InputRule) -> KeptFile:
        """Store a person's file. The bytes decide the kind. Raise `BadFile` for a kind that the rule does not name."""
        file_type = detect_file_type(data[:HEAD_BYTES])
        kind = MediaKind.PICTURE if file_type is None or is_heif(data) else file_type.kind
        if kind is MediaKind.PICTURE:
            # Of a file without a known type the refusal names every kind that the option takes.
            is_unknown = file_type is None and not is_heif(data) and rule.media != PICTURES
            if kind not in rule.media or is_unknown:
                raise BadFile(describe_refused(data, rule.media))
            return await self._keep(data, Line.UPLOADS, rule.max_pixels)
        facts = FileFacts(file_type.mime) if file_type is not None else FileFacts("")
        if kind in RECORDINGS and set(rule.media) & set(RECORDINGS):
            facts = await self._run(Line.UPLOADS, measure_recording, data)
            kind = find_kind(facts.mime)
        if kind not in rule.media:
            raise BadFile(describe_refused(data, rule.media, kind))
        check_length(facts, rule.max_seconds)
        return await self._save(await self._strip(data, facts, Line.UPLOADS), facts, Line.UPLOADS)

    async def _keep(
        self,
        data: bytes,
        line: Line,
        max_pixels: int | None = None,
        convert: Callable[[bytes], CleanPicture] = clean,
    ) -> KeptFile:
        if line is Line.UPLOADS and is_heif(data):
            data = await self._convert_heif(data)

        def work() -> CleanPicture:
            picture = convert(data)
            is_small = max_pixels is None or picture.facts.width * picture.facts.height <= max_pixels
            return picture if is_small else shrink(picture.data, max_pixels=max_pixels or 0)

        picture = await self._decode(estimate_memory_bytes, data, line, work)
        return await self._save([picture.data], picture.facts, line)

    async def _keep_output(self, data: Buffer, output: OutputKind, *, keeps_recipe: bool) -> KeptFile:
        """Store a model's file, whole: within the bounds of outputs. The bytes decide the file's kind."""
        file_type = detect_file_type(data[:HEAD_BYTES])
        if file_type is None:
            raise BadFile("That file is of a kind that I do not know.")
        facts = FileFacts(file_type.mime)
        if file_type.kind in RECORDINGS:
            facts = await asyncio.to_thread(measure_recording, data)
        kind = find_kind(facts.mime)
        if not output.accepts(kind):
            raise ModelFailed(f"The model gave {_GIVEN[kind]} instead of {_WANTED[output]}. You were not charged.")
        if kind is not MediaKind.PICTURE:
            return await self._save(await self._strip(data, facts, Line.LARGE_OUTPUTS), facts, Line.LARGE_OUTPUTS)
        if _is_large(data):
            large = await self._decode(
                estimate_reduced_memory_bytes, data, Line.LARGE_OUTPUTS, lambda: clean_large(data)
            )
            # The pieces refer to the mapped file, which is unmapped with the last of them.
            return await self._save(large.pieces, large.facts, Line.LARGE_OUTPUTS)
        picture = await self._decode(
            _estimate_whole_memory_bytes, data, Line.OUTPUTS, lambda: clean(data[:], is_output=True)
        )
        recipe = await asyncio.to_thread(read_recipe, data[:]) if keeps_recipe else None
        content = add_recipe(picture.data, recipe) if recipe and picture.facts.mime == "image/png" else picture.data
        return await self._save([content], picture.facts, Line.OUTPUTS)

    async def _save(self, pieces: Pieces, facts: FileFacts, line: Line) -> KeptFile:
        size_bytes = sum(len(piece) for piece in pieces)
        if size_bytes <= MAX_INLINE_BYTES:
            sha256 = compute_sha256(*pieces)
        else:
            sha256 = await self._run(line, compute_sha256, *pieces)
        size_bytes = size_bytes if self._store.find_path(sha256) is None else 0
        if size_bytes:
            await self._wait_for_room(size_bytes, line)
        if line is Line.UPLOADS and (sha256 in self._unclaimed or self._store.find_path(sha256) is None):
            self._unclaimed[sha256] = self._unclaimed.get(sha256, 0) + 1
        try:
            return await self._run(line, self._store.save_pieces, pieces, facts, sha256)
        except OSError:
            self._forget_size(size_bytes)
            raise
        finally:
            self._writing_bytes -= size_bytes

    async def _wait_for_room(self, size_bytes: int, line: Line) -> None:
        """Wait until a new file fits into the folder. Raise `Unavailable` if an upload does not fit in time."""
        if self._used_bytes is None:
            await self.list_files()
        # A file beyond the whole bound must not make all others go.
        if not self._fits(size_bytes) and size_bytes <= self._max_kept_bytes:
            self.wanted_bytes = max(self.wanted_bytes, size_bytes)
            self.is_full.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROOM_SECONDS):
                    while not self._fits(size_bytes):
                        self._has_room.clear()
                        await self._has_room.wait()
        # An output was paid for: its file is kept, and the next deletion makes up for the file.
        if line is Line.UPLOADS and not self._fits(size_bytes):
            raise Unavailable("There is no room for another file just now. Please try again in a minute.")
        self._used_bytes = (self._used_bytes or 0) + size_bytes
        self._writing_bytes += size_bytes

    def _fits(self, size_bytes: int) -> bool:
        return (self._used_bytes or 0) + size_bytes <= self._max_kept_bytes

    def _forget_size(self, size_bytes: int) -> None:
        if self._used_bytes is not None and size_bytes:
            self._used_bytes = max(0, self._used_bytes - size_bytes)
            self._has_room.set()

    async def _decode(self, estimate: Callable[[B], int], data: B, line: Line, work: Callable[[], T]) -> T:
        """Run `work` on a picture's data in a thread, once the memory for the picture is free."""
        if is_small(data):
            needed_bytes = _estimate_whole_memory_bytes(data)
        else:
            needed_bytes = await self._run(line, estimate, data)
        async with self._decoding.reserve(line, needed_bytes):
            # A cancelled caller must not free the memory that the thread still uses.
            return await _finish(self._run(line, work))

    async def _convert_heif(self, data: bytes) -> bytes:
        """Return a phone's HEIC picture as JPEG or PNG. Raise `BadFile`."""
        needed_bytes = await self._run(Line.UPLOADS, estimate_heif_memory_bytes, data)
        async with self._decoding.reserve(Line.UPLOADS, needed_bytes):
            return await _finish(self._run(Line.UPLOADS, convert_heif, data))

    async def _strip(self, data: bytes | mmap, facts: FileFacts, line: Line) -> Pieces:
        """Return a sound or video without what people wrote into it, any other file as it is."""
        if find_kind(facts.mime) not in RECORDINGS:
            return [memoryview(data)]
        return await self._run(line, strip_recording, data, facts.mime)

    async def _run(self, line: Line, work: Callable[P, T], *arguments: P.args, **_: P.kwargs) -> T:
        """Call a function in a thread for the files of a line."""
        return await asyncio.get_running_loop().run_in_executor(self._threads.get(line), partial(work, *arguments))

    def _check_size(self, size: int) -> None:
        if size > self._max_attachment_bytes:
            raise build_too_large_error(self._max_attachment_bytes)


async def make_no_preview(_: str) -> None:
    """Return no smaller copy: each picture is shown itself."""


def build_input_file(stored: KeptFile) -> InputFile:
    """Return a stored file as a model's input."""
    return InputFile(
        stored.sha256,
        stored.mime,
        stored.size_bytes,
        str(stored.path),
        stored.width,
        stored.height,
        stored.duration_seconds or 0,
    )


@contextlib.contextmanager
def _map_file(file: BinaryIO) -> Iterator[mmap]:
    """Map an open file into memory. Raise `BadFile` for an empty file."""
    file.flush()
    try:
        data = mmap(file.fileno(), 0, access=ACCESS_READ)
    except ValueError as error:
        raise BadFile("That file is empty.") from error
    try:
        yield data
    finally:
        # Pieces of the file may be in use still: then the map goes with the last of them.
        with contextlib.suppress(BufferError):
            data.close()


def _is_large(data: Buffer) -> bool:
    """Return whether a picture is too large to be decoded as a whole. Raise `BadFile` beyond the bounds of outputs."""
    facts = measure(data, max_pixels=MAX_OUTPUT_PIXELS)
    return facts.width * facts.height > MAX_PIXELS or len(data) > MAX_WHOLE_BYTES


def _is_large_file(path: Path) -> bool:
    with path.open("rb") as file, _map_file(file) as data:
        return _is_large(data)


def _estimate_whole_memory_bytes(data: Buffer) -> int:
    """Return the most memory that an output takes when decoded as a whole, with its copies."""
    return measure_memory_bytes(data) + 2 * len(data)


async def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end even if the caller is cancelled in between; then raise the cancellation."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
