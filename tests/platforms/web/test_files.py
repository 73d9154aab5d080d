"""Files of words that come with a message: a link for whom it was posted, and never a page."""

from pathlib import Path

import pytest

from bot.core.people import Channel, User
from bot.core.platform import Destination
from bot.core.replies import Picture, Reply, TextFile, Tone
from tests.platforms.web.page_bench import HOME, OWNER, PageBench

TABLE = TextFile('März "1".csv', "text/csv", "<script>alert(1)</script>,ü\r\n")


async def test_a_file_is_a_download(desk: PageBench) -> None:
    await desk.platform.post(Destination(OWNER, HOME, "k", "answer.owner.web:1"), Reply(text="Here.", files=(TABLE,)))

    [message] = await desk.messages()
    [link] = message["files"]
    response = await desk.get(link["href"])

    assert link == {"href": "/api/files/answer.owner.web%3A1/0", "download": TABLE.name}
    assert (response.status, await response.text()) == (200, TABLE.text)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''M%C3%A4rz%20%221%22.csv"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response.headers["Cache-Control"] == "no-store"


async def test_what_is_not_there_is_not_found(desk: PageBench) -> None:
    await desk.platform.post(Destination(OWNER, HOME, "k", "a1"), Reply(text="Here.", files=(TABLE,)))

    asked = ("/api/files/a1/1", "/api/files/a1/x", "/api/files/a1/-1", "/api/files/a1/9999", "/api/files/none/0")

    assert [(await desk.get(path)).status for path in asked] == [404] * len(asked)


async def test_somebody_elses_file_is_not_found(desk: PageBench) -> None:
    mia, hers = User("web", "page", "mia", "Mia"), Channel("web", "page", "mia.main")
    await desk.platform.post(Destination(mia, hers, "k", "hers"), Reply(text="Here.", files=(TABLE,)))

    assert (await desk.get("/api/files/hers/0")).status == 404


# MERGED Kept pictures are served as pictures, and nothing else is.

SHA256 = "ab" * 32
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0 jpeg", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
async def test_a_picture_has_the_type_of_its_content(desk: PageBench, tmp_path: Path, head: bytes, mime: str) -> None:
    (tmp_path / SHA256).write_bytes(head)

    response = await desk.get(f"/media/{SHA256}")

    assert (response.status, await response.read()) == (200, head)
    assert (response.headers["Content-Type"], response.headers["X-Content-Type-Options"]) == (mime, "nosniff")
    assert "immutable" in response.headers["Cache-Control"]
    assert "Content-Disposition" not in response.headers


async def test_what_is_no_picture_is_only_ever_a_download(desk: PageBench, tmp_path: Path) -> None:
    (tmp_path / SHA256).write_bytes(b"<script>alert(1)</script>")

    headers = (await desk.get(f"/media/{SHA256}")).headers

    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


async def test_a_download_has_its_name_whatever_is_in_it(desk: PageBench, tmp_path: Path) -> None:
    (tmp_path / SHA256).write_bytes(PNG)
    picture = Picture(SHA256, "image/png", 10, 20, "a fox", 'füchse "1"\r\n.png')
    await desk.platform.post(Destination(OWNER, HOME, "k", "n"), Reply(pictures=(picture,), tone=Tone.DONE))

    [message] = await desk.messages()
    response = await desk.get(message["pictures"][0]["download"])

    assert message["pictures"][0]["alt"] == "a fox"
    assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''f%C3%BCchse%20%221%22%0D%0A.png"
