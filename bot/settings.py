"""Settings: a type, a default and a sentence each, read once at start from the environment and `.env`.

A secret may also be given as the path of a file, in the variable of the same name plus `_FILE`.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, NoDecode, SettingsConfigDict

from bot.catalogue.loading import BUILT_IN_PATH, CatalogueError, load_backends
from bot.core.backend import BackendConfig
from bot.core.people import Workspace
from bot.storage import database_urls
from bot.telemetry.logs import Redactor, hide_userinfo, list_url_secrets

OUR_PREFIXES = ("DISCORD_", "SLACK_", "REPLICATE_")
# Logs replace secrets by a mask: masking a shorter text would also mask ordinary words.
MIN_SECRET_CHARACTERS = 8
MICROS_PER_USD = 1_000_000


class SettingsError(ValueError):
    """Mistakes in the settings: a sentence per line that names the variable and never shows a secret."""


class Owner(NamedTuple):
    """An owner of this bot. `workspace` is the Slack team, and empty for Discord, where user ids are global."""

    platform: str
    workspace: str
    id: str


def split_commas(value: object) -> object:
    return tuple(part for item in value.split(",") if (part := item.strip())) if isinstance(value, str) else value


def parse_owner(value: object) -> object:
    if not isinstance(value, str):
        return value
    match value.split(":"):
        case ["discord", user] if user.isdecimal():
            return Owner("discord", "", user)
        case ["slack", team, user] if team and user:
            return Owner("slack", team, user)
    raise ValueError(f"should list people as discord:USER_ID or slack:TEAM_ID:USER_ID, not {value!r}")


def parse_workspace(value: object) -> object:
    if not isinstance(value, str):
        return value
    match value.split(":"):
        case ["discord", guild] if guild.isdecimal():
            return Workspace("discord", guild)
        case ["slack", team] if team:
            return Workspace("slack", team)
    raise ValueError(f"should list places as discord:GUILD_ID or slack:TEAM_ID, not {value!r}")


def check_secret_length(value: SecretStr) -> SecretStr:
    if len(value) < MIN_SECRET_CHARACTERS:
        raise ValueError(f"should have at least {MIN_SECRET_CHARACTERS} characters")
    return value


def check_url(*schemes: str) -> AfterValidator:
    """Return a validator of URLs; the error message names the first scheme."""

    def check(value: str) -> str:
        if not is_web_address(value, schemes):
            raise ValueError(f"should be an address that starts with {schemes[0]}://, not {hide_userinfo(value)!r}")
        return value

    return AfterValidator(check)


def is_web_address(value: str, schemes: Collection[str]) -> bool:
    """Return whether clients of HTTP can connect to an address: scheme, host and port are usable."""
    try:
        parts = urlsplit(value)
        labels = (parts.hostname or "").rstrip(".").split(".")
        is_port = parts.port is None or parts.port > 0  # raises for a port that is no number
        for label in labels:
            # httpx and aiohttp decode such labels at the first request, and raise their own errors.
            if label.startswith("xn--"):
                label.encode("ascii").decode("idna").encode("idna")
            else:
                label.encode("idna")
    except ValueError:  # UnicodeError is one
        return False
    # A second @, or an @ beyond the host, ends a password with an unescaped sign: half of the password is no host.
    if value.count("@") > parts.netloc.count("@") or value.count("@") > 1:
        return False
    return parts.scheme in schemes and all(labels) and is_port and value.isprintable() and " " not in value


def check_no_userinfo(value: str) -> str:
    # aiohttp refuses a request with two authorizations.
    if urlsplit(value).username is not None:
        raise ValueError("should hold no user name and no password: requests carry the bot's token")
    return value


def check_public_url(value: str) -> str:
    parts = urlsplit(value)
    # Strangers read the address: Replicate, Slack, and people in links.
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("should hold no user name, password, ? or #: the address is shown to other people")
    return value.rstrip("/")


def check_slack_prefix(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{0,16}", value):
        raise ValueError(f"should be at most 16 of a-z, 0-9, - and _, not {value!r}")
    return value


def check_database(value: SecretStr) -> SecretStr:
    database_urls.check_database_url(value.get_secret_value())
    return value


COMMA_LIST = (NoDecode, BeforeValidator(split_commas))
Secret = Annotated[SecretStr, AfterValidator(check_secret_length)]
WebUrl = Annotated[str, check_url("https", "http")]
TokenUrl = Annotated[WebUrl, AfterValidator(check_no_userinfo)]
Shards = Annotated[tuple[Annotated[int, Field(ge=0)], ...], *COMMA_LIST]
Owners = Annotated[tuple[Annotated[Owner, BeforeValidator(parse_owner)], ...], *COMMA_LIST]
Workspaces = Annotated[tuple[Annotated[Workspace, BeforeValidator(parse_workspace)], ...], *COMMA_LIST]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(lambda value: str(value).upper())]


class Settings(BaseSettings):
    """The owner's decisions. Fields hold credits and dollars; the properties below convert to integer micro-dollars."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, env_file_encoding="utf-8-sig")

    # Discord
    discord_token: Secret | None = None
    """The bot's token, from the Bot page of its application; Discord is off without it."""
    discord_api_url: TokenUrl = "https://discord.com/api/v10"
    """The address of Discord's API; set for a proxy or an emulator."""
    discord_gateway_url: Annotated[str, check_url("wss", "ws")] | None = None
    """The address of Discord's gateway; when empty, the bot asks Discord for the address."""
    discord_cdn_url: WebUrl = "https://cdn.discordapp.com"
    """The address of Discord's file storage, for files attached to messages."""
    discord_shard_count: int | None = Field(default=None, ge=1)
    """The number of shards of all processes together; when empty, Discord recommends a number."""
    discord_shard_ids: Shards = ()
    """The shards of this process, such as 0,1; when empty, all shards."""

    # Slack
    slack_bot_token: Secret | None = None
    """The bot's token (xoxb-…), for an app that is installed in a single workspace."""
    slack_app_token: Secret | None = None
    """The app-level token (xapp-…) for Socket Mode, which needs no public address."""
    slack_signing_secret: Secret | None = None
    """The signing secret, for Slack over HTTP at PUBLIC_URL."""
    slack_client_id: str | None = None
    """The client id, for an app that many workspaces install; not together with SLACK_BOT_TOKEN."""
    slack_client_secret: Secret | None = None
    """The client secret of SLACK_CLIENT_ID."""
    slack_api_url: TokenUrl = "https://slack.com/api/"
    """The address of Slack's API; set for a proxy or an emulator."""
    slack_command_prefix: Annotated[str, AfterValidator(check_slack_prefix)] = ""
    """A prefix for the name of each slash command, for workspaces where another app already has /imagine."""

    # Replicate
    replicate_api_token: Secret | None = None
    """The token that pays for predictions (r8_…), from replicate.com/account/api-tokens."""
    replicate_base_url: WebUrl = "https://api.replicate.com"
    """The address of Replicate's API, without /v1; set for a proxy or the sandbox."""

    # Web
    public_url: Annotated[str, check_url("https"), AfterValidator(check_public_url)] | None = None
    """The public https address of this bot, for webhooks and Slack over HTTP."""
    http_host: str = "127.0.0.1"
    """The address on which the bot serves the page, webhooks, health and metrics."""
    http_port: int = Field(default=8765, ge=0, le=65535)
    """The port of the page, webhooks, health and metrics; 0 takes any free port."""
    web_token: Secret | None = None
    """The owner's key to the page, for a page that other machines can reach."""

    # Data
    database_url: Annotated[Secret, AfterValidator(check_database)] | None = None
    """postgresql://user:password@host/name for several processes; when empty, a SQLite file in DATA_DIR."""
    data_dir: Path = Path("data")
    """The folder of the SQLite file and of kept pictures."""
    media_max_gb: float = Field(default=5, gt=0, allow_inf_nan=False)
    """The maximum size of kept pictures, in gigabytes; the bot deletes the oldest pictures first."""
    retention_days: int = Field(default=30, ge=1)
    """The number of days that the bot keeps prompts, conversations and pictures."""

    # Models
    catalogue_path: Path | None = None
    """A models.toml of your own; when empty, the bot's own catalogue."""
    system_prompt: str = (
        "You are Easel, a helpful guest in a group chat. Answer briefly, in the language of the question."
    )
    """The system prompt of each conversation, unless /chat gives another prompt."""

    # Money and people
    credit_usd: Decimal = Field(default=Decimal("0.001"), gt=0, decimal_places=6)
    """The value of a credit, in US dollars."""
    daily_credits: Decimal = Field(default=Decimal(100), ge=0, decimal_places=1)
    """The number of credits that each person gets each day."""
    jobs_at_once: int = Field(default=30, ge=1)
    """The number of unfinished jobs that each person may have, unless a moderator sets another number."""
    jobs_per_minute: int = Field(default=60, ge=1)
    """The number of jobs that each person may ask for in a minute, unless a moderator sets another number."""
    failed_runs_credits: Decimal = Field(default=Decimal(100), gt=0, decimal_places=1)
    """The credits that a person's failed runs may cost the owner each day; from then on the person waits a day."""
    monthly_budget_usd: Decimal = Field(default=Decimal(10), ge=0, decimal_places=6)
    """The maximum that the whole bot may spend in a calendar month, in US dollars."""
    admin_users: Owners = ()
    """The owners of this bot, such as discord:USER_ID,slack:TEAM_ID:USER_ID."""
    allowed_workspaces: Workspaces = ()
    """Workspaces that may use the bot, besides those added by /setup: discord:GUILD_ID,slack:TEAM_ID."""
    allow_user_installs: bool = False
    """Whether people may install the bot for themselves alone and use it anywhere on Discord."""

    # Running
    shutdown_grace_seconds: float = Field(default=30, ge=0, allow_inf_nan=False)
    """The seconds that a stop waits for running jobs; the next start resumes the rest."""
    log_level: Level = "INFO"
    """The lowest level that is logged: DEBUG, INFO, WARNING or ERROR."""
    log_format: Literal["text", "json"] = "text"
    """text for people, json for machines."""

    @model_validator(mode="after")
    def check_combinations(self) -> Self:
        problems = []
        if self.slack_client_id and self.slack_bot_token:
            problems.append("Give SLACK_BOT_TOKEN for one workspace or SLACK_CLIENT_ID for many, not both")
        if bool(self.slack_client_id) != bool(self.slack_client_secret):
            problems.append("SLACK_CLIENT_ID and SLACK_CLIENT_SECRET are needed together")
        if self.discord_shard_ids and max(self.discord_shard_ids) >= (self.discord_shard_count or 0):
            problems.append("DISCORD_SHARD_IDS count from 0 and should all be below DISCORD_SHARD_COUNT")
        if problems:
            raise ValueError(".\n".join(problems))
        return self

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        for name, value in super().__repr_args__():
            yield name, hide_userinfo(value) if name in URL_FIELDS and isinstance(value, str) else value

    @property
    def credit_micros(self) -> int:
        """Return the value of a credit, in micro-dollars."""
        return int(self.credit_usd * MICROS_PER_USD)

    @property
    def daily_micros(self) -> int:
        """Return each person's daily allowance, in micro-dollars."""
        return int(self.daily_credits * self.credit_micros)

    @property
    def failed_runs_micros(self) -> int:
        """Return the owner's cost of a person's failed runs from which the person waits, in micro-dollars."""
        return int(self.failed_runs_credits * self.credit_micros)

    @property
    def monthly_budget_micros(self) -> int:
        """Return the bot's budget for a calendar month, in micro-dollars."""
        return int(self.monthly_budget_usd * MICROS_PER_USD)

    @property
    def media_max_bytes(self) -> int:
        # Decimal gigabytes, as disks and `doctor` count.
        return int(self.media_max_gb * 1_000_000_000)

    @property
    def database_address(self) -> str:
        """Return the database's URL with its password: never log the URL. The default is SQLite in `data_dir`."""
        if self.database_url:
            return self.database_url.get_secret_value()
        return f"sqlite:///{(self.data_dir / 'easel.db').as_posix()}"

    def list_secrets(self) -> Iterator[str]:
        """Yield every secret value, for the logs to mask."""
        for name in type(self).model_fields:
            if isinstance(value := getattr(self, name), SecretStr):
                yield value.get_secret_value()
        # A mistake in the catalogue file is told by the start, in a sentence of its own.
        with suppress(CatalogueError, SettingsError):
            yield from (backend.key for backend in load_configured_backends(self) if backend.key)
        addresses = [self.database_address, *(getattr(self, name) for name in URL_FIELDS)]
        for secret in (secret for address in addresses if address for secret in list_url_secrets(address)):
            if len(secret) >= MIN_SECRET_CHARACTERS:
                yield secret


