"""Format log lines as text or JSON: an event name with facts, the id of the current job, and without secrets.

    log.info("job.delivered", extra={"job": job.id})
    12:00:01 INFO job.delivered job=8f3c model=flux-schnell

Secrets are the values of the settings, and all texts with the shape of a secret.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO
from urllib.parse import parse_qsl, quote, unquote, urlsplit

current_job: ContextVar[str] = ContextVar("current_job", default="")

STANDARD_ATTRIBUTES = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
# These loggers write one line for each request or statement: the bot's own events name the purpose instead.
NOISY_LOGGERS = ("aiohttp.access", "aiosqlite", "alembic", "httpcore", "httpx", "sqlalchemy.engine")


@contextmanager
def job_context(job: str) -> Iterator[None]:
    """Add `job=<id>` to each log line inside the block, also in tasks that the block starts."""
    token = current_job.set(job)
    try:
        yield
    finally:
        current_job.reset(token)


def configure_logging(
    level: str = "INFO", log_format: str = "text", secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send the lines of all loggers to `stream` (stderr by default) as `text` or `json`, without `secrets`.

    A second call replaces the configuration.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    redactor = Redactor(secrets)
    handler.setFormatter(JsonLogFormatter(redactor) if log_format == "json" else TextLogFormatter(redactor))
    logging.captureWarnings(True)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


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


class RedactingFormatter(logging.Formatter):
    """Base of both formats: collects facts and tracebacks."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self.redactor = redactor

    def collect_facts(self, record: logging.LogRecord) -> dict[str, object]:
        """Return the extras of a record, with the current job."""
        job = {"job": current_job.get()} if current_job.get() else {}
        return job | {key: value for key, value in vars(record).items() if key not in STANDARD_ATTRIBUTES}

    def format_trace(self, record: logging.LogRecord) -> str:
        """Return the traceback and the stack, or an empty text."""
        parts = [self.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(parts)


class TextLogFormatter(RedactingFormatter):
    """Formats for readers: time of day, level, event, `fact=value`, and a traceback on further lines."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone()
        # Event names of the bot are unique; the messages of libraries need the name of their logger.
        source = "" if record.name.startswith("bot") else f"{record.name}: "
        event = escape_line(self.redactor.redact_text(render_message(record)))
        facts = "".join(
            f" {key}={quote_value(self.redactor.redact_value(value))}"
            for key, value in self.collect_facts(record).items()
        )
        # An error may quote a stranger's words.
        trace = "\n".join(map(escape_line, self.redactor.redact_text(self.format_trace(record)).split("\n")))
        line = f"{time:%H:%M:%S} {record.levelname} {source}{event}{facts}" + (f"\n{trace}" if trace else "")
        # Redact the finished line: a secret may span several parts, or stand in a traceback.
        return self.redactor.redact_text(line)


class JsonLogFormatter(RedactingFormatter):
    """Formats for machines: one object per line with `time` (UTC), `level`, `event`, `logger`, facts and `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {"time": f"{time:%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03}Z"}
        line |= {"level": record.levelname, "event": render_message(record), "logger": record.name}
        line |= {key if key not in line else f"{key}_": value for key, value in self.collect_facts(record).items()}
        if trace := self.format_trace(record):
            line["trace"] = trace
        return json.dumps(self.redactor.redact_value(line), ensure_ascii=False, default=to_text)


def render_message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        # `logging` would print the arguments to stderr without redaction.
        return f"{to_text(record.msg)} {to_text(record.args)}"


def escape_line(text: str) -> str:
    """Return a text with line breaks, escape codes and direction marks escaped: a prompt must not forge a log line."""
    return text if text.isprintable() else repr(text)[1:-1]


def quote_value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() and text and not set(text) & {" ", "="} else repr(text)


# Secrets.

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
