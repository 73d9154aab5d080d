"""Types of files by their first bytes, whatever a name says."""

import io
import zipfile

import pytest

from bot.core.file_types import FILE_TYPES, HEAD_BYTES, MediaKind, detect_file_type
from tests.media.pictures import encode_picture
from tests.media.recordings import RECORDINGS, make_mp4, make_webm


def make_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a")
    return buffer.getvalue()


SAMPLES = {
    "image/png": encode_picture("PNG"),
    "image/jpeg": encode_picture("JPEG"),
    "image/webp": encode_picture("WEBP"),
    "image/gif": encode_picture("GIF"),
    "image/avif": encode_picture("AVIF"),
    **{mime: make() for mime, make in RECORDINGS.items()},
    "audio/mp4": make_mp4(brand=b"M4A ", has_video=False),
    "audio/webm": make_webm(has_video=False),
    "video/quicktime": make_mp4(brand=b"qt  "),
    "model/gltf-binary": b"glTF\x02\x00\x00\x00" + bytes(50),
    "image/svg+xml": b'<?xml version="1.0"?>\n<!-- a fox -->\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "application/zip": make_zip(),
    "application/x-subrip": b"\xef\xbb\xbf1\r\n00:00:00,000 --> 00:00:01,500\r\nHello\r\n",
}


# Of a WebM without pictures only the tracks tell the kind: see `bot.media.recordings`.
@pytest.mark.parametrize("mime", FILE_TYPES.keys() - {"audio/webm"})
def test_each_type_is_told_by_its_bytes(mime: str) -> None:
    found = detect_file_type(SAMPLES[mime][:HEAD_BYTES])

    assert found is not None
    assert found.mime == mime


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xff", b"%PDF-1.7\n", b"<html><svg></svg></html>", b"a fox", b"\xff\xd8", b"\xff\xff\xff\xff"),
        *(
            b"\x00\x00\x00\x18ftypheic" + bytes(20),
            b"\x1a\x45\xdf\xa3\x42\x82\x88matroska",
            b"RIFF\x00\x00\x00\x00AVI ",
        ),
    ],
)
def test_other_files_have_no_type(data: bytes) -> None:
    assert detect_file_type(data) is None


def test_a_drawing_of_vectors_is_no_picture_to_show() -> None:
    assert FILE_TYPES["image/svg+xml"].kind is MediaKind.FILE
