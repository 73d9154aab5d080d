"""Tells what a file is by its first bytes, in the words of a refusal: names and types of senders are not trusted."""

from collections.abc import Sequence

from bot.core.file_types import PICTURES, MediaKind, detect_file_type, format_kinds

_FORMATS = {
    MediaKind.PICTURE: ("PNG", "JPEG", "WebP", "GIF", "AVIF", "HEIC"),
    MediaKind.AUDIO: ("MP3", "WAV", "OGG", "FLAC", "M4A"),
    MediaKind.VIDEO: ("MP4", "WebM", "MOV"),
    MediaKind.FILE: ("GLB", "SVG", "ZIP"),
}

# The signature at the beginning of a file, and what a person calls the file.
_SIGNATURES = (
    (b"%PDF-", "a PDF"),
    (b"%!PS", "a PostScript file"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"\x1f\x8b", "a packed file"),
    (b"7z\xbc\xaf", "a packed file"),
    (b"Rar!", "a packed file"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture or a camera's raw file"),
    (b"MM\x00*", "a TIFF picture or a camera's raw file"),
    (b"8BPS", "a Photoshop file"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"\x1aE\xdf\xa3", "a Matroska video"),
    (b"FORM", "an AIFF sound"),
    (b"#!AMR", "an AMR sound"),
    (b"\x30\x26\xb2\x75", "a Windows Media file"),
    (b"MThd", "a MIDI file"),
    (b"\xff\xf1", "a bare AAC sound"),
    (b"\xff\xf9", "a bare AAC sound"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
)
_READABLE_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
HEAD_BYTES = 4096
"""The bytes that tell what a file is."""


def is_picture(data: bytes) -> bool:
    """Return whether a file begins as a picture that can be read does."""
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return data.startswith(_READABLE_SIGNATURES) or is_webp or bool(_read_brands(data) & (_HEIF_BRANDS | _AVIF_BRANDS))


def is_text(data: bytes) -> bool:
    """Return whether a file begins as text in UTF-8 does."""
    return bool(_find_text_name(data[:HEAD_BYTES]))


# ISO/IEC 23008-12, annex B: still pictures coded by HEVC. `mif1` alone may be another codec, which the decoder refuses.
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def is_heif(data: bytes) -> bool:
    """Return whether a file begins as a HEIC picture does. AVIF has the same container and is another format."""
    brands = _read_brands(data)
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def describe_refused(data: bytes, wanted: Sequence[MediaKind] = PICTURES, kind: MediaKind | None = None) -> str:
    """Return the sentence that refuses a file of another kind, with the file's kind where known."""
    name = f"a {kind.noun}" if kind in _FORMATS and kind is not MediaKind.FILE else _find_name(bytes(data[:HEAD_BYTES]))
    *formats, last = (name for kind in wanted for name in _FORMATS[kind])
    return (
        f"{f'That is {name},' if name else 'That file is'} not {format_kinds(wanted)} I can read: "
        f"{', '.join(formats)} or {last}, please."
    )


def _find_name(head: bytes) -> str:
    if not head:
        return "an empty file"
    file_type = detect_file_type(head)
    if file_type is not None and file_type.kind is not MediaKind.FILE:
        return f"a {file_type.kind.noun}"
    if head[:4] == b"RIFF":
        return "an AVI video" if head[8:11] == b"AVI" else ""
    found = next((name for signature, name in _SIGNATURES if head.startswith(signature)), "")
    return found or _find_text_name(head)


def _find_text_name(head: bytes) -> str:
    # A character may be cut at the end of the bytes looked at.
    text = head.decode("utf-8-sig", "ignore").lstrip().lower()
    if len(text.encode()) < len(head.strip()) - 4 or any(sign < " " and sign not in "\t\n\r\x0c" for sign in text):
        return ""
    if "<svg" in text:
        return "an SVG drawing"
    return "a web page" if text.startswith(("<!doctype html", "<html")) else "a text"


def _read_brands(data: bytes) -> frozenset[bytes]:
    """Return the brands of a file in the container of MP4, HEIC and AVIF; empty for other files."""
    if data[4:8] != b"ftyp":
        return frozenset()
    size_bytes = min(int.from_bytes(data[:4], "big"), 256)
    return frozenset({data[8:12], *(data[n : n + 4] for n in range(16, size_bytes, 4))})
