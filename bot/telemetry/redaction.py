"""Remove secrets from log lines: the values of the settings, and all texts with the shape of a secret."""

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

REDACTED = "•••"

# A match keeps its groups; the rest of the match is redacted.
SECRET_PATTERNS = (
    r"\b[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}",  # Discord bot
    r"\bxox[a-z](?:\.xox[a-z])?-[\w-]{6,}",  # Slack bot, user, refresh
    r"\bxapp-[\w-]{6,}",  # Slack app
    r"\br8_\w{8,}",  # Replicate
    r"\bwhsec_[\w+/=-]{8,}",  # webhook signing
    r"\bsk-[\w-]{16,}",  # OpenAI and its likes
    r"(?i:(\bauthorization\b['\"]?[ \t]*[:=,][ \t]*['\"]?(?:(?:bearer|basic|bot|token)[ \t]+)?+))[^\s'\",•]{4,}",
    r"\b(Bearer |Basic |Bot |Token )[\w.~+/=-]{16,}",
    r"(\b[a-z][a-z\d+.-]{0,30}://[^\s:/@?#]{0,100}:)[^\s/]{1,300}(@)",  # password of a URL, up to the last @
    r"(\b[a-z][a-z\d+.-]{0,30}://)[^\s:/@?#\"<>]{1,300}(@)",  # user of a URL without a password: often a token
    r"(/webhooks/\d+/)[\w.-]{16,}",  # Discord interaction token
    r"(/interactions/\d+/)[\w.-]{16,}",  # Discord interaction token in the first response
    r"(\bhooks\.slack\.com/)[^\s'\"<>]+",  # Slack response_url
)
SIGNED_URL = re.compile(
    r"(https?://[^\s?'\"<>]{1,2000}\?)"
    r"(?=[^\s'\"<>]{0,4000}?(?:signature|x-amz-|x-goog-|sig=|hm=|token|secret|key=|code=))[^\s'\"<>]+",
    re.IGNORECASE,
)


def hide_userinfo(url: str) -> str:
    """Return an address without user name and password, however the address is spelt: up to the last @."""
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://{REDACTED}@{after}" if at else url


def describe_origin(url: str) -> str:
    """Return scheme, host and port of an address: user, path and query may hold secrets."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split(r'[/?#]', rest.rpartition('@')[2], maxsplit=1)[0]}"


def list_url_secrets(url: str) -> set[str]:
    """Return the secrets of an address, as written and as percent-decoded: password, or user without a password."""
    rest = url.partition("://")[2]
    user, _, password = rest.rpartition("@")[0].partition(":")
    secret = password or user
    try:
        query = [value for _, value in parse_qsl(urlsplit(url).query)]
    except ValueError:
        query = []
    return {form for given in (secret, *query) if given for form in (given, unquote(given))}


class Redactor:
    """Replaces secrets by •••. `secrets` are the values of `Settings.secrets()`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if secret for form in list_written_forms(secret)}
        # Longest first: a secret that contains another secret must be replaced as a whole.
        exact = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
        self._exact = re.compile("|".join(exact)) if exact else None
        self._patterns = [re.compile(shape) for shape in SECRET_PATTERNS] + [SIGNED_URL]

    def redact_text(self, text: str) -> str:
        """Return the text without secrets."""
        if self._exact:
            text = self._exact.sub(REDACTED, text)
        for shape in self._patterns:
            text = shape.sub(keep_groups, text)
        return text

    def redact_value(self, value: object) -> object:
        """Return a JSON value without secrets. Containers are walked; an object of another type becomes text."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            written = str(value)
            return value if self.redact_text(written) == written else self.redact_text(written)
        if isinstance(value, Mapping):
            return {self.redact_text(to_text(key)): self.redact_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.redact_value(item) for item in value]
        return self.redact_text(to_text(value))


def list_written_forms(secret: str) -> set[str]:
    """Return the secret as given, and as written in URLs, reprs and JSON."""
    return {secret, quote(secret), quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1]}


def keep_groups(match: re.Match[str]) -> str:
    before, *after = [group or "" for group in match.groups()] or [""]
    return f"{before}{REDACTED}{''.join(after)}"


def to_text(value: object) -> str:
    """Return `str(value)`, or a placeholder for an object with a failing `__str__`: a log line must never raise."""
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__} that cannot be printed: {type(error).__name__}>"
