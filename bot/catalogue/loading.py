"""Load models from a catalogue file. A mistake in the file raises one sentence with the table and the key."""

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from bot.core.errors import EaselError
from bot.core.models import InputRule, MaskStyle, Metric, Model, OutputKind, Price, PriceTier, Task

BUILT_IN_PATH = Path(__file__).with_name("models.toml")
PRICE_PLACEHOLDER = "FILL IN"
"""The price in a draft, for the owner to replace. Such a model stays off: no hold would bound the spending."""

BOUNDED_METRICS = frozenset(
    {
        Metric.IMAGE_INPUT_MEGAPIXEL_COUNT,
        Metric.IMAGE_OUTPUT_MEGAPIXEL_COUNT,
        Metric.AUDIO_OUTPUT_DURATION_SECONDS,
        Metric.VIDEO_OUTPUT_DURATION_SECONDS,
    }
)
"""Metrics that the inputs may leave open, such as the size of a picture that the model chooses."""

_MICROS_PER_USD = 1_000_000


class CatalogueError(EaselError):
    """The catalogue file is unreadable or contradicts itself."""


def load_catalogue(path: Path = BUILT_IN_PATH) -> list[Model]:
    """Return the models of a TOML file, in the file's order. Raise `CatalogueError` for a mistake."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"The catalogue {path.name} cannot be read: {error}.") from error
    models = [parse_model(key, table) for key, table in tables.items()]
    _check_finishing(models)
    return models


def parse_model(key: str, table: Mapping[str, Any]) -> Model:
    """Return the model of one table. Raise `CatalogueError` for a mistake."""
    known = set(Model.__dataclass_fields__) - {"key"}
    if unknown := set(table) - known:
        raise CatalogueError(f"[{key}] has keys that no model has: {', '.join(sorted(unknown))}.")
    try:
        return Model(
            key=key,
            title=table["title"],
            task=Task(table["task"]),
            backend=table.get("backend", "replicate"),
            ref=table["ref"],
            version=table.get("version", ""),
            output=_parse_output(table["output"]),
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


def _parse_output(name: str) -> OutputKind:
    output = OutputKind(name)
    if not (output.is_text or output is OutputKind.PICTURES):
        raise ValueError(f"no platform shows {output} yet")
    return output


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
        is_file=bool(rule.get("file", False)) or "files" in rule,
        is_file_list="files" in rule,
        mask_style=MaskStyle(rule.get("mask", MaskStyle.WHITE)),
        max_files=_parse_max_files(rule.get("files", 1)),
    )


def format_usd(micros: Fraction) -> str:
    """Return an amount in dollars as in the catalogue, without rounding: `0.003`, `0.00000005`."""
    text = format(Decimal(micros.numerator) / (Decimal(micros.denominator) * _MICROS_PER_USD), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
