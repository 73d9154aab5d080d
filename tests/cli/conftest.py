"""Verbs in a folder without anybody's .env, and an owner who has a sandbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.server import SandboxOptions
from tests.cli.sandbox import Owner, owner_of


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Owner]:
    monkeypatch.chdir(tmp_path)
    yield from owner_of(SandboxOptions(speed=0.0), monkeypatch, capsys)
