"""Reads the prices on a model's page at replicate.com: the API publishes none (facts of 2026-11, `billingConfig`).

The page is written for browsers, so any deviation from the known form means "no price published", never an error.
"""

import html
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from ssl import SSLContext
from urllib.parse import urlsplit

import httpx

from bot.backends import http
from bot.backends.replicate.api import quote_ref
from bot.core.json import JSON, get_objects, get_text
from bot.core.models import Metric, PriceTier

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""A page with a long schema and an example takes some 300 kB."""

_MICROS_PER_USD = 1_000_000
_AMOUNT = re.compile(r"\$?\s*(\d{1,6}(?:\.\d{1,12})?)")
_UNITS = {"thousand": 1_000, "million": 1_000_000}
_CRITERION_NAMES = ("property", "name", "field", "input", "key")
_MAX_TIERS = 500


class PricePages:
    """Reads price pages without the owner's token: the pages are public."""

    def __init__(self, base_url: str, *, context: SSLContext) -> None:
        self._base_url = base_url
        self._http = http.create_api_client(headers={}, context=context)

    async def read(self, ref: str) -> tuple[PriceTier, ...]:
        """Return the tiers on a model's page; empty where no price can be read, or no page."""
        body = bytearray()
        try:
            async with self._http.stream("GET", build_price_page_url(self._base_url, ref)) as response:
                if not response.is_success:
                    return ()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_PAGE_BYTES:
                        return ()
        except httpx.HTTPError:
            return ()
        return parse_price_page(body.decode("utf-8", "replace"))

    async def close(self) -> None:
        await self._http.aclose()


def build_price_page_url(base_url: str, ref: str) -> str:
    """Return the address of a model's page; `base_url` is the API's, such as `https://api.replicate.com/v1`."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.removeprefix('api.')}/{quote_ref(ref)}/api/schema"


def parse_price_page(page: str) -> tuple[PriceTier, ...]:
    """Return the tiers on a page; empty without a readable price."""
    for text in (page, html.unescape(page), page.replace('\\"', '"')):
        for config in _find_objects(text, '"billingConfig"'):
            tiers = [tier for found in get_objects(config, "current_tiers") for tier in _parse_tier(found)]
            if tiers:
                return tuple(tiers[:_MAX_TIERS])
    return ()


def _find_objects(text: str, key: str) -> Iterator[JSON]:
    """Yield each JSON object that follows a key in a text."""
    for match in re.finditer(re.escape(key) + r"\s*:\s*(?=\{)", text):
        try:
            yield json.JSONDecoder().raw_decode(text, match.end())[0]
        except (ValueError, RecursionError):
            continue


def _parse_tier(tier: dict[str, JSON]) -> Iterator[PriceTier]:
    conditions = [_parse_criterion(criterion) for criterion in get_objects(tier, "criteria")]
    when = {name: (value,) for name, value in conditions if name}
    for price in get_objects(tier, "prices"):
        metric, micros = get_text(price, "metric"), _parse_micros(price)
        if metric in set(Metric) and micros is not None:
            yield PriceTier(Metric(metric), micros, when)


def _parse_criterion(criterion: dict[str, JSON]) -> tuple[str, JSON]:
    for name in _CRITERION_NAMES:
        if isinstance(field := criterion.get(name), str) and "value" in criterion:
            return field, criterion["value"]
    return next(iter(criterion.items())) if len(criterion) == 1 else ("", None)


def _parse_micros(price: dict[str, JSON]) -> Fraction | None:
    """Return the micro-dollars for one unit: a number or a text such as `$0.05`, for the units that the title names."""
    value, title = price.get("price"), get_text(price, "title").lower()
    text = value if isinstance(value, str) else repr(value) if isinstance(value, int | float) else ""
    amount = _AMOUNT.fullmatch(text.strip())
    if amount is None or isinstance(value, bool):
        return None
    units = next((count for word, count in _UNITS.items() if word in title.split()), 1)
    return Fraction(amount[1]) * _MICROS_PER_USD / units
