"""Files of words over HTTP: always a download, never a page."""

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from bot.core.replies import TextFile
from bot.platforms.web.auth import NO_STORE


def serve_text_file(files: Sequence[TextFile], n: str) -> web.Response:
    """One of a message's files, counted from 0. Raises HTTP 404 where it has none such."""
    if not (n.isascii() and n.isdecimal() and len(n) < 4 and int(n) < len(files)):
        raise web.HTTPNotFound(text="That file is not kept any more.")
    file = files[int(n)]
    named = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    headers = {**NO_STORE, "Content-Disposition": named, "Content-Security-Policy": "default-src 'none'; sandbox"}
    return web.Response(text=file.text, content_type=file.mime, charset="utf-8", headers=headers)


# MERGED Kept pictures over HTTP: named by their content, so a browser never needs to ask twice.

PathOf = Callable[[str], Path | None]
"""Where the kept file with this SHA-256 is; None when it is not kept (any more)."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAGIC = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_HEAD_BYTES = 16


async def serve_picture(sha256: str, name: str, path_of: PathOf) -> web.StreamResponse:
    """The file; with a name it is offered as a download. What is no picture is never shown as anything."""
    path = path_of(sha256) if _SHA256.fullmatch(sha256) else None
    head = await asyncio.to_thread(_read_head, path) if path else None
    if path is None or head is None:
        raise web.HTTPNotFound(text="That picture is not kept any more.")
    mime = _detect_mime(head)
    headers = {
        "Content-Type": mime,
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if name or not mime.startswith("image/"):
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name or sha256, safe='')}"
    return web.FileResponse(path, headers=headers)


def _read_head(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except FileNotFoundError:
        return None


def _detect_mime(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for magic, mime in _MAGIC if head.startswith(magic)), "application/octet-stream")
