"""Reads the text of a person's PDF in a process of its own, with bounds of time and memory.

A PDF is a program for a stack machine with compressed parts: a small file may ask for gigabytes, or for hours. The
process is `python -m bot.media.pdf_text` with the file on standard input and JSON on standard output.
"""

import asyncio
import contextlib
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bot
from bot.core.errors import BadFile
from bot.core.limits import MAX_PDF_CHARACTERS, MAX_PDF_CPU_SECONDS, MAX_PDF_MEMORY_BYTES, MAX_PDF_PAGES
from bot.core.text import mend_text

_START_SECONDS = 20.0
"""What a busy machine may take beside the time of the processor."""
_LOCKED, _BROKEN = "locked", "broken"


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text of the first `read_count` of `page_count` pages."""

    text: str
    read_count: int
    page_count: int
    is_page_cut: bool = False
    """Whether the first page alone is too long, and `text` its beginning."""

    @property
    def left_out(self) -> str:
        """What `text` holds of a longer PDF; empty for a whole one."""
        if self.is_page_cut:
            return f"the beginning of page 1 of {self.page_count}"
        return "" if self.read_count == self.page_count else f"pages 1 to {self.read_count} of {self.page_count}"


async def read_pdf(data: bytes, name: str) -> PdfText:
    """Return the text of a PDF: whole pages from the first on, as many as fit. Raise `BadFile` if there is none."""
    result = await _run_reader(data)
    if result is None or result["error"] == _BROKEN:
        raise BadFile(f"{name} could not be read as a PDF. Save it anew, or send its text.")
    if result["error"] == _LOCKED:
        raise BadFile(f"{name} is locked with a password. Send a copy without the password.")
    pages = [mend_text(page) for page in result["pages"]]
    if not any(page.strip() for page in pages):
        raise BadFile(f"{name} has no text: it is a scan or pictures alone. Send the pages as pictures.")
    kept: list[str] = []
    for page in pages:
        if kept and sum(map(len, kept)) + len(page) > MAX_PDF_CHARACTERS:
            break
        kept.append(page)
    is_cut = len(kept[0]) > MAX_PDF_CHARACTERS
    text = "\n\n".join(kept)[:MAX_PDF_CHARACTERS] if is_cut else "\n\n".join(kept)
    return PdfText(text.strip(), len(kept), int(result["count"]), is_cut)


async def _run_reader(data: bytes) -> dict[str, Any] | None:
    """Return the JSON of the process, None if the process broke or ran out of time or memory."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # The keys of the bot's services stay in this process.
        env={"PYTHONPATH": str(Path(bot.__file__).parents[1]), "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")},
    )
    try:
        async with asyncio.timeout(MAX_PDF_CPU_SECONDS + _START_SECONDS):
            output, _ = await process.communicate(data)
        return json.loads(output) if process.returncode == 0 else None
    except (TimeoutError, ValueError):
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _extract(data: bytes) -> dict[str, Any]:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    found: dict[str, Any] = {"error": "", "count": 0, "pages": []}
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            return {**found, "error": _LOCKED}
        found["count"] = len(reader.pages)
        length = 0
        for page in reader.pages[:MAX_PDF_PAGES]:
            text = page.extract_text()[: MAX_PDF_CHARACTERS + 1]
            found["pages"].append(text)
            length += len(text)
            if length > MAX_PDF_CHARACTERS:
                break
    except (PyPdfError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, MemoryError):
        # pypdf meets broken files with whatever error the broken part leads to.
        return found if found["pages"] else {**found, "error": _BROKEN}
    return found


def _limit_process() -> None:
    with contextlib.suppress(ImportError):  # Windows has no such limits; the time limit holds there too
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_PDF_MEMORY_BYTES, MAX_PDF_MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (MAX_PDF_CPU_SECONDS, MAX_PDF_CPU_SECONDS))
        os.nice(10)


if __name__ == "__main__":
    _limit_process()
    sys.stdout.write(json.dumps(_extract(sys.stdin.buffer.read())))
