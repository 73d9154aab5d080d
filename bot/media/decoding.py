"""Reads untrusted pictures: recognised by content, measured before decoding, re-encoded or stripped of metadata.

All functions are synchronous and take CPU time: call them in a thread, in a turn of `DecodingLines`.
"""

import asyncio
import struct
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from io import BytesIO
from typing import Any

from PIL import Image, ImageOps

from bot.core.errors import BadFile, FileTooLarge
from bot.core.file_types import REFUSED_HEAD_BYTES, FileFacts, describe_refused
from bot.core.limits import (
    MAX_DECODING_BYTES,
    MAX_INLINE_BYTES,
    MAX_OUTPUT_PIXELS,
    MAX_PIXELS,
    MAX_SIDE_PIXELS,
    OUTPUT_DECODING_BYTES,
)
from bot.core.models import MaskStyle
from bot.media.color_profiles import MAX_PROFILE_BYTES
from bot.media.stripping import Buffer, StillPicture, extract_still, read_jpeg_size, shorten_webp_chunk

_MIMES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
}
_HEAD_BYTES = 64 * 1024
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to turn a picture upright, by its EXIF orientation."""
_TAIL_BYTES = 8
"""Decoders read some bytes ahead, and encoders fill up some: so many behind the pixels are not told from pixels."""
_PROBED_BYTES = 24
"""The end of a scan that the decoder gets byte by byte."""
_BYTES_PER_PIXEL = {"image/png": 14, "image/jpeg": 14, "image/webp": 18, "image/gif": 14, "image/avif": 18}
"""Measured by benchmarks/pictures.py: decoder, picture, turned copy and encoder together."""
_SMALL_PICTURE_BYTES = 16 * 1024 * 1024
"""Memory for a picture of a megapixel."""
_QUALITIES = (90, 80, 65)
_SMALLEST_SIDE = 64

# Refuse every picture that Pillow warns about. Set once for the process: scoped filters are not safe in threads.
warnings.filterwarnings("error", module=r"PIL\.")
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# `check_pixels` bounds each picture by its use; Pillow warns beyond the largest of these bounds.
Image.MAX_IMAGE_PIXELS = MAX_OUTPUT_PIXELS


@dataclass(frozen=True, slots=True)
class CleanPicture:
    """A picture without metadata, safe to publish, and its facts."""

    data: bytes
    facts: FileFacts


def measure(data: Buffer, *, max_pixels: int = MAX_PIXELS) -> FileFacts:
    """Return a picture's facts from its header alone. Raise `BadFile` for no picture, and beyond `max_pixels`."""
    kind = detect_kind(data)
    try:
        width, height = _READ_SIZE[kind](data)
    except (struct.error, IndexError, ValueError) as error:
        raise BadFile("That picture is damaged or not complete.") from error
    check_pixels(width, height, max_pixels)
    return FileFacts(_MIMES[kind], width, height)


def inspect(data: bytes) -> FileFacts:
    """Return a picture's facts without decoding.

    Raise `BadFile` for no picture, for one of over 25 megapixels, and for one of more parts than the bounds allow.
    """
    kind = detect_kind(data)
    still = _extract(data, kind)
    with _open_picture(still.data, kind) as picture:
        return FileFacts(_MIMES[kind], picture.width, picture.height)


def estimate_memory_bytes(data: bytes) -> int:
    """Return the most memory that `clean` or `shrink` takes for a picture. Raise `BadFile` as `inspect` does."""
    inspect(data)
    return measure_memory_bytes(data) + len(data)


def is_small(data: Buffer) -> bool:
    """Return whether a picture is measured without a thread: its decoding takes little memory and time."""
    if len(data) > MAX_INLINE_BYTES:
        return False
    try:
        return measure_memory_bytes(data) <= _SMALL_PICTURE_BYTES
    except BadFile:
        return False


def measure_memory_bytes(data: Buffer) -> int:
    """Return the most memory that a picture takes while it is decoded as a whole, by its header alone."""
    facts = measure(data)
    return facts.width * facts.height * _BYTES_PER_PIXEL[facts.mime]


