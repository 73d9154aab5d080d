"""Small PDFs for tests, written by hand."""

import zlib
from collections.abc import Sequence


def make_pdf(pages: Sequence[str]) -> bytes:
    """Return a PDF with a line of text on each page; an empty line makes a page without text."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, text in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode() if text else b""
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * n} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(make_stream(content))
    return join_objects(objects)


def make_stream(content: bytes, *, packed: bool = False) -> bytes:
    data = zlib.compress(content, 9) if packed else content
    coding = b" /Filter /FlateDecode" if packed else b""
    return b"<< /Length %d%s >>\nstream\n%s\nendstream" % (len(data), coding, data)


def join_objects(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Return a file of numbered objects with the table of their places; the first is the catalogue."""
    body, places = b"%PDF-1.7\n", []
    for n, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (n, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return b"%sxref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF" % (
        body,
        size,
        table,
        size,
        trailer,
        len(body),
    )
