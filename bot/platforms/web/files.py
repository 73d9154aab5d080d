"""Files of words over HTTP: always a download, never a page."""

from collections.abc import Sequence
from urllib.parse import quote

from aiohttp import web

from bot.core.replies import TextFile
from bot.platforms.web.door import NO_STORE


def serve_text_file(files: Sequence[TextFile], n: str) -> web.Response:
    """One of a message's files, counted from 0. Raises HTTP 404 where it has none such."""
    if not (n.isascii() and n.isdecimal() and len(n) < 4 and int(n) < len(files)):
        raise web.HTTPNotFound(text="That file is not kept any more.")
    file = files[int(n)]
    named = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    headers = {**NO_STORE, "Content-Disposition": named, "Content-Security-Policy": "default-src 'none'; sandbox"}
    return web.Response(text=file.text, content_type=file.mime, charset="utf-8", headers=headers)
