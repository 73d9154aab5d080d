"""Format log lines as text or JSON: an event name with facts, the id of the current job, and without secrets.

log.info("job.delivered", extra={"job": job.id})
12:00:01 INFO job.delivered job=8f3c model=flux-schnell
"""

import json
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from bot.telemetry.redaction import Redactor, to_text

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
