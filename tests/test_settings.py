"""The settings: defaults, secrets, and a sentence for each mistake."""

from decimal import Decimal
from pathlib import Path

import pytest

from bot.core.people import Workspace
from bot.settings import SECRET_FIELDS, Owner, Settings, SettingsError, load_settings

TOKEN = "a-made-up-token"


PORT_ADVICE = (
    "should have a port between 1 and 65535 after the host; "
    "in a password, write / as %2F, @ as %40, : as %3A, ? as %3F and # as %23."
)


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name.upper() for name in Settings.model_fields] + [f"{name.upper()}_FILE" for name in SECRET_FIELDS]:
        monkeypatch.delenv(name, raising=False)


def write_env(tmp_path: Path, *lines: str) -> Path:
    env_file = tmp_path / ".env"
    env_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return env_file


def load_error(env_file: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file)
    return str(caught.value)


def test_without_a_file_every_setting_has_its_default(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "none")

    assert (settings.credit_micros, settings.daily_micros, settings.monthly_budget_micros) == (
        1_000,
        100_000,
        10_000_000,
    )
    assert settings.database_address == "sqlite:///data/easel.db"
    assert settings.replicate_base_url == "https://api.replicate.com"
    assert list(settings.list_secrets()) == []


def test_money_is_whole_micro_dollars() -> None:
    settings = Settings(
        credit_usd=Decimal("0.000003"), daily_credits=Decimal("10.5"), monthly_budget_usd=Decimal("0.1")
    )

    assert settings.credit_micros == 3
    assert settings.daily_micros == 31
    assert settings.monthly_budget_micros == 100_000


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PORT", "9000")

    settings = load_settings(write_env(tmp_path, "HTTP_PORT=8000", "HTTP_HOST=0.0.0.0", "LOG_LEVEL=debug"))

    assert (settings.http_port, settings.http_host, settings.log_level) == (9000, "0.0.0.0", "DEBUG")  # noqa: S104 - not bound


def test_an_empty_value_means_the_default(tmp_path: Path) -> None:
    settings = load_settings(write_env(tmp_path, "DISCORD_TOKEN=", "PUBLIC_URL=", "HTTP_PORT="))

    assert settings.discord_token is None
    assert settings.public_url is None
    assert settings.http_port == 8765


def test_people_and_workspaces_are_lists(tmp_path: Path) -> None:
    settings = load_settings(
        write_env(tmp_path, "ADMIN_USERS=discord:42, slack:T1:U2,", "ALLOWED_WORKSPACES=discord:7,slack:T1")
    )

    assert settings.admin_users == (Owner("discord", "", "42"), Owner("slack", "T1", "U2"))
    assert settings.allowed_workspaces == (Workspace("discord", "7"), Workspace("slack", "T1"))


def test_shards_are_numbers(tmp_path: Path) -> None:
    settings = load_settings(write_env(tmp_path, "DISCORD_SHARD_COUNT=4", "DISCORD_SHARD_IDS=0,3"))

    assert settings.discord_shard_ids == (0, 3)


def test_a_secret_can_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")

    settings = load_settings(write_env(tmp_path, f"DISCORD_TOKEN_FILE={tmp_path / 'token'}"))

    assert settings.discord_token
    assert settings.discord_token.get_secret_value() == TOKEN


