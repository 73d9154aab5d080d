"""Copies the numbers of a colour profile, without the words that a person may have written.

The format: www.color.org/specification/ICC.1-2022-05.pdf. Kept are the tags of a display: the three colours, the white
point, its adaptation and the curves. Other tags (descriptions, copyrights, look-up tables, private data) are left out,
and so are gaps between tags. A profile without these tags, of a printer for example, is left out whole.
"""

import struct
from itertools import pairwise

# Colour profiles have some kilobytes: a larger profile may carry other data.
MAX_PROFILE_BYTES = 64 * 1024

_HEADER_BYTES = 128
_MOST_TAGS = 100
_KNOWN_WORDS = frozenset(
    [
        *("sRGB built-in", "No copyright, use freely", "sRGB IEC61966-2.1", "sRGB", "Display P3", "Adobe RGB (1998)"),
        *("Copyright Apple Inc., 2017", "Copyright Apple Inc., 2022", "Google Inc. 2016", "Apple Wide Color", "c2"),
    ]
)
"""The words of common profiles stay, so that these profiles stay as they are."""

_COLORS = frozenset([b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt", b"bkpt", b"lumi"])
_CURVES = frozenset([b"rTRC", b"gTRC", b"bTRC", b"kTRC"])
_WORDS = frozenset([b"desc", b"cprt"])
_NEEDED = (frozenset([b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"]), frozenset([b"wtpt", b"kTRC"]))
_SIGNATURES = frozenset(
    [bytes(4), b"lcms", b"appl", b"APPL", b"ADBE", b"MSFT", b"GOOG", b"HP  ", b"IEC ", b"sRGB", b"none", b"saws"]
)
_PARAMETERS = (1, 3, 4, 5, 7)


def clean_profile(profile: bytes) -> bytes:
    """Return the profile's numbers as a profile; empty for a profile that is broken, large or of another device."""
    if len(profile) < _HEADER_BYTES + 4 or len(profile) > MAX_PROFILE_BYTES or profile[36:40] != b"acsp":
        return b""
    try:
        return _rebuild(profile)
    except (struct.error, ValueError):
        return b""


def _rebuild(profile: bytes) -> bytes:
    (count,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
    if count > _MOST_TAGS:
        return b""
    kept: dict[bytes, bytes] = {}
    for index in range(count):
        name, offset, size = struct.unpack_from(">4sII", profile, _HEADER_BYTES + 4 + 12 * index)
        content = profile[offset : offset + size]
        if len(content) == size and name not in kept and _is_kept(name, content):
            kept[name] = content
    if not any(needed <= kept.keys() for needed in _NEEDED):
        return b""
    return _assemble(_clean_header(profile), kept)


def _assemble(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, places = bytearray(struct.pack(">I", len(tags))), bytearray(), dict[bytes, int]()
    start = _HEADER_BYTES + 4 + 12 * len(tags)
    for name, content in tags.items():
        if content not in places:  # equal curves share one place
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    return struct.pack(">I", start + len(body)) + header[4:] + bytes(table) + bytes(body)


def _clean_header(profile: bytes) -> bytes:
    """Return the header without dates and makers outside their ranges, the profile's id and the reserved bytes."""
    header = bytearray(profile[:_HEADER_BYTES])
    for start in (4, 48, 52, 80):  # CMM, manufacturer, model, creator
        if bytes(header[start : start + 4]) not in _SIGNATURES:
            header[start : start + 4] = bytes(4)
    year, *date = struct.unpack_from(">6H", header, 24)
    if not (1990 <= year <= 2100 and all(value < 61 for value in date)):
        header[24:36] = bytes(12)
    if bytes(header[40:44]) not in (b"APPL", b"MSFT", b"SGI ", b"SUNW"):
        header[40:44] = bytes(4)
    if bytes(header[12:16]) not in (b"mntr", b"scnr", b"spac"):
        raise ValueError("another device")
    if bytes(header[16:20]) not in (b"RGB ", b"GRAY") or bytes(header[20:24]) not in (b"XYZ ", b"Lab "):
        raise ValueError("another colour space")
    # Flags, attributes, and the rest after the creator: nothing there changes colours.
    header[44:48], header[56:64], header[84:] = bytes(4), bytes(8), bytes(_HEADER_BYTES - 84)
    header[8:12] = bytes([header[8] & 0x07, header[9] & 0xF0, 0, 0])
    header[64:68] = bytes([0, 0, 0, header[67] & 3])
    header[68:80] = struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)  # D50, the same in each profile
    return bytes(header)


def _is_kept(name: bytes, content: bytes) -> bool:
    kind, reserved = content[:4], content[4:8]
    if reserved != bytes(4):
        return False
    if name in _COLORS:
        return kind == b"XYZ " and len(content) == 20 and _are_small(content[8:])
    if name == b"chad":
        return kind == b"sf32" and len(content) == 44 and _are_small(content[8:])
    if name == b"chrm":
        numbers = struct.unpack(f">{(len(content) - 12) // 4}I", content[12:])
        return kind == b"chrm" and len(content) == 36 and all(number <= 0x10000 for number in numbers)
    if name in _CURVES:
        return _is_curve(kind, content)
    return name in _WORDS and _read_words(kind, content) in _KNOWN_WORDS


def _are_small(numbers: bytes) -> bool:
    """Return whether each number (s15Fixed16) lies between -4 and 4, out of the range of letters."""
    return all(-0x40000 <= number <= 0x40000 for number in struct.unpack(f">{len(numbers) // 4}i", numbers))


def _is_curve(kind: bytes, content: bytes) -> bool:
    if kind == b"para":
        (function,) = struct.unpack_from(">H", content, 8)
        return (
            function < len(_PARAMETERS)
            and content[10:12] == bytes(2)
            and len(content) == 12 + 4 * _PARAMETERS[function]
            and _are_small(content[12:])
        )
    (count,) = struct.unpack_from(">I", content, 8)
    if kind != b"curv" or len(content) != 12 + 2 * count:
        return False
    # Written words do not rise from letter to letter: a curve does.
    points = struct.unpack_from(f">{count}H", content, 12)
    return count == 1 or all(low <= high for low, high in pairwise(points))


def _read_words(kind: bytes, content: bytes) -> str:
    """Return the words of a tag if the tag holds one text and nothing else, else an empty text."""
    if kind == b"mluc":
        count, record, _language, length, offset = struct.unpack_from(">II4sII", content, 8)
        is_whole = (count, record, offset) == (1, 12, 28) and len(content) == 28 + length
        return content[28:].decode("utf-16-be", "replace").rstrip("\x00") if is_whole else ""
    if kind == b"text":
        return content[8:].decode("latin-1").rstrip("\x00")
    if kind == b"desc":
        (length,) = struct.unpack_from(">I", content, 8)
        return "" if any(content[12 + length :]) else content[12 : 12 + length].decode("latin-1").rstrip("\x00")
    return ""
