"""Files over HTTP: the Files API, and output files at unguessable addresses.

Uploads of up to 100 MB are usable as a model's input for 24 hours. Output files are like those of replicate.delivery:
no token, gone after an hour.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from bot.sandbox.api.deployments import ACCOUNT_NAME
from bot.sandbox.api.requests import paginate
from bot.sandbox.clock import SandboxClock, format_timestamp
from bot.sandbox.ids import new_opaque_token
from bot.sandbox.input_files import FileStore, ServerAddress, StoredFile
from bot.sandbox.middlewares import allow_without_token
from bot.sandbox.model import OutputFile
from bot.sandbox.problems import InvalidField, Problem, make_invalid_input, make_not_found, make_too_large

_MAX_BYTES = 100_000_000


@dataclass
class _Upload:
    """The joined parts of one multipart body."""

    key: str = ""
    name: str = ""
    content_type: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    md5: str = ""


class FileApiRoutes:
    def __init__(self, clock: SandboxClock, store: FileStore, address: ServerAddress) -> None:
        self._clock = clock
        self._store = store
        self._address = address
        self._uploads: dict[str, _Upload] = {}
        self._signing_key = new_opaque_token().encode()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/files", self._create),
            web.get("/v1/files", self._list),
            web.get("/v1/files/{id}", self._get),
            web.get("/v1/files/{id}/download", self._download),
            web.delete("/v1/files/{id}", self._delete),
        ]

    def download_url(self, file_id: str, expiry: int) -> str:
        """Return a signed address of the file, valid until `expiry` (Unix seconds)."""
        query = f"owner={ACCOUNT_NAME}&expiry={expiry}&signature={self._sign(file_id, ACCOUNT_NAME, str(expiry))}"
        return f"{self._address.url}/v1/files/{file_id}/download?{query}"

    async def _create(self, request: web.Request) -> web.Response:
        if not request.content_type.startswith("multipart/"):
            raise Problem(415, "Unsupported media type: multipart/form-data is expected")
        upload = await self._read(request)
        item = self._find(upload.key)
        return web.json_response(self._build_body(upload.key, item), status=201)

    async def _read(self, request: web.Request) -> _Upload:
        upload = _Upload()
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                continue
            if part.name == "content":
                await self._read_content(part, upload)
            elif part.name == "metadata":
                upload.metadata = _parse_metadata(await part.text())
            elif part.name in ("filename", "type"):
                setattr(upload, "name" if part.name == "filename" else "content_type", await part.text())
        if not upload.key:
            raise make_invalid_input([InvalidField("required", "", "content is required")])
        self._store_upload(upload)
        return upload

    async def _read_content(self, part: BodyPartReader, upload: _Upload) -> None:
        path, size = self._store.new_path(), 0
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        with path.open("wb") as file:
            while chunk := await part.read_chunk(1 << 16):
                size += len(chunk)
                if size > _MAX_BYTES:
                    path.unlink()
                    raise make_too_large()
                file.write(chunk)
                sha256.update(chunk)
                md5.update(chunk)
        upload.key, upload.sha256, upload.md5 = path.name, sha256.hexdigest(), md5.hexdigest()
        upload.name = upload.name or part.filename or "file"
        upload.content_type = upload.content_type or part.headers.get("Content-Type", "application/octet-stream")

    def _store_upload(self, upload: _Upload) -> None:
        self._store.put_path(self._store.new_path().with_name(upload.key), upload.name, upload.content_type)
        self._uploads = {key: kept for key, kept in self._uploads.items() if self._store.get(key)}
        self._uploads[upload.key] = upload

    async def _list(self, request: web.Request) -> web.Response:
        files = self._store.list_newest_first()
        return paginate(request, self._address.url, files, lambda file: file[0], lambda file: self._build_body(*file))

    async def _get(self, request: web.Request) -> web.Response:
        file_id = request.match_info["id"]
        return web.json_response(self._build_body(file_id, self._find(file_id)))

    async def _delete(self, request: web.Request) -> web.Response:
        if not self._store.remove(request.match_info["id"]):
            raise make_not_found("File not found")
        return web.Response(status=204)

    @allow_without_token
    async def _download(self, request: web.Request) -> web.StreamResponse:
        file_id, query = request.match_info["id"], request.query
        expected = self._sign(file_id, query.get("owner", ""), query.get("expiry", ""))
        is_signed = hmac.compare_digest(expected.encode(), query.get("signature", "").encode())
        if not is_signed or int(query["expiry"]) < self._clock.now().timestamp():
            raise make_not_found("File not found")
        item = self._find(file_id)
        return web.FileResponse(item.path, headers={"Content-Type": item.content_type})

    def _find(self, file_id: str) -> StoredFile:
        item = self._store.get(file_id)
        if item is None:
            raise make_not_found("File not found")
        return item

    def _sign(self, file_id: str, owner: str, expiry: str) -> str:
        digest = hmac.new(self._signing_key, f"{owner} {file_id} {expiry}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode()

    def _build_body(self, file_id: str, item: StoredFile) -> dict[str, Any]:
        upload = self._uploads[file_id]
        return {
            "id": file_id,
            "name": item.name,
            "content_type": item.content_type,
            "size": item.size_bytes,
            "etag": upload.md5,
            "checksums": {"sha256": upload.sha256, "md5": upload.md5},
            "metadata": upload.metadata,
            "created_at": format_timestamp(item.created_at),
            "expires_at": format_timestamp(item.expires_at),
            "urls": {"get": f"{self._address.url}/v1/files/{file_id}"},
        }


def _parse_metadata(text: str) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except ValueError as error:
        raise make_invalid_input([InvalidField("invalid_type", "metadata", "metadata must be valid JSON")]) from error
    return metadata if isinstance(metadata, dict) else {}


class OutputFiles:
    def __init__(self, store: FileStore, address: ServerAddress) -> None:
        self._store = store
        self._address = address

    def deliver(self, file: OutputFile, name: str) -> str:
        """Store an output; return the address. `name` has no extension."""
        name = f"{name}.{file.extension}"
        key = self._store.put(file.content, name, file.content_type)
        return f"{self._address.url}/pbxt/{key}/{name}"

    def withdraw(self, url: str) -> None:
        """Expire an output now, as the hour would."""
        self._store.remove(url.split("/")[-2])

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/pbxt/{key}/{name}", self._get)]

    @allow_without_token
    async def _get(self, request: web.Request) -> web.StreamResponse:
        item = self._store.get(request.match_info["key"])
        if item is None or item.name != request.match_info["name"]:
            raise make_not_found()
        return web.FileResponse(item.path, headers={"Content-Type": item.content_type})
