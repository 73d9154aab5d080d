"""Every setting: its type, its default, and one sentence. Read once at start, from the environment and `.env`.

A secret may also be given as the path of a file, in the variable of the same name that ends in `_FILE`.
"""

import os
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, NoDecode, SettingsConfigDict

from bot.core.people import Workspace

OUR_PREFIXES = ("DISCORD_", "SLACK_", "REPLICATE_")
MIN_SECRET_CHARACTERS = 8
MICROS_PER_USD = 1_000_000


class SettingsError(ValueError):
    """What is wrong with the settings: one sentence per line, each naming its variable, none showing a secret."""


class Owner(NamedTuple):
    """A person who owns this bot. `workspace` is the Slack team, and empty for Discord, whose ids are worldwide."""

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
    # What is shorter could not be taken out of the logs without taking ordinary words with it.
    if len(value) < MIN_SECRET_CHARACTERS:
        raise ValueError(f"should have at least {MIN_SECRET_CHARACTERS} characters")
    return value


def check_url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"should be an address that starts with {schemes[0]}://, not {value!r}")
        return value

    return AfterValidator(check)


def check_slack_prefix(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{0,16}", value):
        raise ValueError(f"should be at most 16 of a-z, 0-9, - and _, not {value!r}")
    return value


def check_database_url(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme.split("+")[0] not in ("sqlite", "postgresql"):
        raise ValueError("should start with sqlite:/// or postgresql://")
    return value


COMMA_LIST = (NoDecode, BeforeValidator(split_commas))
Secret = Annotated[SecretStr, AfterValidator(check_secret_length)]
WebUrl = Annotated[str, check_url("https", "http")]
Shards = Annotated[tuple[Annotated[int, Field(ge=0)], ...], *COMMA_LIST]
Owners = Annotated[tuple[Annotated[Owner, BeforeValidator(parse_owner)], ...], *COMMA_LIST]
Workspaces = Annotated[tuple[Annotated[Workspace, BeforeValidator(parse_workspace)], ...], *COMMA_LIST]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(lambda value: str(value).upper())]


class Settings(BaseSettings):
    """What the owner decides. Amounts are credits and dollars here, integer micro-dollars in the properties below."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, env_file_encoding="utf-8-sig", use_attribute_docstrings=True
    )

    # Discord
    discord_token: Secret | None = None
    """The bot's token, from the Bot page of its application; Discord is off without it."""
    discord_api_url: WebUrl = "https://discord.com/api/v10"
    """Where Discord's API is: a proxy or an emulator, if not Discord itself."""
    discord_gateway_url: Annotated[str, check_url("wss", "ws")] | None = None
    """Where Discord's gateway is; Discord says so itself when this is empty."""
    discord_cdn_url: WebUrl = "https://cdn.discordapp.com"
    """Where the files that people attach in Discord are."""
    discord_shard_count: int | None = Field(default=None, ge=1)
    """How many shards all processes have together; Discord recommends a number when this is empty."""
    discord_shard_ids: Shards = ()
    """The shards of this process, as in 0,1; all of them when this is empty."""

    # Slack
    slack_bot_token: Secret | None = None
    """The bot's token (xoxb-…) of the one workspace it is installed in."""
    slack_app_token: Secret | None = None
    """The app-level token (xapp-…) for Socket Mode, which needs no public address."""
    slack_signing_secret: Secret | None = None
    """The signing secret, for Slack over HTTP at PUBLIC_URL."""
    slack_client_id: str | None = None
    """The client id, for an app that many workspaces install; not together with SLACK_BOT_TOKEN."""
    slack_client_secret: Secret | None = None
    """The client secret that belongs to SLACK_CLIENT_ID."""
    slack_api_url: WebUrl = "https://slack.com/api/"
    """Where Slack's API is: a proxy or an emulator, if not Slack itself."""
    slack_command_prefix: Annotated[str, AfterValidator(check_slack_prefix)] = ""
    """Put before the name of each slash command, where another app already has /imagine."""

    # Replicate
    replicate_api_token: Secret | None = None
    """The token that pays for predictions (r8_…), from replicate.com/account/api-tokens."""
    replicate_base_url: WebUrl = "https://api.replicate.com"
    """Where Replicate's API is, without /v1: a proxy or the sandbox, if not Replicate itself."""

    # Web
    public_url: Annotated[str, check_url("https"), AfterValidator(lambda url: url.rstrip("/"))] | None = None
    """The https address at which this bot is reached from outside, for webhooks and Slack over HTTP."""
    http_host: str = "127.0.0.1"
    """The address that the page, webhooks, health and metrics are served on."""
    http_port: int = Field(default=8765, ge=0, le=65535)
    """The port that they are served on; 0 takes any free one."""
    web_token: Secret | None = None
    """What a person must give to use the page when it is served beyond this machine."""

    # Data
    database_url: Annotated[Secret, AfterValidator(check_database_url)] | None = None
    """postgresql://user:password@host/name for more than one process; a SQLite file in DATA_DIR when this is empty."""
    data_dir: Path = Path("data")
    """The folder of the SQLite file and of the pictures that are kept."""
    media_max_gb: float = Field(default=5, gt=0, allow_inf_nan=False)
    """How many gigabytes of pictures are kept; the oldest go first."""
    retention_days: int = Field(default=30, ge=1)
    """How many days prompts, conversations and pictures are kept."""

    # Models
    catalogue_path: Path | None = None
    """A models.toml of your own; the bot's when this is empty."""
    system_prompt: str = (
        "You are Easel, a helpful guest in a group chat. Answer briefly, in the language of the question."
    )
    """What a chat model is told before each conversation, unless /chat says otherwise."""

    # Money and people
    credit_usd: Decimal = Field(default=Decimal("0.001"), gt=0, decimal_places=6)
    """What one credit is worth in US dollars."""
    daily_credits: Decimal = Field(default=Decimal(100), ge=0, decimal_places=1)
    """How many credits each person gets each day."""
    monthly_budget_usd: Decimal = Field(default=Decimal(10), ge=0, decimal_places=6)
    """What the whole bot may spend in a calendar month, in US dollars."""
    admin_users: Owners = ()
    """Who owns this bot, as in discord:USER_ID,slack:TEAM_ID:USER_ID."""
    allowed_workspaces: Workspaces = ()
    """Where the bot may be used besides what /setup added, as in discord:GUILD_ID,slack:TEAM_ID."""
    allow_user_installs: bool = False
    """Whether people may use the bot where only they installed it."""

    # Running
    shutdown_grace_seconds: float = Field(default=30, ge=0, allow_inf_nan=False)
    """How long a stop waits for running jobs; the rest is taken up again at the next start."""
    log_level: Level = "INFO"
    """The least important lines that are logged: DEBUG, INFO, WARNING or ERROR."""
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

    @property
    def credit_micros(self) -> int:
        """What one credit is worth, in micro-dollars."""
        return int(self.credit_usd * MICROS_PER_USD)

    @property
    def daily_micros(self) -> int:
        """What each person gets each day, in micro-dollars."""
        return int(self.daily_credits * self.credit_micros)

    @property
    def monthly_budget_micros(self) -> int:
        """What the whole bot may spend in a calendar month, in micro-dollars."""
        return int(self.monthly_budget_usd * MICROS_PER_USD)

    @property
    def media_max_bytes(self) -> int:
        """How many bytes of pictures are kept."""
        return int(self.media_max_gb * 1_000_000_000)

    @property
    def database_address(self) -> str:
        """The database's URL with its password, SQLite in `data_dir` by default. Never log it."""
        if self.database_url:
            return self.database_url.get_secret_value()
        return f"sqlite:///{(self.data_dir / 'easel.db').as_posix()}"

    def list_secrets(self) -> Iterator[str]:
        """Every secret value, for the logs to leave out."""
        for name in type(self).model_fields:
            if isinstance(value := getattr(self, name), SecretStr):
                yield value.get_secret_value()
        password = urlsplit(self.database_address).password
        if password and len(password) >= MIN_SECRET_CHARACTERS:
            yield from {password, unquote(password)}


SECRET_FIELDS = tuple(name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation))


