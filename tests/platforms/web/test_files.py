"""Files of words that come with a message: a link for whom it was posted, and never a page."""

from bot.core.people import Channel, User
from bot.core.platform import Destination
from bot.core.replies import Reply, TextFile
from tests.platforms.web.desk import HOME, OWNER, PageBench

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
