"""Rules of the whole tree: import contracts, names, sizes, reasons, and documents in agreement with the code."""

import ast
import logging
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from bot.commands import MENU
from bot.core.people import Rank
from bot.settings import SECRET_FIELDS, Settings
from tests.generated_files import GENERATED_FILES, write_generated_files

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "bot").rglob("*.py"))
TEXTS = {".py", ".toml", ".md", ".yaml", ".yml", ".lock", ".txt", ".example", ".js", ".css", ".html", ".json", ""}
LONGEST_FUNCTION = 60


def get_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Import contracts.


def test_import_contracts_hold() -> None:
    linter = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-logo"]

    checked = subprocess.run(linter, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)

    assert checked.returncode == 0, checked.stdout[checked.stdout.find("Broken") :] + checked.stderr


# Names and sizes.


def test_no_file_has_an_empty_name() -> None:
    empty_words = re.compile(r"(^|_)(utils?|helpers?|common|misc|base|managers?)(_|$)")
    places = [path for folder in ("bot", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]

    assert [get_name(path) for path in places if empty_words.search(path.stem)] == []


@pytest.mark.parametrize("path", MODULES, ids=get_name)
def test_each_file_has_a_docstring_and_no_long_function(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {node.name: count_lines(node) for node in functions if count_lines(node) > LONGEST_FUNCTION}

    assert ast.get_docstring(tree), f"{get_name(path)} has no docstring"
    assert long == {}


def count_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_each_package_file_holds_a_docstring_alone() -> None:
    menus = {"bot/commands/__init__.py", "bot/cli/__init__.py"}
    for path in MODULES:
        if path.name == "__init__.py" and get_name(path) not in menus:
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert len(body) == 1, f"{get_name(path)} holds more than a docstring"


# Reasons.


def test_each_exception_to_a_rule_has_a_reason() -> None:
    # "noqa: X - why", "type: ignore[x] # why", "pragma: no cover - why"
    exception = re.compile(
        r"#\s*(?:noqa\b(?::\s*[A-Z0-9, ]+)?|type:\s*ignore(?:\[[^]]*\])?|pragma:\s*no\s+\w+)(?P<why>.*)"
    )
    python = [path for path in list_tracked_files() if path.suffix == ".py" and path != Path(__file__)]
    found = [(path, match) for path in python for match in exception.finditer(path.read_text(encoding="utf-8"))]

    assert [get_name(path) for path, match in found if len(match["why"].strip(" -–#").split()) < 2] == []


def test_comments_name_sources_within_the_reader_s_reach() -> None:
    beside_us = re.compile(r"\bfacts/\w+\.md|\bDESIGN(?:\.md| §)")
    found = [
        path for path in list_tracked_files() if path != Path(__file__) and beside_us.search(path.read_text("utf-8"))
    ]

    assert [get_name(path) for path in found] == []


# Documents.


def read_env_example() -> dict[str, tuple[str, str, bool]]:
    """Return `{variable: (comment above, value, is commented out)}` of .env.example."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    found = {}
    for above, line in pairwise(lines):
        if match := re.fullmatch(r"(#?)([A-Z_]+)=(.*)", line):
            found[match[2]] = (above.removeprefix("# "), match[3], match[1] == "#")
    return found


def test_the_example_of_env_agrees_with_the_settings() -> None:
    written, descriptions = read_env_example(), read_setting_descriptions()

    assert list(written) == [name.upper() for name in Settings.model_fields]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, ()) else format_default(field.default)
        assert written[name.upper()] == (descriptions[name], default, name not in SECRET_FIELDS)


def read_setting_descriptions() -> dict[str, str]:
    """Return the docstring below each setting."""
    tree = ast.parse((ROOT / "bot/settings.py").read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == Settings.__name__)
    return {
        field.target.id: below.value.value
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


def format_default(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_has_a_type_a_default_and_one_sentence(name: str) -> None:
    description = read_setting_descriptions()[name]

    assert not Settings.model_fields[name].is_required()
    assert description.endswith(".")
    assert "\n" not in description
    assert len(description) <= 118


@pytest.mark.parametrize("secret", SECRET_FIELDS)
def test_the_example_holds_no_secret(secret: str) -> None:
    assert read_env_example()[secret.upper()][1] == ""


def test_settings_named_in_the_docs_exist() -> None:
    known = {name.upper() for name in Settings.model_fields}
    known |= {f"{name.upper()}_FILE" for name in SECRET_FIELDS}
    families = re.compile(r"\b(?:DISCORD|SLACK|REPLICATE|HTTP|MEDIA|LOG|DAILY|MONTHLY|ADMIN|ALLOWED?)_[A-Z_]+\b")
    documents = [path for path in list_tracked_files() if path.suffix == ".md" and path.parent in (ROOT, ROOT / "docs")]

    named = {name for path in documents for name in families.findall(path.read_text(encoding="utf-8"))}

    assert named <= known


# Files in git.


def list_tracked_files() -> list[Path]:
    """Return the text files in git, new files included."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    asked = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.suffix in TEXTS and path.is_file()]


def test_git_keeps_no_environment_database_or_secret() -> None:
    unwanted = re.compile(r"(^|/)(\.venv|__pycache__|secrets|data)/|(^|/)\.env$|\.(db|sqlite3?|pyc|log)$")

    assert [get_name(path) for path in list_tracked_files() if unwanted.search(get_name(path))] == []


def test_no_file_names_a_home_folder_or_a_package_index() -> None:
    place = re.compile(r"/(?:root|Users|home)/\w|\b(?:index-url|find-links|trusted-host)\s*[=:]?\s*\w*(?:https?|file):")
    found = [
        f"{get_name(path)}:{number}"
        for path in list_tracked_files()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if place.search(line)
    ]

    assert [line for line in found if not line.startswith("Dockerfile:")] == []


RANK_NOTES = {Rank.USER: "", Rank.MODERATOR: " (moderators)", Rank.OWNER: " (owner)"}


def test_the_readme_lists_the_menu() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- commands of")[2]
    listed = re.findall(r"^\| `/([\w ]+)` (.*?) \| (.*?) \|$", table, re.MULTILINE)

    assert listed == [
        (
            declaration.name,
            declaration.description + RANK_NOTES[declaration.rank],
            ", ".join(option.name for option in declaration.options) or "–",
        )
        for declaration in (form.declaration for form in MENU)
    ]


@pytest.mark.parametrize("name", GENERATED_FILES)
def test_files_generated_from_the_menu_are_up_to_date(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")

    assert text == GENERATED_FILES[name](text), f"{name} differs from the menu. Run: python3 run.py generate"


def test_generate_writes_rows_of_new_commands_and_removes_rows_of_old_ones(tmp_path: Path) -> None:
    for name in GENERATED_FILES:
        shutil.copy(ROOT / name, tmp_path)
    readme = tmp_path / "README.md"
    stale = re.sub(r"\| `/(imagine|quota show)`", r"| `/old \1`", readme.read_text(encoding="utf-8"))
    readme.write_text(stale, encoding="utf-8")
    (tmp_path / "slack-manifest.yaml").write_text("old: true\n", encoding="utf-8")

    assert set(write_generated_files(tmp_path)) == set(GENERATED_FILES)

    assert {name: (tmp_path / name).read_bytes() for name in GENERATED_FILES} == {
        name: (ROOT / name).read_bytes() for name in GENERATED_FILES
    }
    assert write_generated_files(tmp_path) == []


LOG_FIELDS = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})


def test_no_log_line_names_a_field_of_the_record() -> None:
    """`logging` raises KeyError for such a field, and the error hides the failure that the line tells of."""
    words = [
        (get_name(path), node.value)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "extra"
    ]
    keys = [
        (name, key.value)
        for name, value in words
        for node in ast.walk(value)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    ]

    assert keys
    assert [(name, key) for name, key in keys if key in LOG_FIELDS] == []
