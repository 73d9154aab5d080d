"""Log lines: an event name and its facts, as text or JSON, with the job's id on each and no secret on any.

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
# They tell of each request, with its address; our own events tell what it was for.
NOISY_LOGGERS = ("aiohttp.access", "aiosqlite", "alembic", "httpcore", "httpx", "sqlalchemy.engine")


@contextmanager
def job_context(job: str) -> Iterator[None]:
    """Each line logged within, also by tasks started within, says `job=<id>`."""
    token = current_job.set(job)
    try:
        yield
    finally:
        current_job.reset(token)


def configure_logging(
    level: str = "INFO", log_format: str = "text", secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send every logger's lines to `stream` (stderr by default) as `text` or `json`, without `secrets`.

    Call it once at start; another call replaces the first.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    redactor = Redactor(secrets)
    handler.setFormatter(JsonLogFormatter(redactor) if log_format == "json" else TextLogFormatter(redactor))
    logging.captureWarnings(True)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


class RedactingFormatter(logging.Formatter):
    """What both formats share. Secrets go at the very end, whichever way they came in."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self.redactor = redactor

    def collect_facts(self, record: logging.LogRecord) -> dict[str, object]:
        """The record's extras, and the job being worked on."""
        job = {"job": current_job.get()} if current_job.get() else {}
        return job | {key: value for key, value in vars(record).items() if key not in STANDARD_ATTRIBUTES}

    def format_trace(self, record: logging.LogRecord) -> str:
        """The traceback and the stack, if there are any."""
        parts = [self.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(parts)


class TextLogFormatter(RedactingFormatter):
    """For people: the time of day, the level, the event, `fact=value`, and a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone()
        # A traceback names the event, so the logger is told only for lines that are not ours.
        source = "" if record.name.startswith("bot") else f"{record.name}: "
        event = escape_line(self.redactor.redact_text(render_message(record)))
        facts = "".join(
            f" {key}={quote_value(self.redactor.redact_value(value))}"
            for key, value in self.collect_facts(record).items()
        )
        trouble = self.format_trace(record)
        line = f"{time:%H:%M:%S} {record.levelname} {source}{event}{facts}" + (f"\n{trouble}" if trouble else "")
        return self.redactor.redact_text(line)


class JsonLogFormatter(RedactingFormatter):
    """For machines: one object per line with `time` (UTC), `level`, `event`, `logger`, the facts, and `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {"time": f"{time:%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03}Z"}
        line |= {"level": record.levelname, "event": render_message(record), "logger": record.name}
        line |= {key if key not in line else f"{key}_": value for key, value in self.collect_facts(record).items()}
        if trouble := self.format_trace(record):
            line["trace"] = trouble
        return json.dumps(self.redactor.redact_value(line), ensure_ascii=False, default=to_text)


def render_message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        # Left to itself, logging would print the arguments to stderr, secrets and all.
        return f"{to_text(record.msg)} {to_text(record.args)}"


def escape_line(text: str) -> str:
    """Line breaks, escape codes and direction marks are shown, not obeyed: a prompt must not forge a line."""
    return text if text.isprintable() else repr(text)[1:-1]


def quote_value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() and text and not set(text) & {" ", "="} else repr(text)
