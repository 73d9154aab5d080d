"""The Files API: uploads of up to 100 MB, usable as a model's input for 24 hours."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from bot.sandbox.api.pagination import paginate
from bot.sandbox.clock import SandboxClock, format_timestamp
from bot.sandbox.file_store import FileStore, StoredFile
from bot.sandbox.ids import new_opaque_token
from bot.sandbox.middlewares import allow_without_token
from bot.sandbox.problems import InvalidField, Problem, make_invalid_input, make_not_found, make_too_large

_MAX_BYTES = 100_000_000
_OWNER = "sandbox"


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
    def __init__(self, clock: SandboxClock, shelf: FileStore) -> None:
        self.base_url = ""
        self._clock = clock
        self._shelf = shelf
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
        query = f"owner={_OWNER}&expiry={expiry}&signature={self._signature(file_id, _OWNER, str(expiry))}"
        return f"{self.base_url}/v1/files/{file_id}/download?{query}"

    async def _create(self, request: web.Request) -> web.Response:
        if not request.content_type.startswith("multipart/"):
            raise Problem(415, "Unsupported media type: multipart/form-data is expected")
        upload = await self._read(request)
        item = self._find(upload.key)
        return web.json_response(self._body(upload.key, item), status=201)

    async def _read(self, request: web.Request) -> _Upload:
        upload = _Upload()
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                continue
            if part.name == "content":
                await self._read_content(part, upload)
            elif part.name == "metadata":
                upload.metadata = _metadata(await part.text())
            elif part.name in ("filename", "type"):
                setattr(upload, "name" if part.name == "filename" else "content_type", await part.text())
        if not upload.key:
            raise make_invalid_input([InvalidField("required", "", "content is required")])
        self._keep(upload)
        return upload

    async def _read_content(self, part: BodyPartReader, upload: _Upload) -> None:
        path, size = self._shelf.new_path(), 0
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

    def _keep(self, upload: _Upload) -> None:
        self._shelf.put_path(self._shelf.new_path().with_name(upload.key), upload.name, upload.content_type)
        self._uploads = {key: kept for key, kept in self._uploads.items() if self._shelf.get(key)}
        self._uploads[upload.key] = upload

    async def _list(self, request: web.Request) -> web.Response:
        files = self._shelf.list_newest_first()
        return paginate(request, self.base_url, files, lambda file: file[0], lambda file: self._body(*file))

    async def _get(self, request: web.Request) -> web.Response:
        file_id = request.match_info["id"]
        return web.json_response(self._body(file_id, self._find(file_id)))

    async def _delete(self, request: web.Request) -> web.Response:
        if not self._shelf.remove(request.match_info["id"]):
            raise make_not_found("File not found")
        return web.Response(status=204)

    @allow_without_token
    async def _download(self, request: web.Request) -> web.StreamResponse:
        file_id, query = request.match_info["id"], request.query
        expected = self._signature(file_id, query.get("owner", ""), query.get("expiry", ""))
        is_signed = hmac.compare_digest(expected.encode(), query.get("signature", "").encode())
        if not is_signed or int(query["expiry"]) < self._clock.now().timestamp():
            raise make_not_found("File not found")
        item = self._find(file_id)
        return web.FileResponse(item.path, headers={"Content-Type": item.content_type})

    def _find(self, file_id: str) -> StoredFile:
        item = self._shelf.get(file_id)
        if item is None:
            raise make_not_found("File not found")
        return item

    def _signature(self, file_id: str, owner: str, expiry: str) -> str:
        digest = hmac.new(self._signing_key, f"{owner} {file_id} {expiry}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode()

    def _body(self, file_id: str, item: StoredFile) -> dict[str, Any]:
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
            "urls": {"get": f"{self.base_url}/v1/files/{file_id}"},
        }


def _metadata(text: str) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except ValueError as error:
        raise make_invalid_input([InvalidField("invalid_type", "metadata", "metadata must be valid JSON")]) from error
    return metadata if isinstance(metadata, dict) else {}