def test_an_empty_secret_file_gives_no_secret(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")

    assert load_settings(write_env(tmp_path, f"WEB_TOKEN_FILE={tmp_path / 'token'}")).web_token is None


@pytest.mark.parametrize("name", SECRET_FIELDS)
def test_secrets_are_not_printed_and_are_listed_for_the_logs(name: str, tmp_path: Path) -> None:
    value = f"postgresql://bot:{TOKEN}@host/easel" if name == "database_url" else TOKEN
    extra = ["SLACK_CLIENT_ID=1"] if name == "slack_client_secret" else []

    settings = load_settings(write_env(tmp_path, f"{name.upper()}={value}", *extra))

    assert TOKEN not in repr(settings)
    assert TOKEN not in str(settings.model_dump())
    assert TOKEN in list(settings.list_secrets())


def test_a_password_is_listed_for_the_logs_in_both_forms() -> None:
    settings = Settings.model_validate({"database_url": "postgresql://bot:long%40password@host/easel"})

    assert {"long%40password", "long@password"} <= set(settings.list_secrets())


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("HTTP_PORT=many", "HTTP_PORT should be a valid integer, not 'many'."),
        ("HTTP_PORT=70000", "HTTP_PORT should be less than or equal to 65535, not '70000'."),
        ("LOG_FORMAT=xml", "LOG_FORMAT should be 'text' or 'json', not 'xml'."),
        ("LOG_LEVEL=loud", "LOG_LEVEL should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR', not 'LOUD'."),
        ("ALLOW_USER_INSTALLS=perhaps", "ALLOW_USER_INSTALLS should be a valid boolean, not 'perhaps'."),
        ("CREDIT_USD=0", "CREDIT_USD should be greater than 0, not '0'."),
        ("CREDIT_USD=0.0000001", "CREDIT_USD should have no more than 6 decimal places, not '0.0000001'."),
        ("MONTHLY_BUDGET_USD=NaN", "MONTHLY_BUDGET_USD should be a finite number, not 'NaN'."),
        ("MEDIA_MAX_GB=inf", "MEDIA_MAX_GB should be a finite number, not 'inf'."),
        ("PUBLIC_URL=http://a.b", "PUBLIC_URL should be an address that starts with https://, not 'http://a.b'."),
        ("DISCORD_API_URL=a.b", "DISCORD_API_URL should be an address that starts with https://, not 'a.b'."),
        ("DATABASE_URL=mysql://a:secret@b/c", "DATABASE_URL should start with sqlite:/// or postgresql://."),
        *(
            (f"DATABASE_URL=postgresql://a:secret@b{port}/c", f"DATABASE_URL {PORT_ADVICE}")
            for port in (":port", ":0", ":99999", ":-1", ":٣")
        ),
        ("DATABASE_URL=postgresql://a:sec/ret@b/c", f"DATABASE_URL {PORT_ADVICE}"),
        ("DATABASE_URL=postgresql://[::secret", "DATABASE_URL should start with sqlite:/// or postgresql://."),
        (
            "DATABASE_URL=postgresql://a:secret@b/c?sslmode=on",
            "DATABASE_URL should give sslmode as one of disable, allow, prefer, require, verify-ca, verify-full.",
        ),
        (
            "DATABASE_URL=postgresql://a:secret@b/c?pool=9",
            "DATABASE_URL should have none but ssl, sslmode, host, target_session_attrs, passfile, channel_binding, "
            "application_name, connect_timeout after the question mark.",
        ),
        *(
            (
                f"REPLICATE_BASE_URL={address}",
                f"REPLICATE_BASE_URL should be an address that starts with https://, not {address!r}.",
            )
            for address in (
                "https://xn--/",
                "https://",
                "https://[",
                "https://a:b",
                "https://a:0",
                "https://a..b",
                "ftp://a",
            )
        ),
        (
            "DISCORD_API_URL=https://ana:secret@a.b",
            "DISCORD_API_URL should hold no user name and no password: requests carry the bot's token.",
        ),
        (
            "PUBLIC_URL=https://ana:secret@a.b",
            "PUBLIC_URL should hold no user name, password, ? or #: the address is shown to other people.",
        ),
        (
            "PUBLIC_URL=http://ana:secret@a.b",
            "PUBLIC_URL should be an address that starts with https://, not 'http://•••@a.b'.",
        ),
        ("DISCORD_TOKEN=short", "DISCORD_TOKEN should have at least 8 characters."),
        ("SLACK_COMMAND_PREFIX=A b", "SLACK_COMMAND_PREFIX should be at most 16 of a-z, 0-9, - and _, not 'A b'."),
        (
            "ADMIN_USERS=discord:1,ana",
            "ADMIN_USERS should list people as discord:USER_ID or slack:TEAM_ID:USER_ID, not 'ana'.",
        ),
        (
            "ALLOWED_WORKSPACES=slack",
            "ALLOWED_WORKSPACES should list places as discord:GUILD_ID or slack:TEAM_ID, not 'slack'.",
        ),
        ("DISCORD_SHARD_IDS=0,x", "DISCORD_SHARD_IDS should be a valid integer, not 'x'."),
        ("DISCORD_SHARD_IDS=0", "DISCORD_SHARD_IDS count from 0 and should all be below DISCORD_SHARD_COUNT."),
        ("SLACK_CLIENT_ID=1.2", "SLACK_CLIENT_ID and SLACK_CLIENT_SECRET are needed together."),
        ("WEB_TOKEN_FILE=/no/file", "WEB_TOKEN_FILE names '/no/file', which cannot be read."),
    ],
)
def test_each_mistake_is_a_sentence(line: str, sentence: str, tmp_path: Path) -> None:
    assert load_error(write_env(tmp_path, line)) == sentence


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    sentences = load_error(write_env(tmp_path, "HTTP_PORT=x", "LOG_FORMAT=x", "SLACK_TOKEN=x")).splitlines()

    assert [sentence.split()[0] for sentence in sentences] == ["SLACK_TOKEN", "HTTP_PORT", "LOG_FORMAT"]


