"""The signature of a webhook (Svix, standard-webhooks): replicate.com/docs/topics/webhooks."""

import base64
import binascii
import hashlib
import hmac

TOLERANCE_SECONDS = 300.0
"""How far a webhook's time may be from ours, either way."""

_MAX_TIMESTAMP_DIGITS = 15  # digits


def is_signature_valid(body: bytes, *, webhook_id: str, timestamp: str, signatures: str, secret: str) -> bool:
    """Whether one of the space-separated `v1,<base64>` signatures is ours. `body` is raw, as it travelled."""
    key = _decode_key(secret)
    if key is None:
        return False
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    given = [entry.removeprefix("v1,").encode() for entry in signatures.split() if entry.startswith("v1,")]
    return any(hmac.compare_digest(expected, signature) for signature in given)


def is_recent(timestamp: str, now: float) -> bool:
    """Whether `timestamp`, in Unix seconds, is near enough to `now`."""
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MAX_TIMESTAMP_DIGITS
    return is_number and abs(now - int(timestamp)) <= TOLERANCE_SECONDS


def _decode_key(secret: str) -> bytes | None:
    # Not split at "_": the base64 of a key may hold one.
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True) or None
    except (binascii.Error, ValueError):
        return None