def clean(data: bytes, *, is_output: bool = False) -> CleanPicture:
    """Return a picture without EXIF, GPS, comments and trailing data. Raise `BadFile`.

    Pixels stay unchanged, except in a picture with an orientation, and in an animation or an AVIF of a person, which
    becomes a still picture of a kind that models read. A model's animation and AVIF (`is_output`) stay as they are.
    """
    kind = detect_kind(data)
    still = _extract(data, kind, keeps_frames=is_output)
    if not is_output and (kind in ("GIF", "AVIF") or still.is_animated):
        return _encode(_decode_upright(still, kind), _choose_still_kind(kind))
    if still.has_hidden_pixels or still.orientation != 1 or _has_hidden_bytes(still, kind):
        return _encode(_decode_upright(still, kind), kind)
    content = still.data
    with _open_picture(content, kind) as picture:
        if not still.is_sound:
            picture.load()
        facts = FileFacts(_MIMES[kind], picture.width, picture.height)
    return CleanPicture(content, facts)


def _has_hidden_bytes(still: StillPicture, kind: str) -> bool:
    """Return whether a JPEG's scan or a WebP's chunk goes on behind the pixels. The last bytes are nobody's words."""
    if kind == "JPEG":
        return _has_bytes_behind_scans(still)
    if kind == "WEBP":
        content = still.data
        shorter = (shorten_webp_chunk(content, part, _TAIL_BYTES) for part in still.pixel_parts if part[1] > part[0])
        return any(_can_decode(data, kind) for data in shorter)
    return False


def _can_decode(data: bytes, kind: str) -> bool:
    try:
        with _open_picture(data, kind) as picture:
            picture.load()
    except BadFile:
        return False
    return True


def _has_bytes_behind_scans(still: StillPicture) -> bool:
    """Return whether the decoder searches for a marker before the end of a scan.

    In the search each byte is read at once; in pixels the decoder waits for the bytes of a whole block.
    """
    content = still.data
    with _open_picture(content, "JPEG") as picture:
        # The decoder of Pillow that `load` uses: `load` itself does not say which bytes were read.
        file: Any = picture
        decoder: Any = Image._getdecoder(picture.mode, "jpeg", file.tile[0].args, file.decoderconfig)
        target = Image.new(picture.mode, picture.size)
        decoder.setimage(target.im, (0, 0, *picture.size))
        position = 0
        for start, end in still.pixel_parts:
            probed = max(start, end - _PROBED_BYTES)
            read_count = 0
            for step in (probed, *range(probed + 1, end - _TAIL_BYTES + 1)):
                read, error = decoder.decode(content[position:step])
                if error:
                    return False
                if read < 0:
                    return True
                position += read
                read_count += step > probed and position == step
            if read_count == _PROBED_BYTES - _TAIL_BYTES:
                return True
    return False


def shrink(data: bytes, *, max_bytes: int | None = None, max_pixels: int = MAX_PIXELS) -> CleanPicture:
    """Return a picture of at most `max_bytes` and `max_pixels`, unchanged if it fits. Raise `BadFile`."""
    kind = detect_kind(data)
    still = _extract(data, kind)
    upright = _decode_upright(still, kind)
    if still.orientation == 1 and _fits(data, max_bytes) and upright.width * upright.height <= max_pixels:
        return CleanPicture(data, FileFacts(_MIMES[kind], upright.width, upright.height))
    return shrink_decoded(upright, kind, max_bytes=max_bytes, max_pixels=max_pixels)


def shrink_decoded(picture: Image.Image, kind: str, *, max_bytes: int | None, max_pixels: int) -> CleanPicture:
    """Return a decoded picture of a kind within `max_bytes` and `max_pixels`. Raise `FileTooLarge`."""
    picture = _scale(picture, min(1.0, (max_pixels / (picture.width * picture.height)) ** 0.5))
    result = _encode(picture, _choose_still_kind(kind))
    while not _fits(result.data, max_bytes):
        if min(picture.size) < _SMALLEST_SIDE:
            raise build_too_large_error(max_bytes or 0)
        result = _encode_small(picture, max_bytes)
        picture = _scale(picture, 0.7)
    return result


def convert_mask(data: bytes, style: MaskStyle) -> CleanPicture:
    """Return a mask with white parts as a PNG of another style. Raise `BadFile`."""
    kind = detect_kind(data)
    light = _decode_upright(_extract(data, kind), kind).convert("L")
    inverted = ImageOps.invert(light)
    if style is MaskStyle.ALPHA:
        opaque = Image.new("RGB", light.size)
        opaque.putalpha(inverted)
        return _encode(opaque, "PNG")
    return _encode((inverted if style is MaskStyle.BLACK else light).convert("RGB"), "PNG")


def _choose_still_kind(kind: str) -> str:
    return "PNG" if kind in ("GIF", "AVIF") else kind