def load_settings(env_file: str | Path = ".env") -> Settings:
    """Read the environment, and below it `env_file` if there is one.

    Raises `SettingsError` with a sentence per problem: values that do not fit, secret files that cannot be read, and
    keys of the file that look like ours and are not. Variables of the environment that we do not know are ignored.
    """
    try:
        in_file = {key.upper(): value for key, value in DotEnvSettingsSource(Settings, env_file).env_vars.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{env_file} cannot be read: {error}.") from error
    problems = list(find_unknown_keys(in_file))
    given = {**in_file, **{key: value for key, value in os.environ.items() if value}}
    from_files: dict[str, str] = {}
    for name in SECRET_FIELDS:
        try:
            from_files |= read_secret_file(name.upper(), given)
        except ValueError as error:
            problems.append(str(error))
    try:
        settings = Settings(_env_file=env_file, **from_files)  # type: ignore[arg-type] # pydantic parses them
    except ValidationError as error:
        problems += format_errors(error)
    if problems:
        raise SettingsError("\n".join(problems)) from None
    return settings


def read_secret_file(name: str, given: dict[str, str | None]) -> dict[str, str]:
    """`{field: secret}` when `<name>_FILE` is given and the file is not empty, else nothing."""
    path = given.get(f"{name}_FILE")
    if not path:
        return {}
    if given.get(name):
        raise ValueError(f"Give {name} or {name}_FILE, not both.")
    try:
        secret = Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}_FILE names {path!r}, which cannot be read.") from error
    return {name.lower(): secret} if secret else {}


def find_unknown_keys(keys: Iterable[str]) -> Iterator[str]:
    """A sentence for each key that looks like ours and is not, naming the nearest. Other programs' keys are fine."""
    known = [name.upper() for name in Settings.model_fields] + [f"{name.upper()}_FILE" for name in SECRET_FIELDS]
    for key in keys:
        cutoff = 0.0 if key.startswith(OUR_PREFIXES) else 0.8
        nearest = get_close_matches(key, known, n=1, cutoff=cutoff)
        if nearest and key not in known:
            yield f"{key} is not a setting; did you mean {nearest[0]}?"


def format_errors(error: ValidationError) -> Iterator[str]:
    """Pydantic's findings as sentences that name the variable, and the value unless it is secret."""
    for found in error.errors():
        name = str(found["loc"][0]) if found["loc"] else ""
        if found["type"] == "value_error":
            yield f"{name.upper()} {found['ctx']['error']}.".lstrip()
            continue
        rule = found["msg"].partition("should ")[2].split(", unable")[0]
        yield f"{name.upper()} should {rule}" + ("." if name in SECRET_FIELDS else f", not {str(found['input'])!r}.")
