"""CONTRIBUTING.md keeps its word: the example command works as printed, and each named path exists."""

import re
import sys
import types
from dataclasses import replace
from pathlib import Path

from bot.commands import MENU
from bot.dispatch.declaration import Command
from tests.bench import Bench

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def load_example() -> type[Command]:
    """Return the command class of the guide's first Python block, defined in a module of its own."""
    block = re.search(r"^( *)```python\n(.*?)^\1```", GUIDE, re.DOTALL | re.MULTILINE)
    assert block
    source = re.sub(rf"^{block[1]}", "", block[2], flags=re.MULTILINE)
    module = types.ModuleType("contributing_example")
    sys.modules[module.__name__] = module
    exec(compile(source, "CONTRIBUTING.md", "exec"), module.__dict__)  # noqa: S102 - the example is ours
    defined = vars(module).values()
    classes = [value for value in defined if isinstance(value, type) and value.__module__ == module.__name__]
    assert len(classes) == 1
    return classes[0]


async def test_the_example_command_answers(bench: Bench) -> None:
    coin = load_example()
    dispatcher = bench.app.dispatcher
    services = replace(dispatcher.services, menu=(*dispatcher.services.menu, coin))
    bench.app.dispatcher = replace(dispatcher, services=services)

    reply = await bench.say("/coin --times 3")

    assert reply is not None
    assert set(reply.text.split(", ")) <= {"heads", "tails"}
    assert reply.text.count(",") == 2


def test_the_example_is_not_in_the_menu() -> None:
    assert "coin" not in {form.declaration.name for form in MENU}


def test_the_design_page_names_files_that_exist() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)+\w+\.\w+)`", page)
    roots = (ROOT, ROOT / "bot", ROOT / "bot" / "backends")

    assert named
    assert [name for name in sorted(set(named)) if not any((root / name).exists() for root in roots)] == []


def test_each_named_path_exists() -> None:
    named = set(re.findall(r"`((?:bot|tests|docs|benchmarks)/[\w./-]*)`", GUIDE))
    named |= set(re.findall(r"\]\(([\w./-]+)\)", GUIDE))

    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
