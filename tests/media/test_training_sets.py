"""The pictures of a training, out of hostile and ordinary zips."""

import io
import zipfile
from pathlib import Path

import pytest

from bot.core.errors import BadFile
from bot.core.limits import MAX_TRAINING_PICTURE_BYTES, MAX_TRAINING_PICTURES, MAX_ZIP_ENTRIES
from bot.media.media import Media
from bot.media.picture_sets import read_zip_pictures
from tests.bench import make_attachment
from tests.fakes.backend import make_png
from tests.media.pictures import SECRET, encode_picture, make_exif
from tests.media.zips import COLORS, make_bomb, make_directory_bomb, make_picture_zip, make_zip, repeat_entry

PICTURE = make_png()


def encrypt(packed: bytes) -> bytes:
    """Return a zip whose entries say that they need a password."""
    marked = bytearray(packed)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = marked.index(signature)
        marked[at + offset] |= 1
    return bytes(marked)


def test_pictures_are_told_by_their_bytes_and_names_count_for_nothing() -> None:
    packed = make_zip({"../../etc/passwd": PICTURE, "folder/": b"", "notes.png": b"a caption", "fox.txt": PICTURE})

    assert list(read_zip_pictures(packed)) == [PICTURE, PICTURE]


@pytest.mark.parametrize(
    ("packed", "refusal"),
    [
        (make_bomb(), "That zip unpacks to more than I read"),
        (make_directory_bomb(12, 19 * 1024 * 1024), "That zip "),
        (make_zip({str(n): b"" for n in range(MAX_ZIP_ENTRIES + 1)}), "That zip has more than 1,000 files."),
        (encrypt(make_zip({"a.png": PICTURE})), "That zip needs a password."),
        (make_zip({"a.png": PICTURE}, zipfile.ZIP_LZMA), "That zip cannot be read"),
        (make_zip({"a.png": PICTURE}, zipfile.ZIP_STORED).replace(PICTURE, PICTURE[:-1] + b"x"), "That zip cannot be"),
        (make_zip({"a.png": PICTURE})[:-30], "That zip cannot be read"),
        (b"PK\x03\x04", "That zip cannot be read"),
    ],
)
def test_a_bad_zip_is_refused_in_one_sentence(packed: bytes, refusal: str) -> None:
    with pytest.raises(BadFile, match=refusal):
        list(read_zip_pictures(packed))


async def test_a_set_is_one_zip_of_clean_small_pictures(tmp_path: Path) -> None:
    media = Media(tmp_path)
    photograph = encode_picture("JPEG", size=(2_000, 1_000), exif=make_exif())
    pictures = make_picture_zip(4)

    taken = await media.load_training_set([make_attachment(photograph), make_attachment(pictures)])

    assert taken.picture_count == 5
    attachment = media.load_attachment(taken.file.sha256)
    assert attachment is not None
    content = await attachment.read()
    assert SECRET not in content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert [entry.filename for entry in archive.infolist()] == [
            "001.jpg",
            *(f"{n:03}.png" for n in range(2, len(COLORS[:4]) + 2)),
        ]
        assert all(entry.file_size <= MAX_TRAINING_PICTURE_BYTES for entry in archive.infolist())
    again = await media.load_training_set([make_attachment(content)])
    assert again.picture_count == 5
    await media.close()


async def test_each_file_of_a_zip_is_decoded_once_and_forty_at_most(tmp_path: Path) -> None:
    """A large picture takes a second: a thousand of them hold up everybody's pictures for a quarter of an hour."""
    media = Media(tmp_path)
    copies = repeat_entry(make_zip({"fox.png": PICTURE}), 300)
    # The same pixels in different files.
    files = {f"{n}.jpg": encode_picture("JPEG", (8, 8), comment=str(n)) for n in range(MAX_TRAINING_PICTURES + 1)}

    taken = await media.load_training_set([make_attachment(copies), make_attachment(make_picture_zip(4))])
    with pytest.raises(BadFile, match="at most 40 pictures"):
        await media.load_training_set([make_attachment(make_zip(files))])

    assert taken.picture_count == 5
    await media.close()
