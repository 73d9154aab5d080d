"""Reads entries of `GET /models`: OpenAI's fields, and those that OpenRouter and llama.cpp add."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from urllib.parse import urlsplit

from bot.core.backend import BackendConfig
from bot.core.json import JSON, as_object, get_object, get_text
from bot.core.models import FieldKind, Metric, ModelSchema, OutputKind, PriceTier, SchemaField

_MICROS_PER_USD = 1_000_000
_MAX_TOKENS = 4_096
# The API does not tell what a model makes: names of models that draw.
_DRAWING_WORDS = ("image", "dall-e", "sd-cpp", "flux", "diffusion", "sdxl")
_OTHER_WORDS = ("whisper", "transcribe", "tts", "speech", "embed", "rerank", "moderation")
_SEEING_WORDS = ("vision", "llava", "moondream", "-vl", "4o", "gpt-5", "gemma3", "pixtral", "minicpm-v")


def build_schema(config: BackendConfig, ref: str, entry: dict[str, JSON]) -> ModelSchema:
    """Return the schema of a listed model, from which entries are drafted and checked."""
    draws = any(word in ref.lower() for word in _DRAWING_WORDS) and not _reads_text_only(entry)
    # Models for sound, and models that give numbers alone: an owner writes such an entry by hand.
    is_other = any(word in ref.lower() for word in _OTHER_WORDS)
    return ModelSchema(
        ref=ref,
        version="",
        newest_version="",
        is_official=True,
        fields=None if is_other else tuple(_list_picture_fields() if draws else _list_chat_fields(ref, entry)),
        output=None if is_other else OutputKind.PICTURES if draws else OutputKind.TEXT_STREAM,
        description=get_text(entry, "description"),
        price_tiers=tuple(_read_price(entry)),
        backend=config.name,
        page=urlsplit(config.url).hostname or config.name,
        context_tokens=_read_context_tokens(entry),
        is_open=True,
    )


def _reads_text_only(entry: dict[str, JSON]) -> bool:
    made = get_object(entry, "architecture").get("output_modalities")
    return isinstance(made, list) and "image" not in made


def _list_chat_fields(ref: str, entry: dict[str, JSON]) -> Iterator[SchemaField]:
    yield SchemaField("messages", frozenset({FieldKind.OTHER}))
    seen = get_object(entry, "architecture").get("input_modalities")
    sees = "image" in seen if isinstance(seen, list) else any(word in ref.lower() for word in _SEEING_WORDS)
    if sees:
        yield SchemaField("images", frozenset({FieldKind.FILES}))
    # No server tells for each model: an entry that names the field is believed.
    yield SchemaField("tools", frozenset({FieldKind.OTHER}))
    yield SchemaField("temperature", frozenset({FieldKind.NUMBER}), minimum=0, maximum=2)
    yield SchemaField("max_tokens", frozenset({FieldKind.INTEGER}), minimum=1, maximum=_MAX_TOKENS)


def _list_picture_fields() -> Iterator[SchemaField]:
    yield SchemaField("prompt", frozenset({FieldKind.TEXT}), is_required=True, max_length=32_000)
    yield SchemaField("n", frozenset({FieldKind.INTEGER}), minimum=1, maximum=10)
    yield SchemaField("size", frozenset({FieldKind.TEXT}))
    yield SchemaField("quality", frozenset({FieldKind.TEXT}))
    yield SchemaField("output_format", frozenset({FieldKind.TEXT}))


def _read_context_tokens(entry: dict[str, JSON]) -> int:
    """Return the context of llama.cpp, vLLM or OpenRouter; 0 where the server does not tell."""
    found = (get_object(entry, "meta").get("n_ctx"), entry.get("max_model_len"), entry.get("context_length"))
    return next((tokens for tokens in found if isinstance(tokens, int) and tokens > 0), 0)


def _read_price(entry: dict[str, JSON]) -> Iterator[PriceTier]:
    """Yield OpenRouter's prices, in dollars for each token."""
    pricing = as_object(entry.get("pricing"))
    for metric, name in ((Metric.TOKEN_INPUT_COUNT, "prompt"), (Metric.TOKEN_OUTPUT_COUNT, "completion")):
        try:
            usd = Fraction(Decimal(str(pricing[name])))
        except (KeyError, InvalidOperation, ValueError, OverflowError):
            return
        if usd < 0:  # "depends": the router chooses the model
            return
        yield PriceTier(metric, usd * _MICROS_PER_USD)
