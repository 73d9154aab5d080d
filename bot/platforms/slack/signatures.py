"""Checks the signature of Slack's HTTP requests over the raw bytes, before a parser sees a byte of the body.

docs.slack.dev/authentication/verifying-requests-from-slack. slack-bolt parses the body first, and its own check raises
for a timestamp that is no number and for a signature beyond ASCII.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping

TOLERANCE_SECONDS = 300.0
"""Largest difference between a request's time and ours, in either direction; Slack recommends five minutes."""

TIMESTAMP, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"

_UNIX_SECONDS = re.compile(r"[0-9]{1,12}")
_V0_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


def has_signature(headers: Mapping[str, str], now: float) -> bool:
    """Return whether the headers hold a recent time and the shape of a signature: without both, no body is read."""
    timestamp, signature = headers.get(TIMESTAMP, ""), headers.get(SIGNATURE, "")
    if not _UNIX_SECONDS.fullmatch(timestamp) or not _V0_SIGNATURE.fullmatch(signature):
        return False
    return abs(now - int(timestamp)) <= TOLERANCE_SECONDS


def is_signature_valid(body: bytes, headers: Mapping[str, str], secret: str, now: float) -> bool:
    """Return whether the raw body of a request is signed with `secret`, within the tolerance of `now`."""
    if not has_signature(headers, now):
        return False
    signed = b"v0:" + headers[TIMESTAMP].encode() + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers[SIGNATURE])
