"""The page's own files: read once, served from memory, and no others."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file with its type and the mark by which browsers know that it has not changed."""

    body: bytes
    mime: str
    etag: str


def read_assets() -> dict[str, Asset]:
    """The files by name; `index.html` is the page itself."""
    return {file.name: _read(file) for file in sorted(_FOLDER.iterdir()) if file.suffix in _TYPES}


def serve_asset(asset: Asset | None, request: web.Request) -> web.Response:
    """The file, or 304 when the browser has it; 404 for a name that is not one of ours."""
    if asset is None:
        raise web.HTTPNotFound(text="There is no such file.")
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache"}  # asked for each time: an update shows at once
    if request.headers.get("If-None-Match") == asset.etag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=asset.body, headers={**headers, "Content-Type": asset.mime})


def _read(file: Path) -> Asset:
    body = file.read_bytes()
    return Asset(body, _TYPES[file.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')
