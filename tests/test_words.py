"""The code's words: plain sentences, one meaning for each name, units in money fields, purposes in first lines."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
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


class ProseFacts(NamedTuple):
    """The prose of one file, counted."""

    words: int
    pronouns: int


def count_prose(path: Path) -> ProseFacts:
    source = read(path)
    words = [word for prose in list_prose(source, ast.parse(source)) for word in list_words(prose)]
    return ProseFacts(len(words), count_pronouns(words))


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
    facts = [count_prose(path) for path in SOURCES[folder]]
    words, pronouns = sum(file.words for file in facts), sum(file.pronouns for file in facts)

    assert words
    assert 100 * pronouns / words <= MAX_PRONOUNS_PER_100_WORDS


@pytest.mark.parametrize("text", ["# What nobody knows, it says to whoever asks.", '"""That is what they are."""'])
def test_a_sentence_of_pronouns_is_found(text: str) -> None:
    words = [word for prose in list_prose(text, ast.parse(text)) for word in list_words(prose)]

    assert 100 * count_pronouns(words) / len(words) > MAX_PRONOUNS_PER_100_WORDS


def test_each_file_begins_with_a_statement_of_its_purpose() -> None:
    first_words = {path: find_first_word(read(path)) for path in list_paths()}

    assert [name_of(path) for path, first in first_words.items() if first.lower() in QUESTION_WORDS] == []


def find_first_word(source: str) -> str:
    """Return the first word of a file's docstring, or "" without a docstring."""
    # Parsing a thousand files would take seconds; only comments stand before a docstring.
    found = re.match(r'(?:#.*\n|\s)*[rR]?(?:"""|"|\'\'\'|\')\W*(\w*)', source)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ('"""Draws."""', "Draws"),
        ("#!/usr/bin/env python3\n# A comment.\n\nr'What it draws.'", "What"),
        ('"""\n\n`who` asks"""', "who"),
        ('import ast\n"""Draws."""', ""),
        ("", ""),
    ],
)
def test_the_first_word_of_a_docstring_is_found(source: str, word: str) -> None:
    assert find_first_word(source) == word


def test_a_class_name_means_one_thing() -> None:
    assert find_doubled_classes({path: read(path) for path in list_paths()}) == {}


def find_doubled_classes(sources: dict[Path, str]) -> dict[str, list[str]]:
    """Return the places of each class name that is defined more than once."""
    # Parsing a thousand files would take seconds: only files with a doubled name are parsed, since some text in a
    # string looks like a class.
    looks: dict[str, list[Path]] = defaultdict(list)
    for path, source in sources.items():
        for name in re.findall(r"\bclass\s+(\w+)", source):
            looks[name].append(path)
    doubled = {name for name, paths in looks.items() if len(paths) > 1}
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted({path for name in doubled for path in looks[name]}):
        for node in ast.walk(ast.parse(sources[path])):
            if isinstance(node, ast.ClassDef) and node.name in doubled:
                places[node.name].append(f"{name_of(path)}:{node.lineno}")
    return {name: found for name, found in places.items() if len(found) > 1}


def test_a_doubled_class_is_found_and_text_is_no_class() -> None:
    sources = {
        ROOT / "a.py": "class Fox:\n    class  Bear: ...\n",
        ROOT / "b.py": 'if True:\n    class Bear(Fox): ...\ntext = """\nclass Fox: ..."""',
    }

    assert find_doubled_classes(sources) == {"Bear": ["a.py:2", "b.py:2"]}


def test_money_fields_carry_their_unit() -> None:
    # A class of a file without such a field name need not be parsed.
    is_about_money = re.compile(rf"(?:{'|'.join(MONEY_WORDS)})\w*: ").search
    sources = {path: source for path in SOURCES["bot"] if is_about_money(source := read(path))}
    unclear = [
        f"{name_of(path)}:{field.lineno} {name}"
        for path, source in sources.items()
        for field, name in list_fields(ast.parse(source))
        if not MONEY_WORDS.isdisjoint(name.strip("_").split("_"))
        and not name.endswith(MONEY_UNITS)
        and re.search(r"\b(?:int|float|Decimal)\b", ast.unparse(field.annotation))
        and not is_command_option(field)
    ]

    assert unclear == []


def list_fields(tree: ast.Module) -> Iterator[tuple[ast.AnnAssign, str]]:
    """Yield each annotated field of a class, and its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield field, field.target.id


def is_command_option(field: ast.AnnAssign) -> bool:
    """Return whether people type this name in a chat: an option's name follows the command, not the house."""
    value = field.value
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "option"


def list_paths() -> list[Path]:
    return [path for folder in FOLDERS for path in SOURCES[folder]]


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
