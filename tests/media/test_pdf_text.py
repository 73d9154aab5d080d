"""Text of PDFs: whole pages, what did not fit, locked and scanned files, and files that would eat the machine."""

import io
from pathlib import Path

import pytest
from pypdf import PdfReader, PdfWriter

from bot.core.errors import BadFile
from bot.core.limits import MAX_PDF_CHARACTERS
from bot.dispatch.plain_text import invocation_from_text
from bot.media.media import Media
from tests.bench import Bench, make_attachment
from tests.fakes.samples import ANA, CHANNEL
from tests.media.pdf_files import join_objects, make_pdf, make_stream

PDF = "application/pdf"


def lock(data: bytes, password: str) -> bytes:
    writer, buffer = PdfWriter(PdfReader(io.BytesIO(data))), io.BytesIO()
    writer.encrypt(password, "owner", algorithm="AES-256")
    writer.write(buffer)
    return buffer.getvalue()


async def test_the_words_of_each_page_are_read(tmp_path: Path) -> None:
    found = await Media(tmp_path).read_pdf(make_attachment(make_pdf(["A fox.", "A hare."]), "plan.pdf", PDF))

    assert found.text == "A fox.\n\nA hare."
    assert (found.read_count, found.page_count) == (2, 2)


async def test_a_pdf_locked_for_changes_alone_is_read(tmp_path: Path) -> None:
    found = await Media(tmp_path).read_pdf(make_attachment(lock(make_pdf(["A fox."]), ""), "plan.pdf", PDF))

    assert found.text == "A fox."


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (lock(make_pdf(["A fox."]), "secret"), "plan.pdf is locked with a password."),
        (make_pdf(["", ""]), "plan.pdf has no text: it is a scan"),
        (b"%PDF-1.7", "plan.pdf could not be read as a PDF."),
        (b"PK\x03\x04 no PDF at all", "plan.pdf could not be read as a PDF."),
        (make_pdf(["x"]).replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]"), "plan.pdf"),
    ],
    ids=["locked", "scan", "empty", "zip", "a tree that contains itself"],
)
async def test_a_pdf_without_readable_text_is_refused_in_a_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    with pytest.raises(BadFile) as refusal:
        await Media(tmp_path).read_pdf(make_attachment(data, "plan.pdf", PDF))

    assert str(refusal.value).startswith(sentence)


async def test_a_long_pdf_is_read_from_its_head_and_the_rest_is_told(bench: Bench) -> None:
    pages = ["word " * 500] * 500
    file = make_attachment(make_pdf(pages), "book.pdf", PDF)

    call = await invocation_from_text(bench.app.dispatcher.services, ANA, CHANNEL, "sum it up", "web:1", files=[file])
    await bench.app.dispatcher.handle(call)
    await bench.wait_until_idle()

    message = str(call.options["message"])
    assert message.startswith("sum it up\n\nbook.pdf, pages 1 to 4 of 500:\n```\nword word")
    assert len(message) < MAX_PDF_CHARACTERS + 200
    assert "read of book.pdf, pages 1 to 4 of 500" in bench.last_message.reply.note


async def test_a_pdf_that_unpacks_to_gigabytes_costs_a_bounded_process(tmp_path: Path) -> None:
    packed = make_stream(b"BT (a) Tj ET " * 20_000_000, packed=True)
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents [" + b"4 0 R " * 8 + b"] >>"
    tree = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    bomb = join_objects([b"<< /Type /Catalog /Pages 2 0 R >>", tree, page, packed])

    with pytest.raises(BadFile, match="plan.pdf "):
        await Media(tmp_path).read_pdf(make_attachment(bomb, "plan.pdf", PDF))


async def test_a_page_that_is_too_long_alone_is_told_as_cut(bench: Bench) -> None:
    file = make_attachment(make_pdf(["word " * 4_000, "the end"]), "scroll.pdf", PDF)

    call = await invocation_from_text(bench.app.dispatcher.services, ANA, CHANNEL, "sum it up", "web:1", files=[file])

    assert call.remark == "read of scroll.pdf, the beginning of page 1 of 2"
    assert len(str(call.options["message"])) < MAX_PDF_CHARACTERS + 200
