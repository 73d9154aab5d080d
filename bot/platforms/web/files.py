"""Files over HTTP: the page's own assets, kept pictures, sounds, videos and downloads, and text files of messages."""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from bot.core.file_types import HEAD_BYTES, FileType, MediaKind, detect_file_type
from bot.core.limits import PICTURE_SECONDS
from bot.core.replies import LivePreview, Picture, TextFile
from bot.media.media import FindPath, MakePreview
from bot.media.media_store import get_mime
from bot.media.recipes import load_with_recipe
from bot.platforms.web.auth import NO_STORE

_STATIC_FOLDER = Path(__file__).parent / "static"
_STATIC_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# A file of a message comes from a model or a person: no script in it may run on the page's origin.
_SANDBOX_POLICY = "default-src 'none'; sandbox"
_FOREVER = "private, max-age=31536000, immutable"  # the name is the content's hash
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset of the page in memory."""

    body: bytes
    mime: str
    etag: str


@cache
def read_assets() -> dict[str, Asset]:
    """Return the page's assets by file name, read once; `index.html` is the page itself. Callers change nothing."""
    return {file.name: _read_asset(file) for file in sorted(_STATIC_FOLDER.iterdir()) if file.suffix in _STATIC_TYPES}


def serve_asset(asset: Asset | None, request: web.Request) -> web.Response:
    """Return the asset, or 304 if the browser has the same version. Raise HTTP 404 without an asset."""
    if asset is None:
        raise web.HTTPNotFound(text="There is no such file.")
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache"}  # revalidated each time: an update shows at once
    if request.headers.get("If-None-Match") == asset.etag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=asset.body, headers={**headers, "Content-Type": asset.mime})


class PictureResponse(web.FileResponse):
    """A kept file, sent within `PICTURE_SECONDS`; a player asks for ranges of it."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        try:
            async with asyncio.timeout(PICTURE_SECONDS):
                return await super().prepare(request)
        except TimeoutError as error:
            raise ConnectionResetError("the reader of a file is too slow") from error


async def serve_picture(sha256: str, name: str, find_path: FindPath) -> web.StreamResponse:
    """Return a kept picture, with a `name` as a download. Raise HTTP 404 if the picture is not kept."""
    path = find_path(sha256) if _SHA256.fullmatch(sha256) else None
    head = await asyncio.to_thread(_read_head, path) if path else None
    if path is None or head is None:
        raise web.HTTPNotFound(text="That file is not kept any more.")
    file_type = detect_file_type(head)
    mime = _choose_mime(path, file_type)
    headers = {
        "Content-Type": mime,
        "Cache-Control": _FOREVER,
        "Content-Security-Policy": _SANDBOX_POLICY,
    }
    # Only pictures, sounds and videos by their own bytes are shown in place; any other content is a download.
    if name or mime == "application/octet-stream":
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name or sha256, safe='')}"
    return PictureResponse(path, headers=headers)


async def serve_download(picture: Picture, find_path: FindPath) -> web.Response:
    """Return a kept picture as a download with its recipe. Raise HTTP 404 if the picture is not kept."""
    path = find_path(picture.sha256)
    try:
        body = await asyncio.to_thread(load_with_recipe, path, picture.recipe) if path else None
    except FileNotFoundError:  # retention may delete the file between the look-up and here
        body = None
    if body is None:
        raise web.HTTPNotFound(text="That file is not kept any more.")
    disposition = f"attachment; filename*=UTF-8''{quote(picture.name, safe='')}"
    headers = {**NO_STORE, "Content-Disposition": disposition, "Content-Security-Policy": _SANDBOX_POLICY}
    return web.Response(body=body, content_type=picture.mime, headers=headers)


def _choose_mime(path: Path, file_type: FileType | None) -> str:
    """Return the type for a browser, by the file's first bytes; of a container of sound alone, the sound's type."""
    if file_type is None or file_type.kind is MediaKind.FILE:
        return "application/octet-stream"
    kept = get_mime(path)
    is_same_container = kept.partition("/")[2] == file_type.mime.partition("/")[2]
    return kept if is_same_container else file_type.mime


async def serve_preview(sha256: str, find_path: FindPath, make_preview: MakePreview) -> web.StreamResponse:
    """Return a smaller copy of a large picture, or the picture itself where none can be made."""
    preview = await make_preview(sha256)
    if preview is None:
        return await serve_picture(sha256, "", find_path)
    headers = {"Cache-Control": _FOREVER, "Content-Security-Policy": _SANDBOX_POLICY}
    return web.Response(body=preview.data, content_type=preview.facts.mime, headers=headers)


def serve_live_preview(preview: LivePreview | None) -> web.Response:
    """Return an unfinished picture; nothing after the end of its run, which is no error."""
    if preview is None:
        return web.Response(status=204, headers=NO_STORE)
    headers = {**NO_STORE, "Content-Security-Policy": _SANDBOX_POLICY}
    return web.Response(body=preview.data, content_type=preview.mime, headers=headers)


def serve_text_file(files: Sequence[TextFile], n: str) -> web.Response:
    """Return the `n`-th file of a message as a download, counted from 0. Raise HTTP 404 if the file is not kept."""
    file = files[int(n)] if n.isascii() and n.isdecimal() and len(n) < 4 and int(n) < len(files) else None
    if file is None or not file.text:  # the contents of older files are deleted
        raise web.HTTPNotFound(text="That file is not kept any more.")
    disposition = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    headers = {**NO_STORE, "Content-Disposition": disposition, "Content-Security-Policy": _SANDBOX_POLICY}
    return web.Response(text=file.text, content_type=file.mime, charset="utf-8", headers=headers)


def _read_asset(file: Path) -> Asset:
    body = file.read_bytes()
    return Asset(body, _STATIC_TYPES[file.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _read_head(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except FileNotFoundError:  # retention may delete the file between the look-up and here
        return None
