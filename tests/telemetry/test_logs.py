"""Log lines: event, facts and the current job, without secrets."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.settings import SECRET_FIELDS, Settings
from bot.telemetry.logs import configure_logging, job_context

log = logging.getLogger("bot.jobs.runner")


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level


def start_logging(log_format: str, secrets: tuple[str, ...] = ()) -> io.StringIO:
    stream = io.StringIO()
    configure_logging("INFO", log_format, secrets, stream)
    return stream


def test_a_text_line_is_an_event_and_its_facts() -> None:
    stream = start_logging("text")

    log.info("job.delivered", extra={"job": "8f3c", "model": "flux-schnell", "seconds": 1.5})

    assert stream.getvalue()[8:] == " INFO job.delivered job=8f3c model=flux-schnell seconds=1.5\n"


def test_a_json_line_has_the_same_facts() -> None:
    stream = start_logging("json")

    log.info("job.delivered", extra={"job": "8f3c", "pictures": 2})

    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "event": "job.delivered",
        "logger": "bot.jobs.runner",
        "job": "8f3c",
        "pictures": 2,
    }


async def test_each_line_within_a_job_names_the_job() -> None:
    stream = start_logging("text")

    async def work(job: str) -> None:
        with job_context(job):
            await asyncio.sleep(0)
            logging.getLogger("httpx").warning("slow")

    await asyncio.gather(work("a"), work("b"))
    log.info("idle")

    assert [line[9:] for line in stream.getvalue().splitlines()] == [
        "WARNING httpx: slow job=a",
        "WARNING httpx: slow job=b",
        "INFO idle",
    ]


def test_a_prompt_cannot_forge_a_line() -> None:
    stream = start_logging("text")

    log.info("words\n12:00:01 INFO job.delivered", extra={"prompt": "a fox\n12:00:01 ERROR \x1b[31mx\u202e"})

    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()
    assert "\u202e" not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_is_kept(log_format: str) -> None:
    stream = start_logging(log_format)

    try:
        raise LookupError("no such model \x1b[2J\u202e")
    except LookupError:
        log.exception("job.failed")

    assert "LookupError: no such model" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_line_with_wrong_arguments_is_written_without_secrets(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise ValueError("not today")

    stream = start_logging(log_format, ("the-secret",))

    log.info("%d jobs", "the-secret", extra={"what": Unprintable()})

    assert "jobs" in stream.getvalue()
    assert "Unprintable that cannot be printed" in stream.getvalue()
    assert "the-secret" not in stream.getvalue() + capsys.readouterr().err


# Realistic tokens, and passwords with characters that JSON, URLs and reprs escape.
secret_values = st.text("abcXYZ019-_.\"'\\/ @%é&=", min_size=8, max_size=30).filter(lambda text: text == text.strip())


@given(
    secret=secret_values,
    cut=st.integers(1, 7),
    name=st.sampled_from([name for name in SECRET_FIELDS if name != "database_url"]),
    log_format=st.sampled_from(["text", "json"]),
)
def test_no_secret_of_the_settings_is_ever_logged(secret: str, cut: int, name: str, log_format: str) -> None:
    values = {name: secret} | ({"slack_client_id": "1"} if name == "slack_client_secret" else {})
    stream = start_logging(log_format, tuple(Settings.model_validate(values).list_secrets()))

    log.info(f"token {secret}")
    log.info("token %s and %r", secret, {secret: [secret]})
    log.info("%s%s", secret[:cut], secret[cut:])
    log.info("%d", secret)
    log.info("x", extra={"fact": secret, "facts": {"deep": [(secret, {"a": secret.encode()})]}, secret: 1})
    try:
        raise RuntimeError(secret) from KeyError(secret)
    except RuntimeError:
        log.exception("failed", stack_info=True)

    written = stream.getvalue()
    assert secret not in written
    if log_format == "json":
        for line in written.splitlines():
            assert secret not in str(list(list_strings(json.loads(line))))


def list_strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from list_strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from list_strings(item)
    elif isinstance(value, str):
        yield value


@given(secret=st.integers(10_000_000, 10**15), log_format=st.sampled_from(["text", "json"]))
def test_a_secret_that_is_a_number_is_removed_too(secret: int, log_format: str) -> None:
    stream = start_logging(log_format, (str(secret),))

    log.info("%d", secret, extra={"number": secret, "numbers": [secret]})

    assert str(secret) not in stream.getvalue()
