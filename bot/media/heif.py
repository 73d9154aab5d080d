"""Converts phones' HEIC pictures into JPEG or PNG, within the bounds of every other picture.

The decoder is loaded with the first such picture: most bots never meet one. libheif (in pillow-heif) applies the
rotation that the file names, and refuses files with more items, tiles and memory than its own bounds allow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from bot.core.errors import BadFile
from bot.media.color_profiles import MAX_PROFILE_BYTES
from bot.media.decoding import check_pixels

_JPEG_QUALITY = 95
_BYTES_PER_PIXEL = 24
"""The decoder's planes, the pixels twice, and the encoder together, measured with room to spare."""


def estimate_heif_memory_bytes(data: bytes) -> int:
    """Return the most memory that a conversion takes. Raise `BadFile` for a broken or too large picture."""
    with _open(data) as picture:
        width, height = picture.size
        return int(width * height * _BYTES_PER_PIXEL) + len(data)


def convert_heif(data: bytes) -> bytes:
    """Return the picture as JPEG, or as PNG if parts are transparent, upright. Raise `BadFile`."""
    with _open(data) as file:
        has_alpha = bool(file.has_alpha)
        picture = file.to_pillow()
        profile = picture.info.get("icc_profile") or b""
        kept: dict[str, Any] = {"icc_profile": profile} if 0 < len(profile) <= MAX_PROFILE_BYTES else {}
        encoded = BytesIO()
        if has_alpha:
            picture.convert("RGBA").save(encoded, "PNG", compress_level=4, **kept)
        else:
            picture.convert("RGB").save(encoded, "JPEG", quality=_JPEG_QUALITY, subsampling=0, **kept)
    return encoded.getvalue()


@contextmanager
def _open(data: bytes) -> Iterator[Any]:
    """Open the main picture, measured by the header before any pixel is decoded."""
    import pillow_heif  # some 10 MB, which most bots never need

    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = False
    pillow_heif.options.AUX_IMAGES = False
    try:
        file = pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=True)
        check_pixels(*file.size)
        yield file
    except BadFile:
        raise
    except Exception as error:  # the decoder's errors have no common class
        raise BadFile("That picture is damaged or not complete.") from error
