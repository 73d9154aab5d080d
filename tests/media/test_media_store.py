"""Kept files: by content, whole, and nowhere else."""

import hashlib
from pathlib import Path

import pytest

from bot.media.media_store import MediaStore
from tests.media.pictures import encode_picture

PICTURE = encode_picture("PNG")
SHA256 = hashlib.sha256(PICTURE).hexdigest()


async def test_a_file_is_stored_under_its_hash(tmp_path: Path) -> None:
    kept = await MediaStore(tmp_path).save(PICTURE, "image/png")

    assert kept.path == tmp_path / "media" / SHA256[:2] / SHA256[2:4] / f"{SHA256}.png"
    assert kept.path.read_bytes() == PICTURE
    assert (kept.sha256, kept.size_bytes, kept.width, kept.height) == (SHA256, len(PICTURE), 60, 40)
    assert [path.name for path in kept.path.parent.iterdir()] == [kept.path.name]


async def test_a_file_saved_twice_is_stored_once(tmp_path: Path) -> None:
    keeper = MediaStore(tmp_path)

    assert await keeper.save(PICTURE, "image/png") == await keeper.save(PICTURE, "image/png")

    assert [file.size_bytes for file in await keeper.list_files()] == [len(PICTURE)]


async def test_a_stored_file_is_found_and_removed(tmp_path: Path) -> None:
    keeper = MediaStore(tmp_path)
    kept = await keeper.save(encode_picture("JPEG"), "image/jpeg")
    assert keeper.find_path(kept.sha256) == kept.path

    assert await keeper.remove(kept.sha256)

    assert keeper.find_path(kept.sha256) is None
    assert not await keeper.remove(kept.sha256)
    assert await keeper.list_files() == []


@pytest.mark.parametrize(
    "address", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "g" * 64, f"../{'a' * 61}"]
)
def test_a_text_that_is_no_hash_finds_no_file(tmp_path: Path, address: str) -> None:
    assert MediaStore(tmp_path).find_path(address) is None


async def test_half_a_file_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        await MediaStore(tmp_path).save(PICTURE, "image/png")

    assert files_under(tmp_path) == []


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
