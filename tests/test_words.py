"""The code's words: plain sentences, one meaning for each name, units in money fields, purposes in first lines."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("bot", "tests", "benchmarks")
SOURCES = {folder: sorted((ROOT / folder).rglob("*.py")) for folder in FOLDERS}

PRONOUNS = frozenset(
    {
        "it",
        "its",
        "itself",
        "what",
        "whatever",
        "that",
        "those",
        "these",
        "they",
        "them",
        "their",
        "theirs",
        "who",
        "whom",
        "whose",
        "whoever",
        "one",
        "ones",
        "none",
        "somebody",
        "someone",
        "nobody",
        "anybody",
        "anyone",
        "everybody",
        "everyone",
        "something",
        "nothing",
        "anything",
        "everything",
    }
)
"""Words that make a reader look back for a noun. A few are needed; a text full of them has to be deciphered."""

MAX_PRONOUNS_PER_100_WORDS = 4.5
QUESTION_WORDS = frozenset({"what", "who", "whose", "whom", "where", "how", "which", "when", "why", "whether"})

MONEY_WORDS = frozenset(
    {"allowance", "amount", "balance", "budget", "charge", "cost", "fee", "granted", "held", "paid", "price", "spent"}
)
MONEY_UNITS = ("_micros", "_credits", "_usd")


class SourceFacts(NamedTuple):
    """The facts of one file that the rules below are about."""

    docstring: str
    words: int
    pronouns: int
    classes: tuple[tuple[str, int], ...]
    """Each class with its line."""


@cache
def read_facts(path: Path) -> SourceFacts:
    # Each rule would parse a thousand files again. The trees themselves would take hundreds of megabytes.
    source = read(path)
    tree = ast.parse(source)
    words = [word for prose in list_prose(source, tree) for word in list_words(prose)]
    classes = tuple((node.name, node.lineno) for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return SourceFacts(ast.get_docstring(tree) or "-", len(words), count_pronouns(words), classes)


def count_pronouns(words: list[str]) -> int:
    return sum(word in PRONOUNS for word in words)


def list_prose(source: str, tree: ast.Module) -> Iterator[str]:
    """Yield each docstring, also those below attributes, and each comment, without the directives of tools."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield re.sub(r"^#+\s*(noqa|type:|pragma|fmt:)[^-#–]*", "", token.string)


def list_words(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:'[a-z]+)?", re.sub(r"`[^`]*`", "", text.lower()))


@pytest.mark.parametrize("folder", FOLDERS)
def test_sentences_name_their_subjects(folder: str) -> None:
    facts = [read_facts(path) for path in SOURCES[folder]]
    words, pronouns = sum(file.words for file in facts), sum(file.pronouns for file in facts)

    assert words
    assert 100 * pronouns / words <= MAX_PRONOUNS_PER_100_WORDS


@pytest.mark.parametrize("text", ["# What nobody knows, it says to whoever asks.", '"""That is what they are."""'])
def test_a_sentence_of_pronouns_is_found(text: str) -> None:
    words = [word for prose in list_prose(text, ast.parse(text)) for word in list_words(prose)]

    assert 100 * count_pronouns(words) / len(words) > MAX_PRONOUNS_PER_100_WORDS


def test_each_file_begins_with_a_statement_of_its_purpose() -> None:
    paths = [path for folder in FOLDERS for path in SOURCES[folder]]
    first_words = {path: re.findall(r"\w+", read_facts(path).docstring)[:1] for path in paths}

    assert [name_of(path) for path, first in first_words.items() if first and first[0].lower() in QUESTION_WORDS] == []


def test_a_class_name_means_one_thing() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in [path for folder in FOLDERS for path in SOURCES[folder]]:
        for name, line in read_facts(path).classes:
            places[name].append(f"{name_of(path)}:{line}")

    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_money_fields_carry_their_unit() -> None:
    unclear = [
        f"{name_of(path)}:{field.lineno} {name}"
        for path in SOURCES["bot"]
        for field, name, annotation in list_fields(ast.parse(read(path)))
        if re.search(r"\b(?:int|float|Decimal)\b", annotation)
        and not is_command_option(field)
        and not MONEY_WORDS.isdisjoint(name.strip("_").split("_"))
        and not name.endswith(MONEY_UNITS)
    ]

    assert unclear == []


def list_fields(tree: ast.Module) -> Iterator[tuple[ast.AnnAssign, str, str]]:
    """Yield each annotated field of a class: the statement, the name, the annotation as written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield field, field.target.id, ast.unparse(field.annotation)


def is_command_option(field: ast.AnnAssign) -> bool:
    """Return whether people type this name in a chat: an option's name follows the command, not the house."""
    value = field.value
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "option"


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
