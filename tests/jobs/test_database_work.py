"""An ask costs few statements and few crossings to the database's thread: both take time of everybody's event loop."""

from typing import Any

import aiosqlite
import pytest

from bot.storage.connection import Statements
from tests.bench import Bench
from tests.fakes.backend import make_png


@pytest.mark.parametrize(
    ("line", "has_picture", "statements", "crossings"),
    [
        ("/imagine a fox", False, 18, 11),
        ("/upscale", True, 19, 12),
        ("/caption", True, 18, 11),
        ("/chat tell me more", False, 24, 15),
    ],
)
async def test_an_ask_works_little_in_the_database(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, line: str, has_picture: bool, statements: int, crossings: int
) -> None:
    image = make_png(64, 48) if has_picture else None
    for _ in range(2):  # the first ask opens accounts
        await bench.say(line, image=image)
    found = {"statements": 0, "crossings": 0}

    def count(kind: str, plain: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            found[kind] += 1
            return plain(*arguments)

        return counted

    for name in ("run", "post"):
        monkeypatch.setattr(Statements, name, count("statements", getattr(Statements, name)))
    monkeypatch.setattr(aiosqlite.Connection, "_execute", count("crossings", aiosqlite.Connection._execute))
    await bench.say(line, image=image)

    assert 0 < found["statements"] <= statements
    assert 0 < found["crossings"] <= crossings
