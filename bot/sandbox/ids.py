"""Ids in the forms that Replicate uses."""

import base64
import hashlib
import secrets


def new_prediction_id() -> str:
    """26 lowercase base32 characters."""
    return _base32(16)


def new_opaque_token() -> str:
    """52 lowercase base32 characters that nobody can guess: stream and delivery addresses."""
    return _base32(32)


def new_api_token() -> str:
    return "r8_" + base64.b32encode(secrets.token_bytes(23)).decode().rstrip("=").lower()


def new_webhook_secret() -> str:
    """A 24-byte key in the form of GET /v1/webhooks/default/secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def derive_version_id(model: str) -> str:
    """A 64-hex id of the sandbox's own, for official models, whose real ids are hidden."""
    return hashlib.sha256(f"sandbox:{model}".encode()).hexdigest()


def _base32(size: int) -> str:
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()
