"""Text files of messages and kept pictures: access, content types, and downloads in place of pages."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bot.core.people import Channel, User
from bot.core.platform import Destination
from bot.core.replies import LivePreview, Picture, Reply, ResultFile, TextFile, Tone
from bot.media.recipes import GivenRecipe, find_given_recipe
from tests.fakes.backend import make_png
from tests.media.pictures import make_png_bomb
from tests.media.recordings import make_wav
from tests.platforms.web.page_bench import HOME, OWNER, PageBench, build_done_reply, build_working_reply
from tests.platforms.web.web_bot import open_web_bot

TABLE = TextFile('März "1".csv', "text/csv", "<script>alert(1)</script>,ü\r\n")


async def test_a_file_is_a_download(page_bench: PageBench) -> None:
    await page_bench.platform.post(
        Destination(OWNER, HOME, "k", "answer.owner.web:1"), Reply(text="Here.", files=(TABLE,))
    )

    [message] = await page_bench.messages()
    [link] = message["files"]
    response = await page_bench.get(link["href"])

    assert link == {"href": "/api/files/answer.owner.web%3A1/0", "download": TABLE.name}
    assert (response.status, await response.text()) == (200, TABLE.text)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''M%C3%A4rz%20%221%22.csv"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response.headers["Cache-Control"] == "no-store"


async def test_an_unknown_file_is_not_found(page_bench: PageBench) -> None:
    await page_bench.platform.post(Destination(OWNER, HOME, "k", "a1"), Reply(text="Here.", files=(TABLE,)))

    asked = ("/api/files/a1/1", "/api/files/a1/x", "/api/files/a1/-1", "/api/files/a1/9999", "/api/files/none/0")

    assert [(await page_bench.get(path)).status for path in asked] == [404] * len(asked)


async def test_a_file_of_another_user_is_not_found(page_bench: PageBench) -> None:
    mia, hers = User("web", "page", "mia", "Mia"), Channel("web", "page", "mia.main")
    await page_bench.platform.post(Destination(mia, hers, "k", "hers"), Reply(text="Here.", files=(TABLE,)))

    assert (await page_bench.get("/api/files/hers/0")).status == 404


async def test_an_unfinished_picture_is_for_its_user_alone_and_is_stored_nowhere(page_bench: PageBench) -> None:
    preview = LivePreview(make_png(), "image/png", 32, 24)
    mia, hers = User("web", "page", "mia", "Mia"), Channel("web", "page", "mia.main")
    mine = await page_bench.post_working()
    foreign = await page_bench.platform.post(Destination(mia, hers, "k", "job-2:0"), build_working_reply())
    for ref in (mine, foreign):
        await page_bench.platform.edit(ref, replace(build_working_reply(), preview=preview))

    [message] = await page_bench.messages()
    shown = await page_bench.get(message["preview"]["src"])
    hidden = await page_bench.get(message["preview"]["src"].replace("job-1", "job-2"))
    await page_bench.platform.edit(mine, build_done_reply("A fox."))
    ended = await page_bench.get(message["preview"]["src"])

    assert (shown.status, await shown.read()) == (200, preview.data)
    assert (shown.content_type, shown.headers["Cache-Control"]) == ("image/png", "no-store")
    assert (hidden.status, ended.status) == (204, 204)
    assert (await page_bench.messages())[0]["preview"] is None


SHA256 = "ab" * 32
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0 jpeg", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x00\x00\x20ftypavif", "image/avif"),
    ],
)
async def test_a_picture_has_the_type_of_its_content(
    page_bench: PageBench, tmp_path: Path, head: bytes, mime: str
) -> None:
    (tmp_path / SHA256).write_bytes(head)

    response = await page_bench.get(f"/media/{SHA256}")

    assert (response.status, await response.read()) == (200, head)
    assert (response.headers["Content-Type"], response.headers["X-Content-Type-Options"]) == (mime, "nosniff")
    assert "immutable" in response.headers["Cache-Control"]
    assert "Content-Disposition" not in response.headers


async def test_a_file_that_is_no_picture_is_a_download(page_bench: PageBench, tmp_path: Path) -> None:
    (tmp_path / SHA256).write_bytes(b"<script>alert(1)</script>")

    headers = (await page_bench.get(f"/media/{SHA256}")).headers

    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


async def test_a_download_keeps_a_name_with_special_characters(page_bench: PageBench, tmp_path: Path) -> None:
    (tmp_path / SHA256).write_bytes(PNG)
    picture = Picture(SHA256, "image/png", 10, 20, "a fox", 'füchse "1"\r\n.png')
    await page_bench.platform.post(Destination(OWNER, HOME, "k", "n"), Reply(pictures=(picture,), tone=Tone.DONE))

    [message] = await page_bench.messages()
    response = await page_bench.get(message["pictures"][0]["download"])

    assert message["pictures"][0]["alt"] == "a fox"
    assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''f%C3%BCchse%20%221%22%0D%0A.png"


async def test_the_page_shows_a_large_picture_in_a_smaller_copy_and_offers_the_whole(tmp_path: Path) -> None:
    picture = make_png_bomb(6_001, 6_001)
    async with open_web_bot(tmp_path) as bot:
        ana = await bot.invite("Ana")
        bot.backend.will(picture=picture)

        [shown] = (await ana.ask("/imagine a very large fox"))["pictures"]

        async with ana.session.get(f"{ana.address}{shown['url']}") as response:
            with Image.open(io.BytesIO(await response.read())) as small:
                assert small.size == (1_501, 1_501)
            assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        async with ana.session.get(f"{ana.address}{shown['download']}") as response:
            assert await response.read() == picture
            assert response.headers["Content-Disposition"].startswith("attachment")
    assert (shown["width"], shown["height"]) == (6_001, 6_001)


async def test_a_player_asks_for_a_part_of_a_sound(page_bench: PageBench, tmp_path: Path) -> None:
    sound = make_wav(1)
    (tmp_path / SHA256).write_bytes(sound)

    part = await page_bench.get(f"/media/{SHA256}", headers={"Range": "bytes=1000-1099"})
    beyond = await page_bench.get(f"/media/{SHA256}", headers={"Range": f"bytes={len(sound)}-"})

    assert (part.status, await part.read()) == (206, sound[1000:1100])
    assert part.headers["Content-Range"] == f"bytes 1000-1099/{len(sound)}"
    assert part.headers["Content-Type"] == "audio/wav"
    assert part.headers["X-Content-Type-Options"] == "nosniff"
    assert beyond.status == 416


async def test_a_message_has_players_and_downloads(page_bench: PageBench) -> None:
    files = (
        ResultFile(SHA256, "audio/wav", "shanty.wav", 9_000, alt="a shanty", duration_seconds=12.4),
        ResultFile("cd" * 32, "image/svg+xml", "logo.svg", 90),
    )
    await page_bench.platform.post(Destination(OWNER, HOME, "k", "a1"), Reply(result_files=files))

    [message] = await page_bench.messages()

    assert [(file["kind"], file["src"]) for file in message["media"]] == [("audio", f"/media/{SHA256}")]
    assert message["media"][0]["download"] == f"/media/{SHA256}?name=shanty.wav"
    assert message["files"] == [{"href": f"/media/{'cd' * 32}?name=logo.svg", "download": "logo.svg"}]


async def test_a_drawing_with_a_script_is_a_download_only(page_bench: PageBench, tmp_path: Path) -> None:
    (tmp_path / SHA256).write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')

    response = await page_bench.get(f"/media/{SHA256}")

    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


async def test_a_shared_file_is_a_download_for_a_stranger(page_bench: PageBench, tmp_path: Path) -> None:
    (tmp_path / SHA256).write_bytes(make_wav(1))

    stranger = {"X-Forwarded-For": "203.0.113.7"}

    private = await page_bench.get(f"/media/{SHA256}", headers=stranger)
    shared = await page_bench.get(f"/shared/{SHA256}?name=shanty.wav", headers=stranger)
    unknown = await page_bench.get(f"/shared/{'ef' * 32}", headers=stranger)

    assert private.status == 401
    assert (shared.status, await shared.read()) == (200, make_wav(1))
    assert shared.headers["Content-Disposition"] == "attachment; filename*=UTF-8''shanty.wav"
    assert unknown.status == 404


async def test_a_download_says_to_its_user_how_the_picture_was_made(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as bot:
        ana, ben = await bot.invite("Ana"), await bot.invite("Ben")
        [shown] = (await ana.ask("/imagine a fox --seed 5"))["pictures"]

        files = []
        for browser, path in ((ana, shown["download"]), (ben, shown["download"]), (ana, shown["url"])):
            async with browser.session.get(f"{browser.address}{path}") as response:
                files.append((response.headers.get("Content-Disposition"), await response.read()))

    name = "attachment; filename*=UTF-8''a-fox.png"
    assert find_given_recipe(files[0][1]) == GivenRecipe("a fox", model="flux-schnell", seed=5)
    assert [disposition for disposition, _ in files] == [name, name, None]
    assert files[1][1] == files[2][1] == make_png()