def test_a_slack_bot_token_excludes_a_client_id(tmp_path: Path) -> None:
    env_file = write_env(tmp_path, f"SLACK_BOT_TOKEN={TOKEN}", "SLACK_CLIENT_ID=1.2", f"SLACK_CLIENT_SECRET={TOKEN}")

    assert load_error(env_file) == "Give SLACK_BOT_TOKEN for one workspace or SLACK_CLIENT_ID for many, not both."


def test_a_secret_excludes_a_secret_file(tmp_path: Path) -> None:
    env_file = write_env(tmp_path, f"WEB_TOKEN={TOKEN}", "WEB_TOKEN_FILE=/run/secrets/web_token")

    assert load_error(env_file) == "Give WEB_TOKEN or WEB_TOKEN_FILE, not both."


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("DISCORD_TOKENS", "DISCORD_TOKEN"),
        ("REPLICATE_API_KEY", "REPLICATE_API_TOKEN"),
        ("SLACK_TOKEN", "SLACK_BOT_TOKEN"),
        ("DAYLY_CREDITS", "DAILY_CREDITS"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("DISCORD_TOKEN_FIEL", "DISCORD_TOKEN_FILE"),
    ],
)
def test_a_misspelt_key_is_reported_with_the_nearest_setting(key: str, nearest: str, tmp_path: Path) -> None:
    assert load_error(write_env(tmp_path, f"{key}=1")) == f"{key} is not a setting; did you mean {nearest}?"


def test_keys_of_other_programs_are_ignored(tmp_path: Path) -> None:
    env_file = write_env(
        tmp_path, "POSTGRES_PASSWORD=x", "HTTP_PROXY=x", "OPENAI_API_KEY=x", "TZ=UTC", "HTTP_PORT=9000"
    )

    assert load_settings(env_file).http_port == 9000


def test_unknown_variables_of_the_environment_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_OF_ANOTHER_PROGRAM", "x")

    assert load_settings(tmp_path / "none").discord_token is None


def test_a_byte_order_mark_does_not_hide_the_first_key(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HTTP_PORT=9000\r\nHTTP_HOST=::1\r\n", encoding="utf-8-sig")

    settings = load_settings(tmp_path / ".env")

    assert (settings.http_port, settings.http_host) == (9000, "::1")


def test_a_binary_file_is_reported_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"HTTP_HOST=\xff\xfe\n")

    assert "cannot be read" in load_error(tmp_path / ".env")
