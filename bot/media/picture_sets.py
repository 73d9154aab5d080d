"""Several pictures in one file: a contact sheet with numbers for people, and the zip of a training.

The pictures of a training are taken out of a person's zip within bounds, and packed into the zip that a trainer gets.
Names in a person's zip are never used, and no file is written: each entry is read up to its bound.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from PIL import Image, ImageOps

from bot.core.backend import InputFile
from bot.core.errors import BadFile
from bot.core.file_types import FILE_TYPES, REFUSED_HEAD_BYTES, FileFacts, is_picture
from bot.core.limits import MAX_ATTACHMENT_BYTES, MAX_ZIP_BYTES, MAX_ZIP_ENTRIES
from bot.media.decoding import CleanPicture, wrap_decoder_errors

# Pictures of a training.

ZIP_MIME = "application/zip"
_ZIP_HEAD = b"PK\x03\x04"
_ENTRY_MARK = b"PK\x01\x02"
"""The signature of each entry in a zip's directory (PKWARE APPNOTE, 4.3.12)."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# The same pictures give the same zip, and so the same file in the store.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNREADABLE = "That zip cannot be read: it is damaged, or packed in an unusual way. Pack the pictures again, please."


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The zip for a trainer, with the number of pictures in it."""

    file: InputFile
    picture_count: int


def is_zip(data: bytes) -> bool:
    """Return whether a file begins as a zip does."""
    return data.startswith(_ZIP_HEAD)


def read_zip_pictures(data: bytes) -> Iterator[bytes]:
    """Yield the pictures of a zip, one at a time; files of other kinds are left out.

    Raise `BadFile` for a damaged or encrypted zip, and for one beyond the bounds.
    """
    # Counted before the directory is parsed: a parser makes an object of each entry.
    if data.count(_ENTRY_MARK) > MAX_ZIP_ENTRIES:
        raise BadFile(f"That zip has more than {MAX_ZIP_ENTRIES:,} files. Give a zip of the pictures alone.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from _read_entries(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BadFile(_UNREADABLE) from error


def _read_entries(archive: zipfile.ZipFile) -> Iterator[bytes]:
    left_bytes = MAX_ZIP_BYTES
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        if entry.flag_bits & 1:
            raise BadFile("That zip needs a password. Pack the pictures without one, please.")
        if entry.compress_type not in _METHODS:
            raise BadFile(_UNREADABLE)
        with archive.open(entry) as file:
            head = file.read(REFUSED_HEAD_BYTES)
            if not is_picture(head):
                continue
            # The sizes in the directory are claims: the bytes that come out count.
            content = head + file.read(MAX_ATTACHMENT_BYTES - len(head) + 1)
        left_bytes -= len(content)
        if len(content) > MAX_ATTACHMENT_BYTES or left_bytes < 0:
            megabytes = MAX_ZIP_BYTES // 1024**2
            raise BadFile(f"That zip unpacks to more than I read: pictures of {megabytes} MB together at most, please.")
        yield content


def pack_pictures(pictures: Sequence[CleanPicture]) -> bytes:
    """Return a zip of pictures, named by number."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for n, picture in enumerate(pictures, 1):
            name = f"{n:03}.{FILE_TYPES[picture.facts.mime].extension}"
            archive.writestr(zipfile.ZipInfo(name, _TIME), picture.data)
    return buffer.getvalue()


# Contact sheets.

CELL_PIXELS = 256
"""Width and height of a picture on the sheet; four in a row make 1,024 pixels, which a phone shows whole."""

_COLUMNS = 4
_GAP_PIXELS = 8
_FONT_PIXELS = 28
_GROUND, _LABEL_GROUND, _LABEL = (24, 24, 27), (0, 0, 0), (255, 255, 255)


def draw_contact_sheet(pictures: Sequence[bytes]) -> CleanPicture:
    """Return a JPEG of clean small pictures in rows, numbered from 1; an empty picture leaves its place empty."""
    # FreeType takes over 1 MB, which a bot without batches saves.
    from PIL import ImageDraw, ImageFont

    columns = min(_COLUMNS, len(pictures))
    step = CELL_PIXELS + _GAP_PIXELS
    size = columns * step + _GAP_PIXELS, ceil(len(pictures) / columns) * step + _GAP_PIXELS
    sheet = Image.new("RGB", size, _GROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_PIXELS)
    for at, content in enumerate(pictures):
        left, top = at % columns * step + _GAP_PIXELS, at // columns * step + _GAP_PIXELS
        if content:
            _paste(sheet, content, left, top)
        number = str(at + 1)
        pen.rectangle((left, top, left + pen.textlength(number, font) + 12, top + _FONT_PIXELS + 6), fill=_LABEL_GROUND)
        pen.text((left + 6, top), number, _LABEL, font)
    encoded = io.BytesIO()
    sheet.save(encoded, "JPEG", quality=88)
    return CleanPicture(encoded.getvalue(), FileFacts("image/jpeg", *size))


def _paste(sheet: Image.Image, content: bytes, left: int, top: int) -> None:
    with wrap_decoder_errors(), Image.open(io.BytesIO(content)) as picture:
        cell = ImageOps.contain(picture.convert("RGBA"), (CELL_PIXELS, CELL_PIXELS))
    middle = left + (CELL_PIXELS - cell.width) // 2, top + (CELL_PIXELS - cell.height) // 2
    sheet.paste(cell, middle, cell)
