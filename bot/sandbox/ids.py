"""Ids in Replicate's formats."""

import base64
import hashlib
import secrets


def new_prediction_id() -> str:
    """Return 26 lowercase base32 characters: the id of a prediction."""
    return _new_base32(16)


def new_opaque_token() -> str:
    """Return 52 unguessable lowercase base32 characters, for stream and delivery addresses."""
    return _new_base32(32)


def new_api_token() -> str:
    return "r8_" + base64.b32encode(secrets.token_bytes(23)).decode().rstrip("=").lower()


def new_webhook_secret() -> str:
    """Return a 24-byte key in the format of GET /v1/webhooks/default/secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def derive_version_id(model: str) -> str:
    """Return an invented 64-hex version id for official models: Replicate hides the real ids."""
    return hashlib.sha256(f"sandbox:{model}".encode()).hexdigest()


def _new_base32(size: int) -> str:
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()
