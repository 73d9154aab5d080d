"""Descriptions in other languages, as Discord shows them to people whose client speaks one. Names stay English."""

import tomllib
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("translations.toml")


@cache
def _load_translations() -> dict[str, dict[str, str]]:
    """By what is translated, `imagine` or `imagine.prompt`: texts by Discord's name of the language."""
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def get_localizations(*key: str) -> dict[str, str]:
    """The texts for a command, or for one of its options; none where nobody translated it."""
    return dict(_load_translations().get(".".join(key), {}))
