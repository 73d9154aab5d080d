"""Validates every exchange with the sandbox against Replicate's document, in both directions."""

import json
from typing import Any

from aiohttp import web

from tests.specs.replicate import find_operation, validate_request, validate_response


class ExchangeRecorder:
    """Listens to an application before its start. `operations` are the successful operations."""

    def __init__(self, application: web.Application) -> None:
        self.faults: list[str] = []
        self.operations: set[tuple[str, str]] = set()
        application.on_response_prepare.append(self._record)

    async def _record(self, request: web.Request, response: web.StreamResponse) -> None:
        # Replicate serves streams and delivered files from other hosts, outside the document; /sandbox/ is our own.
        if not request.path.startswith("/v1/") or not isinstance(response, web.Response):
            return
        body = response.body if isinstance(response.body, bytes) else b""
        self.faults += validate_response(
            request.method, request.path, response.status, content_type=response.content_type, body=body
        )
        if response.status < 400:
            await self._record_accepted(request)

    async def _record_accepted(self, request: web.Request) -> None:
        """Record a violation if the sandbox accepts a request that the document forbids."""
        body = b"" if request.content_type.startswith("multipart/") else await request.read()
        self.faults += validate_request(
            request.method, request.path, query=request.query, headers=request.headers, body=body
        )
        if operation := find_operation(request.method, request.path):
            self.operations.add((operation.method, operation.template))


def check_response(method: str, path: str, status: int, body: Any) -> None:
    """Raise AssertionError if `body` violates the document's response schema. `path` may be a template."""
    content = json.dumps(body).encode()
    assert validate_response(method, path, status, content_type="application/json", body=content) == []
