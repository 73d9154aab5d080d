"""Load models and backends from a catalogue file. A mistake raises one sentence with the table and the key.

Entries of ComfyUI models are checked against the workflow files at the same time.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.core.backend import BackendConfig, BackendKind, LostRuns
from bot.core.errors import EaselError
from bot.core.file_types import ANY_MEDIA, MediaKind
from bot.core.models import InputRule, MaskStyle, Metric, Model, OutputKind, Price, PriceTier, SizeFields, Task
from bot.core.workflows import WorkflowError, check_free_text, find_input, load_workflow

_FREE_TEXTS = frozenset(["prompt", "negative", "question", "system", "lyrics", "text"])
"""Options in which people write what they like."""

BUILT_IN_PATH = Path(__file__).with_name("models.toml")
PRICE_PLACEHOLDER = "FILL IN"
"""The price in a draft, for the owner to replace. Such a model stays off: no hold would bound the spending."""

BOUNDED_METRICS = frozenset(
    {
        Metric.IMAGE_INPUT_MEGAPIXEL_COUNT,
        Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT,
        Metric.AUDIO_INPUT_MINUTE_COUNT,
        Metric.AUDIO_OUTPUT_DURATION_SECONDS,
        Metric.VIDEO_OUTPUT_DURATION_SECONDS,
    }
)
"""Metrics that the inputs may leave open, such as the size of a picture that the model chooses."""

BUILT_IN_BACKEND = "replicate"
"""The backend of the settings `REPLICATE_…`, and of each model that names no other."""

_BACKENDS = "backends"
_MICROS_PER_USD = 1_000_000


class CatalogueError(EaselError):
    """The catalogue file is unreadable or contradicts itself."""


def load_catalogue(path: Path = BUILT_IN_PATH) -> list[Model]:
    """Return the models of a TOML file, in the file's order. Raise `CatalogueError` for a mistake."""
    return list(_load_models(path, _read_stamp(path)))


@lru_cache(maxsize=4)
def _load_models(path: Path, _stamp: tuple[int, int]) -> tuple[Model, ...]:
    # An unchanged file is read once: a start reads the catalogue in three places, 25 ms each.
    tables = _read_tables(path)
    kinds = {config.name: config.kind for config in _parse_backends(tables, path.parent)}
    models = [parse_model(key, table) for key, table in tables.items() if key != _BACKENDS]
    for model in models:
        if model.backend not in (BUILT_IN_BACKEND, *kinds):
            raise CatalogueError(
                f"[{model.key}] names the backend {model.backend}, and there is no table [backends.{model.backend}]."
            )
        if kinds.get(model.backend) is BackendKind.COMFYUI:
            try:
                check_workflow(model, path.parent)
            except WorkflowError as error:
                raise CatalogueError(f"[{model.key}] is wrong: {error}.") from error
    _check_finishing(models)
    _check_fallbacks(models)
    return tuple(models)


def load_backends(path: Path = BUILT_IN_PATH) -> list[BackendConfig]:
    """Return the tables `[backends.NAME]` of a TOML file, without the keys. Raise `CatalogueError` for a mistake."""
    return list(_load_backends(path, _read_stamp(path)))


@lru_cache(maxsize=4)
def _load_backends(path: Path, _stamp: tuple[int, int]) -> tuple[BackendConfig, ...]:
    return _parse_backends(_read_tables(path), path.parent)


def _parse_backends(tables: Mapping[str, Any], folder: Path) -> tuple[BackendConfig, ...]:
    return tuple(_parse_backend(name, table, folder) for name, table in tables.get(_BACKENDS, {}).items())


def _read_stamp(path: Path) -> tuple[int, int]:
    """Return the time of the last change and the size of a file, which tell whether the file was read before."""
    try:
        facts = path.stat()
    except (OSError, ValueError) as error:
        raise CatalogueError(f"The catalogue {path.name} cannot be read: {error}.") from error
    return facts.st_mtime_ns, facts.st_size


def _read_tables(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"The catalogue {path.name} cannot be read: {error}.") from error


