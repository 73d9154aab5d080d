"""Fields, prices and metering of models that their makers host: a few words for each field."""

from collections.abc import Mapping

from bot.sandbox.model import (
    BillingTier,
    InputField,
    Performance,
    SandboxModel,
    SandboxOutputKind,
    SandboxRun,
    create_model,
)

_COUNTED = ("_count", "_duration_seconds")


def text_field(name: str = "prompt", *, required: bool = False, default: str | None = None) -> InputField:
    return InputField(name, "string", name, required=required, default=default)


def number_field(name: str, default: float, minimum: float | None = None, maximum: float | None = None) -> InputField:
    return InputField(name, "number", name, default=default, minimum=minimum, maximum=maximum)


def integer_field(
    name: str, default: int | None = None, minimum: float | None = None, maximum: float | None = None
) -> InputField:
    return InputField(name, "integer", name, default=default, minimum=minimum, maximum=maximum)


def flag_field(name: str, *, default: bool = False) -> InputField:
    return InputField(name, "boolean", name, default=default)


def choice_field(name: str, *choices: str, default: str = "") -> InputField:
    return InputField(name, "string", name, default=default or choices[0], choices=choices)


def file_field(name: str = "image", *, required: bool = False) -> InputField:
    return InputField(name, "file", name, required=required)


def files_field(name: str, *, required: bool = False) -> InputField:
    return InputField(name, "files", name, required=required)


def price_per(metric: str, usd: str) -> tuple[BillingTier, ...]:
    """Return a price of one tier; a price of no dollars is not published."""
    return (BillingTier({metric: usd}),) if usd else ()


def price_by(metric: str, name: str, usd_by_value: Mapping[str, str]) -> tuple[BillingTier, ...]:
    """Return a tier for each value of an input."""
    return tuple(BillingTier({metric: usd}, {name: value}) for value, usd in usd_by_value.items())


def create_hosted_model(
    ref: str,
    description: str,
    perform: Performance,
    fields: tuple[InputField, ...],
    billing: tuple[BillingTier, ...] = (),
    *,
    output: SandboxOutputKind = SandboxOutputKind.FILE,
    version: str = "",
) -> SandboxModel:
    """Return a model, official without a version. A run meters what the price names, and no more."""
    billed = {metric for tier in billing for metric in tier.prices}

    async def perform_metered(run: SandboxRun) -> None:
        await perform(run)
        metrics = run.prediction.metrics
        for name in [name for name in metrics if billed and name.endswith(_COUNTED) and name not in billed]:
            del metrics[name]

    return create_model(ref, description, fields, perform_metered, output=output, version=version, billing=billing)
