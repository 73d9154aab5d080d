"""Checks a reply against Replicate's own OpenAPI document."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

_DOCUMENT = Path(__file__).parents[1] / "specs" / "replicate-openapi.json"


def check_reply(method: str, path: str, status: int, body: Any) -> None:
    """Raise jsonschema.ValidationError when `body` is not what the document says of this operation's reply."""
    document = _document()
    reply = document["paths"][path][method]["responses"][str(status)]
    (content,) = reply["content"].values()
    validator = jsonschema.Draft202012Validator({**content["schema"], "components": document["components"]})
    validator.validate(body)


@cache
def _document() -> dict[str, Any]:
    document = json.loads(_DOCUMENT.read_text())
    return _as_meant(document)  # type: ignore[no-any-return] # plain JSON data


def _as_meant(node: Any) -> Any:
    """`nullable` as JSON Schema says it, and its overlapping `oneOf` (a version is a string or "hidden") as anyOf."""
    if isinstance(node, list):
        return [_as_meant(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    result = {"anyOf" if name == "oneOf" else name: _as_meant(value) for name, value in node.items()}
    if result.get("nullable") is True and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    return result
