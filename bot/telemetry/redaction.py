"""Taking secrets out of what is logged: the settings' own, and everything shaped like one."""

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

REDACTED = "•••"

# Each keeps its groups and loses the rest.
SECRET_PATTERNS = (
    r"\b[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}",  # Discord bot
    r"\bxox[a-z](?:\.xox[a-z])?-[\w-]{6,}",  # Slack bot, user, refresh
    r"\bxapp-[\w-]{6,}",  # Slack app
    r"\br8_\w{8,}",  # Replicate
    r"\bwhsec_[\w+/=-]{8,}",  # webhook signing
    r"\bsk-[\w-]{16,}",  # OpenAI and its likes
    r"(?i:(\bauthorization\b['\"]?[ \t]*[:=,][ \t]*['\"]?(?:(?:bearer|basic|bot|token)[ \t]+)?+))[^\s'\",•]{4,}",
    r"\b(Bearer |Basic |Bot |Token )[\w.~+/=-]{16,}",
    r"(\b[a-z][a-z\d+.-]{0,30}://[^\s:/@?#]{0,100}:)[^\s@/]{1,200}(@)",  # password of a URL
    r"(/webhooks/\d+/)[\w.-]{16,}",  # Discord interaction token
    r"(/interactions/\d+/)[\w.-]{16,}",  # the same, first answer
    r"(\bhooks\.slack\.com/)[^\s'\"<>]+",  # Slack response_url
)
SIGNED_URL = re.compile(
    r"(https?://[^\s?'\"<>]{1,2000}\?)"
    r"(?=[^\s'\"<>]{0,4000}?(?:signature|x-amz-|x-goog-|sig=|hm=|token|secret|key=|code=))[^\s'\"<>]+",
    re.IGNORECASE,
)


class Redactor:
    """Replaces secrets in text by •••. Made once from the values of `Settings.secrets()`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if secret for form in list_written_forms(secret)}
        exact = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
        self._exact = re.compile("|".join(exact)) if exact else None
        self._patterns = [re.compile(shape) for shape in SECRET_PATTERNS] + [SIGNED_URL]

    def redact_text(self, text: str) -> str:
        """The text without secrets."""
        if self._exact:
            text = self._exact.sub(REDACTED, text)
        for shape in self._patterns:
            text = shape.sub(keep_groups, text)
        return text

    def redact_value(self, value: object) -> object:
        """A value that JSON can hold, without secrets: containers are walked, anything unusual becomes its text."""
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
    """The secret as it is, and as URLs, reprs and JSON write it."""
    return {secret, quote(secret), quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1]}


def keep_groups(match: re.Match[str]) -> str:
    before, *after = [group or "" for group in match.groups()] or [""]
    return f"{before}{REDACTED}{''.join(after)}"


def to_text(value: object) -> str:
    """`str(value)`, also for an object that fails to print itself: a log line must never raise."""
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__} that cannot be printed: {type(error).__name__}>"
