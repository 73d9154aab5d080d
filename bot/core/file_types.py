"""Types of files, told by their first bytes: file names and claimed types are never trusted."""

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
