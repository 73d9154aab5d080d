"""Draws a contact sheet: several pictures in one, each with its number."""

from collections.abc import Sequence
from io import BytesIO
from math import ceil

from PIL import Image, ImageOps

from bot.core.file_types import FileFacts
from bot.media.decoding import CleanPicture, wrap_decoder_errors

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
    encoded = BytesIO()
    sheet.save(encoded, "JPEG", quality=88)
    return CleanPicture(encoded.getvalue(), FileFacts("image/jpeg", *size))


def _paste(sheet: Image.Image, content: bytes, left: int, top: int) -> None:
    with wrap_decoder_errors(), Image.open(BytesIO(content)) as picture:
        cell = ImageOps.contain(picture.convert("RGBA"), (CELL_PIXELS, CELL_PIXELS))
    middle = left + (CELL_PIXELS - cell.width) // 2, top + (CELL_PIXELS - cell.height) // 2
    sheet.paste(cell, middle, cell)