def _parse_backend(name: str, table: object, folder: Path) -> BackendConfig:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", name) or name == BUILT_IN_BACKEND:
        raise CatalogueError(
            f"[backends.{name}] needs another name: at most 32 of a-z, 0-9, - and _, and not {BUILT_IN_BACKEND}, which "
            "the settings REPLICATE_… describe."
        )
    if not isinstance(table, dict):
        raise CatalogueError(f"[backends.{name}] is a table with kind and url, not {table!r}.")
    if unknown := set(table) - {"kind", "url", "key_env", "at_once", "lost_runs"}:
        # A key in the file would end in a repository or a paste: only the name of a variable belongs here.
        advice = " Write the key into a variable, and its name as key_env." if unknown & {"key", "token"} else ""
        raise CatalogueError(f"[backends.{name}] has keys that no backend has: {', '.join(sorted(unknown))}.{advice}")
    try:
        return BackendConfig(
            name=name,
            kind=BackendKind(table["kind"]),
            url=_parse_url(table["url"]),
            key_env=_parse_key_env(table.get("key_env", "")),
            at_once=_parse_at_once(table.get("at_once")),
            lost_runs=LostRuns(table.get("lost_runs", LostRuns.REFUND)),
            folder=folder,
        )
    except KeyError as error:
        raise CatalogueError(f"[backends.{name}] lacks {error}.") from error
    except ValueError as error:
        raise CatalogueError(f"[backends.{name}] is wrong: {error}.") from error


def _parse_url(url: object) -> str:
    wrong = ValueError(
        f"url is an address such as http://127.0.0.1:11434/v1, without name, password, ? and #, not {url!r}"
    )
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        raise wrong
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise wrong from error
    # An address with a password would be shown in logs and by `doctor`.
    if parts.username is not None or parts.password is not None:
        raise ValueError("url holds a name or a password: write the key into a variable, and its name as key_env")
    if not is_address or parts.query or parts.fragment:
        raise wrong
    return url.rstrip("/")


def _parse_key_env(name: object) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"(?:[A-Z][A-Z0-9_]{0,63})?", name):
        raise ValueError("key_env is the name of a variable, such as OPENROUTER_API_KEY, and never the key itself")
    return name


def parse_model(key: str, table: Mapping[str, Any]) -> Model:
    """Return the model of one table. Raise `CatalogueError` for a mistake."""
    known = set(Model.__dataclass_fields__) - {"key", "agreed_micros"}
    if unknown := set(table) - known:
        raise CatalogueError(f"[{key}] has keys that no model has: {', '.join(sorted(unknown))}.")
    try:
        return Model(
            key=key,
            title=table["title"],
            task=Task(table["task"]),
            backend=table.get("backend", BUILT_IN_BACKEND),
            ref=table["ref"],
            version=table.get("version", ""),
            output=OutputKind(table["output"]),
            price=_parse_price(table["price"]),
            max_seconds=int(table["max_seconds"]),
            usual_seconds=float(table["usual_seconds"]),
            inputs={name: _parse_rule(rule) for name, rule in table["inputs"].items()},
            fixed=table.get("fixed", {}),
            template=table.get("template", ""),
            context_tokens=int(table.get("context_tokens", 0)),
            strip_prefixes=tuple(table.get("strip_prefixes", ())),
            is_adult=bool(table.get("is_adult", False)),
            description=table.get("description", ""),
            deployment=_parse_deployment(table.get("deployment", "")),
            at_once=_parse_at_once(table.get("at_once")),
            finish=str(table.get("finish", "")),
            fallbacks=tuple(table.get("fallbacks", ())),
            price_fields=table.get("price_fields", {}),
        )
    except KeyError as error:
        raise CatalogueError(f"[{key}] lacks {error}.") from error
    except (TypeError, ValueError, ArithmeticError) as error:
        raise CatalogueError(f"[{key}] is wrong: {error}.") from error


def _check_finishing(models: list[Model]) -> None:
    """Raise `CatalogueError` if a draft model names a finer model that the file lacks or that draws no pictures."""
    drawing = {model.key for model in models if model.task is Task.IMAGINE}
    for model in models:
        if model.finish and (model.finish not in drawing or model.key not in drawing or model.finish == model.key):
            raise CatalogueError(
                f"[{model.key}] is wrong: finish names another model of imagine, not {model.finish!r}."
            )


def _check_fallbacks(models: list[Model]) -> None:
    """Raise `CatalogueError` if a model names a fallback that the file lacks, or that answers in another way."""
    by_key = {model.key: model for model in models}
    for model in models:
        for key in model.fallbacks:
            other = by_key.get(key)
            if other is None or other is model or (other.task, other.output) != (model.task, model.output):
                raise CatalogueError(
                    f"[{model.key}] is wrong: fallbacks names other models of {model.task} with the output "
                    f"{model.output}, not {key!r}."
                )


def _parse_deployment(name: str) -> str:
    if name and not re.fullmatch(r"[^/\s]+/[^/\s]+", name):
        raise ValueError(f"a deployment is named owner/name, not {name!r}")
    return name


def _parse_at_once(runs: int | None) -> int | None:
    if runs is not None and (not isinstance(runs, int) or runs < 1):
        raise ValueError(f"at_once is how many runs of it may go on at once, 1 at least, not {runs!r}")
    return runs


