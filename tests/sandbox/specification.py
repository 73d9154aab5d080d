"""Checks the body of a reply against Replicate's own OpenAPI document."""

import json
from typing import Any

from tests.specs.replicate import validate_response


def check_response(method: str, path: str, status: int, body: Any) -> None:
    """Fail when `body` is not what the document says of this operation's reply. `path` may be its template."""
    content = json.dumps(body).encode()
    assert validate_response(method, path, status, content_type="application/json", body=content) == []
