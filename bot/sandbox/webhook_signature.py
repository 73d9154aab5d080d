"""The signature of webhooks (Svix, standard-webhooks), as replicate.com/docs/topics/webhooks tells it."""

import base64
import hashlib
import hmac


def compute_signature(secret: str, webhook_id: str, unix_seconds: int, body: bytes) -> str:
    """One `v1,…` entry of the webhook-signature header. `secret` begins with `whsec_`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{webhook_id}.{unix_seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def create_signed_headers(secret: str, webhook_id: str, unix_seconds: int, body: bytes) -> dict[str, str]:
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(unix_seconds),
        "webhook-signature": compute_signature(secret, webhook_id, unix_seconds, body),
        "content-type": "application/json",
    }