def _fits(data: bytes, max_bytes: int | None) -> bool:
    return max_bytes is None or len(data) <= max_bytes


def _encode_small(picture: Image.Image, max_bytes: int | None) -> CleanPicture:
    """Encode at the best quality that fits, else at the lowest: WebP with transparency, else JPEG."""
    kind = "WEBP" if picture.mode == "RGBA" else "JPEG"
    for quality in _QUALITIES:
        result = _encode(picture, kind, quality=quality)
        if _fits(result.data, max_bytes):
            break
    return result


def _scale(picture: Image.Image, factor: float) -> Image.Image:
    if factor == 1.0:
        return picture
    size = max(1, int(picture.width * factor)), max(1, int(picture.height * factor))
    scaled = picture.resize(size, Image.Resampling.LANCZOS)
    scaled.info = dict(picture.info)
    return scaled


def detect_kind(data: Buffer) -> str:
    """Return the format by the first bytes. File names and MIME types of senders are not trusted."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return "AVIF"
    raise BadFile(describe_refused(bytes(data[:REFUSED_HEAD_BYTES])))


@contextmanager
def wrap_decoder_errors() -> Iterator[None]:
    """Turn every error of Pillow inside the block into `BadFile`."""
    try:
        yield
    except BadFile:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _make_too_many_pixels_error(MAX_PIXELS) from error
    except Exception as error:  # broken files raise anything, down to struct.error and SyntaxError
        raise BadFile("That picture is damaged or not complete.") from error


@contextmanager
def _open_picture(data: bytes, kind: str) -> Iterator[Image.Image]:
    """Open a picture after measuring. Every error of Pillow inside the block becomes `BadFile`."""
    # Opening a WebP already allocates the canvas: `_extract` has measured the header.
    with wrap_decoder_errors(), Image.open(BytesIO(data), formats=(kind,)) as picture:
        check_pixels(*picture.size)
        yield picture


def _extract(data: bytes, kind: str, *, keeps_frames: bool = False) -> StillPicture:
    """Measure a picture by its header, then extract the first frame or all frames."""
    if kind in ("PNG", "WEBP", "AVIF"):
        measure(data)
    if kind == "AVIF":
        # An AVIF of a person is encoded anew, and an AVIF of a model holds nothing of a person.
        return StillPicture([data], is_animated=data[8:12] == b"avis")
    return extract_still(data, kind, keeps_frames=keeps_frames)


def check_pixels(width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    """Raise `FileTooLarge` for a picture of more than `max_pixels`, or longer than the bound of a side."""
    if width * height > max_pixels:
        raise _make_too_many_pixels_error(max_pixels)
    if max(width, height) > MAX_SIDE_PIXELS:
        raise FileTooLarge(f"That picture is too long: at most {MAX_SIDE_PIXELS} pixels a side, please.")


def _make_too_many_pixels_error(max_pixels: int) -> FileTooLarge:
    return FileTooLarge(f"That picture has too many pixels: at most {max_pixels // 1_000_000} million, please.")


def _read_png_size(data: Buffer) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _read_webp_size(data: Buffer) -> tuple[int, int]:
    """Return width and height from the first chunk: developers.google.com/speed/webp/docs/riff_container."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", data[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _read_gif_size(data: Buffer) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _read_avif_size(data: Buffer) -> tuple[int, int]:
    """Return the largest size of the properties `ispe` (ISO/IEC 23008-12, 6.5.3)."""
    head, sizes, position = data[:_HEAD_BYTES], [], 0
    while (position := head.find(b"ispe", position)) > 0:
        sizes.append(struct.unpack_from(">II", head, position + 8))
        position += 4
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return width, height


_READ_SIZE: dict[str, Callable[[Buffer], tuple[int, int]]] = {
    "PNG": _read_png_size,
    "JPEG": read_jpeg_size,
    "WEBP": _read_webp_size,
    "GIF": _read_gif_size,
    "AVIF": _read_avif_size,
}


def _decode_upright(still: StillPicture, kind: str) -> Image.Image:
    """Return the first frame of a picture, upright; see `turn_upright`."""
    with _open_picture(still.data, kind) as picture:
        picture.load()
        return turn_upright(picture, still.orientation)


def turn_upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Return a decoded picture, turned by its orientation, as RGB or RGBA with at most a small colour profile.

    Once the caller drops `picture`, each further step holds two copies of the pixels at most.
    """
    profile = picture.info.get("icc_profile") or b""
    is_plain = picture.mode in ("RGB", "RGBA")
    upright = _take_high_bytes(picture) if picture.mode.startswith("I;16") else picture
    mode = "RGBA" if upright.has_transparency_data else "RGB"
    upright = upright.convert(mode) if orientation == 1 else upright.transpose(_TURNS[orientation])
    if upright.mode != mode:
        upright = upright.convert(mode)
    # The profile of another colour space (CMYK, grey) would distort the converted pixels.
    upright.info = {"icc_profile": profile} if is_plain and 0 < len(profile) <= MAX_PROFILE_BYTES else {}
    return upright


def _take_high_bytes(picture: Image.Image) -> Image.Image:
    """Return a picture of 16-bit grey in 8 bits. Pillow's own conversion makes every grey above 255 white."""
    # Read as grey with transparency, the high byte of each little-endian value is the second channel.
    pairs = Image.frombytes("LA", picture.size, picture.tobytes("raw", "I;16"))
    return pairs.getchannel("A")


def _encode(picture: Image.Image, kind: str, quality: int = 95) -> CleanPicture:
    options: dict[str, Any] = {"icc_profile": picture.info.get("icc_profile")}
    if kind == "JPEG":
        picture = picture.convert("RGB")
        options |= {"quality": quality, "subsampling": 0 if quality > 90 else 2}
    elif kind == "WEBP":
        options |= {"quality": quality}
    else:
        options |= {"compress_level": 4}  # twice as quick as the default, some per cent larger
    encoded = BytesIO()
    picture.save(encoded, kind, **options)
    return CleanPicture(encoded.getvalue(), FileFacts(_MIMES[kind], picture.width, picture.height))


def build_too_large_error(max_bytes: int) -> FileTooLarge:
    """Return the error for a file of more than `max_bytes`."""
    mebibytes = max_bytes // 1024**2
    size = f"{mebibytes} MB" if mebibytes else f"{max_bytes} bytes"
    return FileTooLarge(f"That file is too large: at most {size}, please.")


class Line(Enum):
    """The line in which a picture waits."""

    OUTPUTS = auto()
    """Paid outputs of models, and their copies for a platform."""
    LARGE_OUTPUTS = auto()
    """The same for pictures that are decoded in parts: these take seconds, which no ordinary picture waits for."""
    UPLOADS = auto()
    """Pictures that people give."""


_MAX_DECODERS = {Line.OUTPUTS: 2, Line.LARGE_OUTPUTS: 1, Line.UPLOADS: 1}
"""Pictures of one line that are decoded at once."""


class DecodingLines:
    """Grants memory to decoders, in the order of each line; a waiting output goes before each waiting upload.

    Each picture reserves the memory that its decoding may take, so that pictures decoded at once stay within one bound.
    """

    def __init__(self) -> None:
        self._waiting: dict[Line, deque[tuple[int, asyncio.Future[None]]]] = {line: deque() for line in Line}
        self._running = dict.fromkeys(Line, 0)
        self._reserved_bytes = 0

    @asynccontextmanager
    async def reserve(self, line: Line, needed_bytes: int) -> AsyncIterator[None]:
        """Wait for the memory of one picture, and hold the memory inside the block."""
        # A picture beyond the bound is decoded alone.
        needed_bytes = min(needed_bytes, self._get_bound_bytes(line))
        turn = asyncio.get_running_loop().create_future()
        entry = (needed_bytes, turn)
        self._waiting[line].append(entry)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release(line, needed_bytes)
            else:
                self._waiting[line].remove(entry)
                self._grant()
            raise
        try:
            yield
        finally:
            self._release(line, needed_bytes)

    def _release(self, line: Line, released_bytes: int) -> None:
        self._running[line] -= 1
        self._reserved_bytes -= released_bytes
        self._grant()

    def _grant(self) -> None:
        """Let the first pictures of both lines start while memory is left."""
        for line in Line:
            waiting = self._waiting[line]
            while waiting and self._running[line] < _MAX_DECODERS[line]:
                needed_bytes, turn = waiting[0]
                if self._reserved_bytes + needed_bytes > self._get_bound_bytes(line):
                    return  # an upload must not take the memory that an output waits for
                waiting.popleft()
                if not turn.cancelled():
                    self._running[line] += 1
                    self._reserved_bytes += needed_bytes
                    turn.set_result(None)

    def _get_bound_bytes(self, line: Line) -> int:
        return MAX_DECODING_BYTES - (0 if line is Line.OUTPUTS else OUTPUT_DECODING_BYTES)
