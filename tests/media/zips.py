"""Zips of pictures, and zips that must be refused."""

import io
import struct
import zipfile
from collections.abc import Mapping

from tests.fakes.backend import make_png

COLORS = ("red", "green", "blue", "white", "black", "yellow", "purple", "orange")


def make_zip(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of files by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def make_picture_zip(count: int = 5) -> bytes:
    """Return a zip of different small pictures."""
    return make_zip({f"{color}.png": make_png(32, 32, color) for color in COLORS[:count]})


def make_bomb() -> bytes:
    """Return a zip of 20 kB with the head of a picture and 21 MB of zeros behind."""
    return make_zip({"fox.png": make_png(32, 32) + bytes(21 * 1024 * 1024)})


def make_directory_bomb(copies: int, size_bytes: int) -> bytes:
    """Return a zip whose directory names one large picture many times."""
    return repeat_entry(make_zip({"fox.png": make_png(32, 32) + bytes(size_bytes)}), copies)


def repeat_entry(packed: bytes, copies: int) -> bytes:
    """Return a zip of one file whose directory names the file many times."""
    start, end = packed.index(b"PK\x01\x02"), packed.index(b"PK\x05\x06")
    directory = packed[start:end] * copies
    record = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, copies, copies, len(directory), start, 0)
    return packed[:start] + directory + record
