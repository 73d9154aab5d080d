"""The page's assets: small, complete, and without any way to parse markup."""

import re
from pathlib import Path

import pytest

from bot.platforms.web.files import read_assets
from tests.platforms.web.page_bench import PageBench

FILES = sorted((Path(__file__).parents[3] / "bot/platforms/web/static").iterdir())
SCRIPTS = [file for file in FILES if file.suffix == ".js"]
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML"
    r"|\beval\b|new Function|javascript:|srcdoc"
)


def test_the_whole_front_end_is_at_most_88_kb() -> None:
    """64 kB, eighteen for the painter of masks by mouse, touch and keyboard, one for unfinished pictures.

    Three for the form of any published model, two for players of sounds and videos and for files of several kinds.
    """
    assert sum(file.stat().st_size for file in FILES) <= 88_000


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_no_script_reads_markup(file: Path) -> None:
    assert FORBIDDEN.search(file.read_text()) is None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_loads_from_another_site(file: Path) -> None:
    text = file.read_text().replace("http://www.w3.org/2000/svg", "")

    assert re.findall(r"""(?:src|href|url|import|from)\s*[=(]?\s*["']?(?:https?:)?//""", text) == []


def test_every_import_and_every_link_of_the_page_is_served() -> None:
    names = set(read_assets())
    scripts = "".join(file.read_text() for file in SCRIPTS)
    page = "".join(file.read_text() for file in FILES if file.suffix == ".html")

    wanted = set(re.findall(r'from "\./([\w.-]+)"', scripts)) | set(re.findall(r"/static/([\w.-]+)", page + scripts))

    assert wanted | {"index.html", "login.html", "paint.html"} == names


async def test_an_unchanged_asset_is_not_sent_again(page_bench: PageBench) -> None:
    first = await page_bench.get("/static/main.js")
    again = await page_bench.get("/static/main.js", headers={"If-None-Match": first.headers["ETag"]})

    assert (first.headers["Content-Type"], first.headers["Cache-Control"]) == (
        "text/javascript; charset=utf-8",
        "no-cache",
    )
    assert (again.status, await again.read()) == (304, b"")