URL_FIELDS = tuple(name for name in Settings.model_fields if name.endswith("_url") and name != "database_url")
SECRET_FIELDS = tuple(name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation))


def load_settings(env_file: str | Path = ".env") -> Settings:
    """Return the settings of the environment, and of `env_file` for variables missing from the environment.

    Raise `SettingsError` with a sentence per problem: unfit values, unreadable secret files, and keys of the file
    that look like misspelt settings.
    """
    try:
        in_file = {key.upper(): value for key, value in DotEnvSettingsSource(Settings, env_file).env_vars.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{env_file} cannot be read: {error}.") from error
    # Only the file's keys are checked for typing errors: the environment is full of other programs' variables.
    problems = list(find_unknown_keys(in_file))
    variables = {**in_file, **{key: value for key, value in os.environ.items() if value}}
    from_files: dict[str, str] = {}
    for name in SECRET_FIELDS:
        try:
            from_files |= read_secret_file(name.upper(), variables)
        except ValueError as error:
            problems.append(str(error))
    try:
        settings = Settings(_env_file=env_file, **from_files)  # type: ignore[arg-type] # pydantic parses them
    except ValidationError as error:
        problems += format_errors(error)
    if problems:
        # A token may stand in the wrong variable, whose mistake shows the value.
        redactor = Redactor(_list_given_secrets(variables))
        # `from None`: pydantic's error shows the inputs, secrets among them.
        raise SettingsError("\n".join(redactor.redact_text(problem) for problem in problems)) from None
    return settings


def _list_given_secrets(variables: Mapping[str, str | None]) -> Iterator[str]:
    for name in SECRET_FIELDS:
        if len(value := variables.get(name.upper()) or "") >= MIN_SECRET_CHARACTERS:
            yield value
            yield from (secret for secret in list_url_secrets(value) if len(secret) >= MIN_SECRET_CHARACTERS)


def read_secret_file(name: str, variables: dict[str, str | None]) -> dict[str, str]:
    """Return `{field: secret}` if `<name>_FILE` names a file with content, else an empty dict.

    Raise `ValueError` if the file cannot be read, or if `<name>` is set too.
    """
    path = variables.get(f"{name}_FILE")
    if not path:
        return {}
    if variables.get(name):
        raise ValueError(f"Give {name} or {name}_FILE, not both.")
    try:
        secret = Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}_FILE names {path!r}, which cannot be read.") from error
    return {name.lower(): secret} if secret else {}


