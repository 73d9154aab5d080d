"""The JSON body of a request, as an object whose known keys have been checked."""

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from bot.sandbox.fields import InputField, check_input
from bot.sandbox.problems import InvalidField, Problem, make_invalid_input


async def read_json_object(request: web.Request) -> dict[str, Any]:
    """Raises Problem 400 for bad JSON, 422 for anything but an object."""
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise Problem(400, f"JSON parse error - {error}") from error
    if not isinstance(body, dict):
        raise make_invalid_input([InvalidField("invalid_type", "", "Invalid type. Expected: object, given: another")])
    return body


async def read_checked_object(request: web.Request, fields: Sequence[InputField]) -> dict[str, Any]:
    """Its known keys. Raises 422 with everything that is wrong."""
    body = await read_json_object(request)
    if wrong := check_input(fields, body, where=""):
        raise make_invalid_input(wrong)
    return {field.name: body[field.name] for field in fields if field.name in body}
