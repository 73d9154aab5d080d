"""Computes the signatures of webhooks, in and out, by github.com/standard-webhooks/standard-webhooks."""

import base64
import binascii
import hashlib
import hmac

KEY_PREFIX = "whsec_"


def compute_signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    """Return the entry `v1,<base64>` of the header `webhook-signature`. `timestamp` is in Unix seconds."""
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def decode_secret(secret: str) -> bytes | None:
    """Return the key of a secret in base64, with or without `whsec_`; None for another text."""
    # Replicate's example splits at "_", which breaks if the base64 of a key contains one.
    try:
        return base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True) or None
    except (binascii.Error, ValueError):
        return None