def load_configured_backends(settings: Settings, env_file: str | Path = ".env") -> list[BackendConfig]:
    """Return the tables `[backends.NAME]` of the catalogue file, with the keys that `key_env` names.

    A missing key stays empty: the server then refuses, and `doctor` names the variable. Raise `CatalogueError` for a
    mistake in the file, `SettingsError` for a key's file that cannot be read.
    """
    backends = load_backends(settings.catalogue_path or BUILT_IN_PATH)
    if not any(backend.key_env for backend in backends):
        return backends
    try:
        in_file = {key.upper(): value for key, value in DotEnvSettingsSource(Settings, env_file).env_vars.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{env_file} cannot be read: {error}.") from error
    variables = {**in_file, **{key: value for key, value in os.environ.items() if value}}
    return [replace(backend, key=_read_key(backend.key_env, variables)) for backend in backends]


def _read_key(name: str, variables: dict[str, str | None]) -> str:
    if not name:
        return ""
    try:
        from_file = read_secret_file(name, variables)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return (from_file.get(name.lower()) or variables.get(name) or "").strip()


def find_unknown_keys(keys: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each key that looks like a misspelt setting, with the nearest setting."""
    known = [name.upper() for name in Settings.model_fields] + [f"{name.upper()}_FILE" for name in SECRET_FIELDS]
    for key in keys:
        # A key with our prefix is surely meant for us; any other must be close to a setting, or is another program's.
        cutoff = 0.0 if key.startswith(OUR_PREFIXES) else 0.8
        nearest = get_close_matches(key, known, n=1, cutoff=cutoff)
        if nearest and key not in known:
            yield f"{key} is not a setting; did you mean {nearest[0]}?"


def format_errors(error: ValidationError) -> Iterator[str]:
    """Yield each of pydantic's findings as a sentence with the variable, and with the value unless secret."""
    for finding in error.errors():
        name = str(finding["loc"][0]) if finding["loc"] else ""
        if finding["type"] == "value_error":
            yield f"{name.upper()} {finding['ctx']['error']}.".lstrip()
            continue
        # Pydantic writes "Input should be …, unable to parse …": keep the rule alone.
        rule = finding["msg"].partition("should ")[2].split(", unable")[0]
        yield f"{name.upper()} should {rule}" + ("." if name in SECRET_FIELDS else f", not {str(finding['input'])!r}.")
