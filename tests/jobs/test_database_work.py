"""An ask costs few statements: each takes about a tenth of a millisecond from everybody's event loop."""

from typing import Any

import pytest

from bot.storage.connection import Statements
from tests.bench import Bench
from tests.fakes.backend import make_png


@pytest.mark.parametrize(
    ("line", "has_picture", "most"),
    [("/imagine a fox", False, 18), ("/upscale", True, 19), ("/caption", True, 18), ("/chat tell me more", False, 24)],
)
async def test_an_ask_runs_few_statements(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, line: str, has_picture: bool, most: int
) -> None:
    image = make_png(64, 48) if has_picture else None
    for _ in range(2):  # the first ask opens accounts
        await bench.say(line, image=image)
    found = 0

    def count(plain: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            nonlocal found
            found += 1
            return plain(*arguments)

        return counted

    for name in ("run", "post"):
        monkeypatch.setattr(Statements, name, count(getattr(Statements, name)))
    await bench.say(line, image=image)

    assert 0 < found <= most
