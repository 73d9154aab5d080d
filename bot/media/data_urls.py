"""Files that come inside their own address: `data:image/png;base64,…`."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

from bot.core.errors import BadFile
from bot.media.limits import build_too_large_error


def decode_data_url(url: str, max_bytes: int) -> tuple[bytes, str]:
    """The bytes and the MIME type it claims. Raises `BadFile` when it is broken or larger than `max_bytes`."""
    head, comma, body = url[len("data:") :].partition(",")
    if not comma:
        raise BadFile("That data: address is not complete.")
    mime, *parameters = head.split(";")
    is_base64 = "base64" in (parameter.strip().lower() for parameter in parameters)
    # Percent signs and base64 only ever shrink, by a third at least for the latter.
    if len(body) > max_bytes * 4:
        raise build_too_large_error(max_bytes)
    data = unquote_to_bytes(body)
    if is_base64:
        try:
            data = base64.b64decode(b"".join(data.split()), validate=True)
        except binascii.Error as error:
            raise BadFile("That data: address is not complete.") from error
    if len(data) > max_bytes:
        raise build_too_large_error(max_bytes)
    return data, mime.strip().lower() or "text/plain"
