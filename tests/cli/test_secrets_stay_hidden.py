"""Passwords and tokens of every setting, in any spelling: no verb, result or log shows them."""

import asyncio
import io
import logging
from collections.abc import Coroutine
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bot.cli import main
from bot.cli.run import make_badge
from bot.core.clock import SystemClock
from bot.settings import SECRET_FIELDS, URL_FIELDS, Settings, SettingsError, load_settings
from bot.telemetry import logs
from bot.telemetry.logs import Redactor

PASSWORDS = st.text(st.sampled_from("abcXYZ0189-._~!$&'()*+,;=:@/?#%[]"), min_size=3, max_size=20).map(
    lambda text: f"hunter{text}two"
)
"""A password in the middle of which anything may stand; the first and the last letters are looked for."""
SHAPES = ("{scheme}://ana:{secret}@127.0.0.1:1/x", "{scheme}://{secret}@127.0.0.1:1", "{scheme}://h/x?token={secret}")
SCHEMES = {"discord_gateway_url": "wss", "database_url": "postgresql"}


def find_leak(secret: str, text: str) -> str:
    """Return the part of a secret that stands in a text."""
    forms = (secret, quote(secret), quote(secret, safe=""), secret[:12], secret[-8:])
    return next((form for form in forms if form in text), "")


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def load_or_report(name: str, value: str) -> tuple[Settings | None, str]:
    """Return the settings with one value in the environment, or the text of the mistake."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name.upper(), value)
        try:
            return load_settings("no file"), ""
        except SettingsError as error:
            return None, str(error)


@given(
    name=st.sampled_from([*URL_FIELDS, "database_url"]),
    shape=st.sampled_from(SHAPES[:2]),
    is_wrong_scheme=st.booleans(),
    is_quoted=st.booleans(),
    secret=PASSWORDS,
)
@hypothesis_settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(name="public_url", shape=SHAPES[0], is_wrong_scheme=True, is_quoted=False, secret="hunter@/:two")
@example(name="replicate_base_url", shape=SHAPES[1], is_wrong_scheme=False, is_quoted=True, secret="hunter@/:two")
def test_no_setting_shows_the_password_of_an_address(
    name: str, shape: str, is_wrong_scheme: bool, is_quoted: bool, secret: str
) -> None:
    scheme = "gopher" if is_wrong_scheme else SCHEMES.get(name, "https")
    # Before a colon stands a user's name, which is no secret.
    secret = secret if is_quoted or "ana" in shape else secret.replace(":", "")
    value = shape.format(scheme=scheme, secret=quote(secret, safe="") if is_quoted else secret)

    settings, mistake = load_or_report(name, value)

    assert find_leak(secret, mistake) == ""
    if settings is not None:
        assert find_leak(secret, repr(settings)) == ""
        assert find_leak(secret, make_badge(settings)) == ""
        assert find_leak(secret, write_log(settings, f"cannot connect to {value!r}: refused")) == ""
        assert find_leak(secret, write_log(settings, f"wrong password {secret}")) == ""
        assert find_leak(secret, Redactor().redact_text(f"GET {value} failed")) == ""


def write_log(settings: Settings, text: str) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.TextLogFormatter(Redactor(settings.list_secrets())))
    handler.emit(logging.makeLogRecord({"msg": "event", "name": "bot", "level": logging.INFO, "reason": text}))
    return stream.getvalue()


@pytest.mark.parametrize("name", [name for name in SECRET_FIELDS if name != "database_url"])
@pytest.mark.parametrize("wrong", ["PUBLIC_URL", "HTTP_PORT", "LOG_LEVEL", "SLACK_COMMAND_PREFIX", "ADMIN_USERS"])
def test_a_token_in_the_wrong_variable_is_not_shown(
    name: str, wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "a-made-up-token-of-no-known-shape"
    monkeypatch.setenv(name.upper(), token)
    monkeypatch.setenv(wrong, f"https//{token}" if wrong == "PUBLIC_URL" else token)

    assert main(["run"]) == 1

    error = capsys.readouterr().err
    assert wrong in error
    assert token not in error


@pytest.mark.parametrize(
    ("address", "badge"),
    [
        ("https://api.replicate.com", ""),
        ("http://127.0.0.1:8080", "by http://127.0.0.1:8080"),
        ("https://ana:hunter22@proxy.example/replicate", "by https://proxy.example"),
        ("https://hunter22@proxy.example:444", "by https://proxy.example:444"),
        ("https://proxy.example?key=hunter22", "by https://proxy.example"),
        ("https://proxy.example/hunter22/", "by https://proxy.example"),
    ],
)
def test_the_badge_under_results_names_the_host_alone(address: str, badge: str) -> None:
    assert make_badge(Settings.model_validate({"replicate_base_url": address})) == badge


async def sleep_for_no_time(_: SystemClock, seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize("verb", [["run"], ["doctor"], ["quota", "verify"]])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_verb_prints_the_secret_of_an_address(
    verb: list[str], shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if verb == ["doctor"]:  # Replicate's client pauses between its tries of an address that refuses connections
        monkeypatch.setattr(SystemClock, "sleep", sleep_for_no_time)
    secret = "hunter22-and-more"
    for name in (*URL_FIELDS, "database_url"):
        # These refuse a user name, and a test of their refusal stands beside the settings.
        if name not in ("public_url", "discord_api_url", "slack_api_url") and not (
            name == "database_url" and "?" in shape
        ):
            scheme = SCHEMES.get(name, "http")
            monkeypatch.setenv(
                name.upper(), shape.format(scheme=scheme, secret=secret).replace("//h/", "//127.0.0.1:1/")
            )
    monkeypatch.setenv("DISCORD_API_URL", f"http://127.0.0.1:1/x?token={secret}")
    monkeypatch.setenv("SLACK_API_URL", f"http://127.0.0.1:1/x?token={secret}")
    for name in ("DISCORD_TOKEN", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "REPLICATE_API_TOKEN"):
        monkeypatch.setenv(name, f"{secret}-of-{name}")

    main(verb)

    output = capsys.readouterr()
    assert secret not in output.out + output.err
    assert "Traceback" not in output.err


def test_an_error_that_nobody_expected_is_printed_without_the_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(work: Coroutine[object, object, object]) -> None:
        work.close()
        raise RuntimeError("cannot parse 'postgresql://ana:hunter22@db/easel'")

    monkeypatch.setattr(asyncio, "run", fail)

    assert main(["quota", "verify"]) == 1

    error = capsys.readouterr().err
    assert "RuntimeError" in error
    assert "hunter22" not in error
