"""Types of files, told by their first bytes: file names and claimed types are never trusted.

A refused file is named by its first bytes too, in the words of the refusal.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

HEAD_BYTES = 1_024
"""The first bytes of a file from which its type is told."""


class MediaKind(StrEnum):
    """The kind of a file, by the way of showing it."""

    PICTURE = "picture"
    AUDIO = "audio"
    VIDEO = "video"
    FILE = "file"
    """Any other file: offered as a download, never shown in place."""

    @property
    def noun(self) -> str:
        """The kind in a sentence: "sound" for audio."""
        return "sound" if self is MediaKind.AUDIO else str(self)


PICTURES = (MediaKind.PICTURE,)
RECORDINGS = (MediaKind.AUDIO, MediaKind.VIDEO)
ANY_MEDIA = tuple(MediaKind)


def format_kinds(kinds: Sequence[MediaKind]) -> str:
    """Return the kinds in a sentence: "a sound or a video", or "a file" for all kinds."""
    return "a file" if MediaKind.FILE in kinds else " or ".join(f"a {kind.noun}" for kind in kinds)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The facts in a file's header: MIME type, width and height in pixels as stored, and length in seconds."""

    mime: str
    width: int = 0
    height: int = 0
    duration_seconds: float | None = None
    """The length of a sound or video; None where the file does not tell."""


@dataclass(frozen=True, slots=True)
class FileType:
    """A type that the bot keeps."""

    mime: str
    extension: str
    kind: MediaKind


FILE_TYPES: Mapping[str, FileType] = {
    mime: FileType(mime, extension, kind)
    for mime, extension, kind in (
        ("image/png", "png", MediaKind.PICTURE),
        ("image/jpeg", "jpg", MediaKind.PICTURE),
        ("image/webp", "webp", MediaKind.PICTURE),
        ("image/gif", "gif", MediaKind.PICTURE),
        ("image/avif", "avif", MediaKind.PICTURE),
        ("audio/mpeg", "mp3", MediaKind.AUDIO),
        ("audio/wav", "wav", MediaKind.AUDIO),
        ("audio/ogg", "ogg", MediaKind.AUDIO),
        ("audio/flac", "flac", MediaKind.AUDIO),
        ("audio/mp4", "m4a", MediaKind.AUDIO),
        ("audio/webm", "weba", MediaKind.AUDIO),
        ("video/mp4", "mp4", MediaKind.VIDEO),
        ("video/webm", "webm", MediaKind.VIDEO),
        ("video/quicktime", "mov", MediaKind.VIDEO),
        ("model/gltf-binary", "glb", MediaKind.FILE),
        # A drawing may hold scripts: a browser must never show one in place.
        ("image/svg+xml", "svg", MediaKind.FILE),
        ("application/zip", "zip", MediaKind.FILE),
        ("application/x-subrip", "srt", MediaKind.FILE),
    )
}
"""Each type by its MIME type."""


def find_kind(mime: str) -> MediaKind:
    """Return the kind of a type; a download for an unknown type."""
    return FILE_TYPES[mime].kind if mime in FILE_TYPES else MediaKind.FILE


def guess_kind(mime: str) -> MediaKind:
    """Return the kind that a claimed type stands for: platforms name a file's type before the file is read."""
    family = "audio" if mime == "application/ogg" else mime.partition("/")[0].strip().lower()
    return _FAMILIES.get(family, MediaKind.FILE)


_FAMILIES = {"image": MediaKind.PICTURE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"glTF", "model/gltf-binary"),
    (b"PK\x03\x04", "application/zip"),
)
_RIFF_FORMS = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
# ISO/IEC 14496-12, 4.3: brands of files that consist of boxes. A file of any other brand counts as MP4.
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
_STILL_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"crx ")
_EBML = b"\x1a\x45\xdf\xa3"
# The element DocType: id, length of one to eight bytes, text.
_WEBM = re.compile(rb"\x42\x82.{1,8}webm", re.DOTALL)
_SUBTITLES = re.compile(rb"(?:\xef\xbb\xbf)?\d+\r?\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\r?\n")
_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg[\s>]", re.DOTALL
)


def detect_file_type(head: bytes) -> FileType | None:
    """Return the type of a file with these first bytes (`HEAD_BYTES` are enough), None for any other type."""
    mime = next((mime for magic, mime in _MAGIC if head.startswith(magic)), "") or _detect_mime(head)
    return FILE_TYPES.get(mime)


def _detect_mime(head: bytes) -> str:
    if head[:4] == b"RIFF":
        return _RIFF_FORMS.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return "" if head[8:12] in _STILL_BRANDS else _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(_EBML):
        return "video/webm" if _WEBM.search(head[:128]) else ""
    if _is_mpeg_audio(head):
        return "audio/mpeg"
    if _SUBTITLES.match(head):
        return "application/x-subrip"
    return "image/svg+xml" if _SVG.match(head) else ""


def _is_mpeg_audio(head: bytes) -> bool:
    """Return whether a file begins with a frame of MPEG audio, layer 3 (ISO/IEC 11172-3, 2.4.1.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return False
    is_version_known, bit_rate, sample_rate = head[1] & 0x18 != 0x08, head[2] >> 4, head[2] >> 2 & 3
    return is_version_known and 0 < bit_rate < 15 and sample_rate != 3


# Refused files.

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
REFUSED_HEAD_BYTES = 4096
"""The bytes that tell what a file is."""


def is_picture(data: bytes) -> bool:
    """Return whether a file begins as a picture that can be read does."""
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return data.startswith(_READABLE_SIGNATURES) or is_webp or bool(_read_brands(data) & (_HEIF_BRANDS | _AVIF_BRANDS))


def is_text(data: bytes) -> bool:
    """Return whether a file begins as text in UTF-8 does."""
    return bool(_find_text_name(data[:REFUSED_HEAD_BYTES]))


# ISO/IEC 23008-12, annex B: still pictures coded by HEVC. `mif1` alone may be another codec, which the decoder refuses.
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def is_heif(data: bytes) -> bool:
    """Return whether a file begins as a HEIC picture does. AVIF has the same container and is another format."""
    brands = _read_brands(data)
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def describe_refused(data: bytes, wanted: Sequence[MediaKind] = PICTURES, kind: MediaKind | None = None) -> str:
    """Return the sentence that refuses a file of another kind, with the file's kind where known."""
    name = (
        f"a {kind.noun}"
        if kind in _FORMATS and kind is not MediaKind.FILE
        else _name_signature(bytes(data[:REFUSED_HEAD_BYTES]))
    )
    *formats, last = (name for kind in wanted for name in _FORMATS[kind])
    return (
        f"{f'That is {name},' if name else 'That file is'} not {format_kinds(wanted)} I can read: "
        f"{', '.join(formats)} or {last}, please."
    )


def _name_signature(head: bytes) -> str:
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