def _parse_max_files(files: object) -> int:
    if not isinstance(files, int) or isinstance(files, bool) or files < 1:
        raise ValueError(f"files is the number of files that the model takes, 1 at least, not {files!r}")
    return files


def _parse_media(media: str | list[str]) -> tuple[MediaKind, ...]:
    if media == "any":
        return ANY_MEDIA
    return tuple(MediaKind(kind) for kind in ([media] if isinstance(media, str) else media))


def _parse_price(table: Mapping[str, Any]) -> Price:
    if unknown := set(table) - {"tiers", "bounds", "source", "read_on", "agreed"}:
        raise ValueError(f"a price has no {', '.join(sorted(unknown))}")
    is_known = all(tier["usd"] != PRICE_PLACEHOLDER for tier in table["tiers"]) and bool(table["tiers"])
    price = Price(
        tiers=tuple(_parse_tier(tier) for tier in table["tiers"]) if is_known else (),
        bounds={Metric(name): float(bound) for name, bound in table.get("bounds", {}).items()},
        source=table["source"],
        read_on=table["read_on"],
        is_known=is_known,
        is_agreed=bool(table.get("agreed", False)),
    )
    # Without a bound no hold would cover what the inputs leave open.
    if missing := [metric for metric in price.metrics if metric in BOUNDED_METRICS and metric not in price.bounds]:
        raise ValueError(f"its price needs bounds for {', '.join(missing)}, which inputs may leave open")
    return price


def _parse_tier(table: Mapping[str, Any]) -> PriceTier:
    if unknown := set(table) - {"per", "usd", "units", "when", "up_to_megapixels"}:
        raise ValueError(f"a tier of a price has no {', '.join(sorted(unknown))}")
    micros = Fraction(Decimal(table["usd"])) * _MICROS_PER_USD / int(table.get("units", 1))
    if micros < 0:
        raise ValueError(f"a price cannot be negative, as {table['usd']}")
    when = {
        name: tuple(value) if isinstance(value, list) else (value,) for name, value in table.get("when", {}).items()
    }
    largest = table.get("up_to_megapixels")
    return PriceTier(Metric(table["per"]), micros, when, None if largest is None else float(largest))


def _parse_size(table: Mapping[str, Any]) -> SizeFields:
    multiple, maximum = int(table["multiple"]), int(table["maximum"])
    if not 0 < multiple <= maximum:
        raise ValueError(f"a size takes a multiple up to its maximum, not {multiple} and {maximum}")
    return SizeFields(table["width"], table["height"], multiple, maximum - maximum % multiple)


def _parse_rule(rule: str | Mapping[str, Any]) -> InputRule:
    if isinstance(rule, str):
        return InputRule(name=rule)
    return InputRule(
        name=rule.get("to", ""),
        minimum=rule.get("minimum"),
        maximum=rule.get("maximum"),
        max_length=rule.get("max_length"),
        max_pixels=rule.get("max_pixels"),
        default=rule.get("default"),
        choices=tuple(rule.get("choices", rule.get("expands", ()))),
        expands=rule.get("expands", {}),
        also=rule.get("also", {}),
        is_required=bool(rule.get("required", False)),
        size=_parse_size(rule["size"]) if "size" in rule else None,
        is_file=bool(rule.get("file", False)) or "files" in rule,
        is_file_list="files" in rule,
        media=_parse_media(rule.get("media", MediaKind.PICTURE)),
        max_seconds=rule.get("max_seconds"),
        mask_style=MaskStyle(rule.get("mask", MaskStyle.WHITE)),
        max_files=_parse_max_files(rule.get("files", 1)),
    )


def check_workflow(model: Model, folder: Path) -> None:
    """Raise `WorkflowError` if the workflow of an entry is missing or lacks an input that the entry names."""
    path = folder / model.ref
    if path.suffix != ".json":
        raise WorkflowError(f"ref names the workflow's file, such as text-to-picture.json, not {model.ref!r}")
    workflow = load_workflow(path)
    for field in model.fixed:
        find_input(workflow, field)
    for option, rule in model.inputs.items():
        for field in _iterate_fields(rule):
            find_input(workflow, field)
        if rule.is_file_list:
            raise WorkflowError(f"{option} is one file for one loading node: write file = true instead of files")
        if option in _FREE_TEXTS and not (rule.choices or rule.expands or rule.is_file):
            check_free_text(workflow, rule.name)


def _iterate_fields(rule: InputRule) -> Iterator[str]:
    yield from rule.also
    if not rule.expands:
        yield rule.name
    for fields in rule.expands.values():
        yield from fields


def format_usd(micros: Fraction) -> str:
    """Return an amount in dollars as in the catalogue, without rounding: `0.003`, `0.00000005`."""
    text = format(Decimal(micros.numerator) / (Decimal(micros.denominator) * _MICROS_PER_USD), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
